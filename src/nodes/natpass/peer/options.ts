/** The options of a natpass peer, as data. */
import { z } from 'zod'
import { allowance, EXPECTED_ALLOWANCE, verifyAllowances } from './allowance.ts'
import { clientId, DEFAULT_PORT, secret } from '../protocol/options.ts'
import { hostPort, serverEndpoint } from '../../common/options/addresses.ts'
import { boolean, choice, path } from '../../common/options/checks.ts'
import { clientTrust, secretOption, sectionsOf, verifyClientTls } from '../../common/options/groups.ts'
import type { Options, Reject, SettingsOf } from '../../common/options/option.ts'
import { ruleOptions, verifyRules, type RuleType } from './rules.ts'
import { isLoopback } from '../../../net/client-address.ts'

export const peerOptions = {
  server: { check: serverEndpoint(DEFAULT_PORT), isRequired: true, value: 'host:port', help: 'the server, such as 192.0.2.7:6154' },
  secret,
  id: { check: clientId(), isRequired: true, value: 'id', help: 'what others call this peer' },
  allow: {
    check: z.array(allowance(), { error: `not a list, expected ${EXPECTED_ALLOWANCE}` }).min(1, { error: `empty, expected ${EXPECTED_ALLOWANCE}` }),
    isRepeatable: true,
    takesSections: true,
    defaultText: 'nothing',
    value: 'types',
    help: 'what others may open here: TYPES of tcp, udp, shell, vnc, bench and code, or TYPES@ID for one client; can be repeated',
    docs: 'what others may open here: TYPES of tcp, udp, shell, vnc, bench and code, or TYPES@ID for one client; can be repeated. In files also sections, see [below](#what-others-may-open)'
  },
  legacyMd5: { check: choice(['raw', 'hex']), value: 'raw|hex', help: 'prove the secret as clients before v0.11.0 did' },
  rules: sectionsOf(ruleOptions),
  codedir: { check: path(), value: 'dir', defaultText: 'code, below the state of the user', help: 'what code-server keeps, in a folder for each name of a rule' },
  page: { check: hostPort(), value: 'host:port', defaultText: 'none', help: 'serve a page with all rules there; a port alone is on 127.0.0.1' },
  pagePassword: secretOption({ noun: 'password', variable: 'TUNPIPE_PAGE_PASSWORD', help: 'the password of pages, needed where others than this machine reach them' }),
  tls: { check: boolean(), default: false, help: 'speak TLS with the server' },
  ...clientTrust('')
} as const satisfies Options

/** What pages of rules show, by the type of the rule. */
const PAGES: Partial<Record<RuleType, string>> = { shell: 'shell', vnc: 'desktop', 'code-server': 'code-server', bench: 'measurement' }

/** Relations between options. */
export function verifyPeerOptions (settings: Pick<SettingsOf<typeof peerOptions>, 'server' | 'tls' | 'ca' | 'insecure' | 'allow' | 'rules' | 'page' | 'pagePassword'>, reject: Reject): void {
  const { allow = [], rules = [], page, pagePassword } = settings
  verifyClientTls(settings, reject)
  verifyAllowances(allow, reject)
  verifyRules(rules, ['rules'], reject)
  if (page !== undefined && pagePassword === undefined && !isLoopback(page.host)) reject(['page'], `the page on ${page.host} needs a page-password, expected one or 127.0.0.1`)
  for (const [i, { type, localAddr = '127.0.0.1' }] of rules.entries()) {
    const shown = PAGES[type]
    if (shown !== undefined && pagePassword === undefined && !isLoopback(localAddr)) reject(['rules', i, 'localAddr'], `the page of a ${shown} on ${localAddr} needs a page-password, expected one or 127.0.0.1`)
  }
}
