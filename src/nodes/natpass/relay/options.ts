/** The options of a natpass relay, as data. */
import { z } from 'zod'
import { isClientId, linkTypes, secret, type LinkType } from '../protocol/options.ts'
import { listenEndpoint } from '../../common/options/addresses.ts'
import { boolean, text } from '../../common/options/checks.ts'
import { connectionLimits, listenerTls, trustedProxies } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'

/** Who may open what to whom. The first rule that matches decides. */
export interface RelayRule {
  readonly allow: boolean
  /** Undefined: any client. */
  readonly from: string | undefined
  readonly to: string | undefined
  readonly types: readonly LinkType[]
}

const EXPECTED_RULE = 'allow:FROM:TO:TYPES or deny:FROM:TO:TYPES, such as allow:laptop:nas:shell,tcp; any stands for every id, and for every type'

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

export const relayOptions = {
  listen: { check: listenEndpoint(), isRequired: true, value: 'host:port', help: 'where clients connect, such as 0.0.0.0:6154; port 0 takes a free one' },
  secret,
  strict: { check: boolean(), default: false, help: 'refuse a proof that another address has sent in the same minute' },
  legacyMd5: { check: boolean(), default: false, help: 'take the proof of clients before v0.11.0 as well, which never changes' },
  rules: {
    name: 'rule',
    check: z.array(rule(), { error: `not a list, expected ${EXPECTED_RULE}` }).min(1, { error: `empty, expected ${EXPECTED_RULE}` }),
    isRepeatable: true,
    defaultText: 'everybody may open everything',
    value: 'rule',
    help: 'who may open what to whom: allow:FROM:TO:TYPES or deny:FROM:TO:TYPES; the first that matches decides; can be repeated'
  },
  ...connectionLimits({ maxPerSource: 256, source: 'connections from one address; an IPv6 /64 is one', halfOpen: 'connections that have not authenticated', all: 'connections in all' }),
  trustedProxies: trustedProxies('PROXY protocol'),
  tls: listenerTls('certificate chain, PEM: clients have to speak TLS')
} as const satisfies Options
