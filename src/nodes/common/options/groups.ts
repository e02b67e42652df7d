/** Groups of options that nodes have in common. */
import { z } from 'zod'
import { proxyList, type SchemedEndpoint } from './addresses.ts'
import { boolean, given, problemText, secretText, wholeNumber } from './checks.ts'
import { rejectOption, type InitOf, type OptionKind, type Options, type Reject, type SettingsOf } from './option.ts'
import type { BindOptions } from '../rebindable-listener.ts'
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

/** `tls://` and a certificate go together; without a scheme the certificate decides. */
export function verifyListenerTls ({ listen: { scheme }, tls }: { listen: SchemedEndpoint, tls: unknown }, reject: Reject): void {
  if (scheme === 'tls' && tls === undefined) reject(['tls'], 'missing, expected a PEM file, since listen is tls://')
  if (scheme === 'tcp' && tls !== undefined) reject(['tls'], 'of no use with listen tcp://, expected tls:// there')
}

/**
 * Where to listen, of checked options.
 *
 * @throws {OptionError} when scheme and certificate contradict each other
 */
export function bindOptionsOf ({ listen, tls, trustedProxies }: { listen: SchemedEndpoint, tls: TlsServerInit | undefined, trustedProxies: readonly string[] | undefined }): BindOptions {
  verifyListenerTls({ listen, tls }, rejectOption)
  return { host: listen.host, port: listen.port, tls, trustedProxies }
}

/** Whom a client trusts with TLS. */
export const clientTrust = (where: string) => ({
  ca: { check: given<string | Buffer>(), value: 'file', help: `trust these certificates${where}, PEM`, defaultText: 'those of the system', kind: { ca: true } },
  insecure: { check: boolean(), default: false, help: 'take any certificate' }
}) as const satisfies Options

/** TLS of a client of a `server`: what belongs to it is of no use without. */
export function verifyClientTls ({ server: { scheme }, tls, ca, insecure }: { server: SchemedEndpoint, tls: boolean, ca: unknown, insecure: boolean }, reject: Reject): void {
  const isSecure = tls || scheme === 'tls'
  if (tls && scheme === 'tcp') reject(['tls'], 'contradicts server tcp://, expected one of them')
  if (!isSecure && ca !== undefined) reject(['ca'], 'of no use without tls, expected tls as well')
  if (!isSecure && insecure) reject(['insecure'], 'of no use without tls, expected tls as well')
  if (ca !== undefined && insecure) reject(['insecure'], 'contradicts ca, expected one of them')
}

export const secretOption = (init: { noun: string, variable: string, emptyBy?: string, knownToAll?: string, maxLength?: number, help: string, docs?: string }) => {
  const { noun, variable, emptyBy, knownToAll, maxLength, ...texts } = init
  return { check: secretText(maxLength), value: 'text', ...texts, kind: { secret: { noun, variable, emptyBy, knownToAll } } } as const
}

export const EXPECTED_SECTIONS = 'one section or more, each with "-" in front'

/** A list of sections. */
export const sectionsOf = <T extends Options>(options: T) => ({
  check: z.custom<ReadonlyArray<InitOf<T>>>().transform((input, context): ReadonlyArray<SettingsOf<T>> => {
    context.issues.push({ code: 'custom', input, message: Array.isArray(input) ? `empty, expected ${EXPECTED_SECTIONS}` : problemText('a list', input, EXPECTED_SECTIONS) })
    return z.NEVER
  }),
  kind: { sections: options }
}) as const
