/** Groups of options that nodes have in common. */
import { z } from 'zod'
import { proxyList } from './addresses.ts'
import { boolean, given, problemText, secretText, wholeNumber } from './checks.ts'
import type { InitOf, OptionKind, Options, SettingsOf } from './option.ts'
import { DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HALF_OPEN } from '../../../limits/connection-limiter.ts'
import type { TlsServerInit } from '../../../transports/tls.ts'

/** A number of things at one time. */
export const MAX_ENTRIES = 1_000_000

/** Bounds of the connections of a listener. */
export const connectionLimits = <const D extends number>(init: { maxPerSource: D, source: string, halfOpen: string, all: string }) => ({
  maxPerSource: { check: wholeNumber(1, MAX_ENTRIES), default: init.maxPerSource, value: 'count', help: init.source },
  maxHalfOpen: { check: wholeNumber(1, MAX_ENTRIES), default: DEFAULT_MAX_HALF_OPEN, value: 'count', help: `${init.halfOpen}; the oldest makes room` },
  maxConnections: { check: wholeNumber(1, MAX_ENTRIES), default: DEFAULT_MAX_CONNECTIONS, value: 'count', help: init.all }
}) as const satisfies Options

/** @param secrets - what is wrong in such an attempt: `wrong passwords` */
export const authFailures = (secrets: string, docs: string) => ({
  check: wholeNumber(1, MAX_ENTRIES),
  default: 120,
  value: 'count',
  help: `${secrets} from one address in a minute`,
  docs
}) as const

/** @param headers - how a proxy reports the client */
export const trustedProxies = (headers: string) => ({
  name: 'trusted-proxy',
  check: proxyList(),
  value: 'cidrs',
  defaultText: 'none',
  help: `believe what these proxies say about where a client is: ${headers}`,
  docs: `believe these about where a client is: ${headers}; see [behind a proxy](operations.md#behind-a-proxy). A list, or commas`
}) as const

/** TLS of a listener. */
export const listenerTls = (cert: string) => ({
  check: given<TlsServerInit>(),
  help: cert,
  kind: { tls: { cert, key: 'its key, PEM' } } satisfies OptionKind
}) as const

/** Whom a client trusts with TLS. */
export const clientTrust = (where: string) => ({
  ca: { check: given<string | Buffer>(), value: 'file', help: `trust these certificates${where}, PEM`, defaultText: 'those of the system', kind: { ca: true } },
  insecure: { check: boolean(), default: false, help: 'take any certificate' }
}) as const satisfies Options

export const secretOption = (init: { noun: string, variable: string, emptyBy?: string, knownToAll?: string, maxLength?: number, help: string, docs?: string }) => {
  const { noun, variable, emptyBy, knownToAll, maxLength, ...texts } = init
  return { check: secretText(maxLength), value: 'text', ...texts, kind: { secret: { noun, variable, emptyBy, knownToAll } } } as const
}

const EXPECTED_SECTIONS = 'one section or more, each with "-" in front'

/** A list of sections. @param unique - the option by which they differ */
export const sectionsOf = <T extends Options>(options: T, unique: keyof T & string) => ({
  check: z.custom<ReadonlyArray<InitOf<T>>>().transform((input, context): ReadonlyArray<SettingsOf<T>> => {
    context.issues.push({ code: 'custom', input, message: Array.isArray(input) ? `empty, expected ${EXPECTED_SECTIONS}` : problemText('a list', input, EXPECTED_SECTIONS) })
    return z.NEVER
  }),
  kind: { sections: options, unique }
}) as const
