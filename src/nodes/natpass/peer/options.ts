/** The options of a natpass peer, as data. */
import { z } from 'zod'
import { clientId, isClientId, linkTypes, secret } from '../protocol/options.ts'
import type { LinkType } from '../protocol/message-types.ts'
import { serverEndpoint } from '../../common/options/addresses.ts'
import { boolean, choice, text } from '../../common/options/checks.ts'
import { clientTrust, secretOption, sectionsOf, verifyClientTls } from '../../common/options/groups.ts'
import type { Options, Reject, SettingsOf } from '../../common/options/option.ts'
import { ruleOptions, verifyRules } from './rules.ts'
import { isLoopback } from '../../../net/client-address.ts'

/** What a client may open here. */
export interface Allowance {
  /** Undefined: any client. */
  readonly from: string | undefined
  readonly types: readonly LinkType[]
}

const EXPECTED_ALLOWANCE = 'TYPES or TYPES@ID, such as shell,tcp or shell@laptop; any stands for every type'

function allowance () {
  const isAllowance = (value: unknown): value is Allowance => Array.isArray((value as Partial<Allowance> | undefined)?.types)
  return text('what a client may open', EXPECTED_ALLOWANCE, (input): Allowance | undefined => {
    const at = input.indexOf('@')
    const types = linkTypes(at < 0 ? input : input.slice(0, at))
    const from = at < 0 ? undefined : input.slice(at + 1)
    return types === undefined || (from !== undefined && !isClientId(from)) ? undefined : { from, types }
  }, isAllowance)
}

export const peerOptions = {
  server: { check: serverEndpoint(), isRequired: true, value: 'host:port', help: 'the server, such as 192.0.2.7:6154' },
  secret,
  id: { check: clientId(), isRequired: true, value: 'id', help: 'what others call this peer' },
  allow: {
    check: z.array(allowance(), { error: `not a list, expected ${EXPECTED_ALLOWANCE}` }).min(1, { error: `empty, expected ${EXPECTED_ALLOWANCE}` }),
    isRepeatable: true,
    defaultText: 'nothing',
    value: 'types',
    help: 'what others may open here: TYPES of tcp, udp, shell, vnc, bench and code, or TYPES@ID for one client; can be repeated'
  },
  legacyMd5: { check: choice(['raw', 'hex']), value: 'raw|hex', help: 'prove the secret as clients before v0.11.0 did' },
  rules: sectionsOf(ruleOptions),
  pagePassword: secretOption({ noun: 'password', variable: 'TUNPIPE_PAGE_PASSWORD', help: 'the password of pages, needed where others than this machine reach them' }),
  tls: { check: boolean(), default: false, help: 'speak TLS with the server' },
  ...clientTrust('')
} as const satisfies Options

/** Relations between options. */
export function verifyPeerOptions (settings: Pick<SettingsOf<typeof peerOptions>, 'server' | 'tls' | 'ca' | 'insecure' | 'rules' | 'pagePassword'>, reject: Reject): void {
  const { rules = [], pagePassword } = settings
  verifyClientTls(settings, reject)
  verifyRules(rules, ['rules'], reject)
  for (const [i, { type, localAddr = '127.0.0.1' }] of rules.entries()) {
    if (type === 'shell' && pagePassword === undefined && !isLoopback(localAddr)) reject(['rules', i, 'localAddr'], `the page of a shell on ${localAddr} needs a page-password, or expected 127.0.0.1`)
  }
}
