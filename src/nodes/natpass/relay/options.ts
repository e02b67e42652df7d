/** The options of a natpass relay, as data. */
import { z } from 'zod'
import { DEFAULT_PORT, EXPECTED_TYPES, isClientId, linkTypes, secret } from '../protocol/options.ts'
import type { LinkType } from '../protocol/message-types.ts'
import { listenEndpoint } from '../../common/options/addresses.ts'
import { boolean, milliseconds, text, wholeNumber } from '../../common/options/checks.ts'
import { authFailures, connectionLimits, listenerTls, MAX_ENTRIES, trustedProxies } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'

/** Who may open what to whom. The first rule that matches decides. */
export interface RelayRule {
  readonly allow: boolean
  /** Undefined: any client. */
  readonly from: string | undefined
  readonly to: string | undefined
  readonly types: readonly LinkType[]
}

const EXPECTED_RULE = `allow:FROM:TO:TYPES or deny:FROM:TO:TYPES, such as allow:laptop:nas:shell,tcp; FROM and TO are ids, or any; ${EXPECTED_TYPES}`

function rule () {
  const isRule = (value: unknown): value is RelayRule => typeof (value as Partial<RelayRule> | undefined)?.allow === 'boolean'
  return text('a rule', EXPECTED_RULE, (input): RelayRule | undefined => {
    const [verdict, from = '', to = '', words = '', ...rest] = input.split(':')
    const types = linkTypes(words)
    const idOf = (text: string): string | undefined => text === 'any' ? undefined : text
    const isParty = (id: string): boolean => id === 'any' || isClientId(id)
    if (!['allow', 'deny'].includes(verdict) || !isParty(from) || !isParty(to) || types === undefined || rest.length > 0) return undefined
    return { allow: verdict === 'allow', from: idOf(from), to: idOf(to), types }
  }, isRule)
}

export const listenOptions = {
  /** Where clients connect; IPv6 in brackets, port 0 takes a free one. */
  listen: { check: listenEndpoint(DEFAULT_PORT), isRequired: true, value: 'host:port', help: 'where clients connect, such as 0.0.0.0:6154; port 0 takes a free one' },
  /** Proxies whose report of the client address is trusted, CIDRs or addresses. */
  trustedProxies: trustedProxies('PROXY protocol'),
  tls: listenerTls('certificate chain, PEM: clients have to speak TLS')
} as const satisfies Options

/** Time-outs, which stay as they were at the start. */
export const lastingOptions = {
  /** Milliseconds for the handshake (natpass protocol, section 2). */
  handshakeTimeout: { check: milliseconds(), default: 10_000 },
  /** Milliseconds without a message after which a client is dropped (section 3). */
  dropAfter: { check: milliseconds(), default: 600_000 },
  /** Milliseconds that the sender of a full link waits; then the link ends. */
  stallTimeout: { check: milliseconds(), default: 10_000 }
} as const satisfies Options

/** Who may connect, and what clients may do. */
export const clientOptions = {
  secret,
  /** Refuse a proof that another address has sent in the same minute. */
  strict: { check: boolean(), default: false, help: 'refuse a proof that another address has sent in the same minute' },
  /** Take the proof of clients before v0.11.0 as well. */
  legacyMd5: { check: boolean(), default: false, help: 'take the proof of clients before v0.11.0 as well, which never changes' },
  /** Who may open what to whom; the first that matches decides. */
  rules: {
    name: 'rule',
    check: z.array(rule(), { error: `not a list, expected ${EXPECTED_RULE}` }).min(1, { error: `empty, expected ${EXPECTED_RULE}` }),
    isRepeatable: true,
    defaultText: 'everybody may open everything',
    value: 'rule',
    help: 'who may open what to whom: allow:FROM:TO:TYPES or deny:FROM:TO:TYPES, with ids and TYPES of tcp, udp, shell, vnc, bench and code, or any; the first that matches decides, and what none matches is refused; can be repeated'
  },
  ...connectionLimits({ maxPerSource: 256, source: 'connections from one address; an IPv6 /64 is one', halfOpen: 'connections that have not authenticated', all: 'connections in all' }),
  /** Links of one client at one time. */
  maxLinks: { check: wholeNumber(1, MAX_ENTRIES), default: 1024, value: 'count', help: 'links of one client, opened by it or to it' },
  /** Links of all clients at one time. */
  maxLinksTotal: { check: wholeNumber(1, MAX_ENTRIES), default: 65_536, value: 'count', help: 'links of all clients' },
  /** Bytes that wait for all clients. Beyond it senders wait, and links to clients that do not read end. */
  bufferTotal: { check: wholeNumber(1, Number.MAX_SAFE_INTEGER), input: wholeNumber(1024 * 1024), default: 256 * 1024 * 1024, value: 'bytes', help: 'kept for all clients while they do not read; beyond it their senders wait, and links that stand still are ended' },
  /** Wrong proofs from one source in a minute; beyond it its proofs are not checked. The loopback is exempt. */
  authFailures: authFailures('wrong secrets', 'wrong secrets from one address in a minute; then what comes from there is refused without a look'),
  ...lastingOptions
} as const satisfies Options

/** All options, in the order of `--help`. */
export const relayOptions = {
  listen: listenOptions.listen,
  ...clientOptions,
  trustedProxies: listenOptions.trustedProxies,
  tls: listenOptions.tls
} as const satisfies Options
