/** The rules of a control end, as data: what it opens on other clients, and where the users of that connect (natpass protocol, section 5). */
import { z } from 'zod'
import { clientId } from '../protocol/options.ts'
import { readHost } from '../../../net/endpoint.ts'
import { quoted } from '../../../text/phrases.ts'
import { localAddress } from '../../common/options/addresses.ts'
import { choice, path, text, wholeNumber } from '../../common/options/checks.ts'
import { rejectTwins, type Option, type Options, type Reject, type SettingsOf } from '../../common/options/option.ts'

/** What a rule opens; the last two are not of the original. */
export type RuleType = 'shell' | 'vnc' | 'bench' | 'code-server' | 'tcp' | 'udp'

export const RULE_TYPES = ['shell', 'vnc', 'bench', 'code-server', 'tcp', 'udp'] as const satisfies readonly RuleType[]

/** Bytes of program and environment: with the rest of its request they fit into a frame (natpass protocol, section 1.1). */
const MAX_COMMAND = 32 * 1024

const MAX_ENV = 256

const EXPECTED_ENV = 'a list of NAME=VALUE'

/** Shown in pages and logs, so without control and invisible characters. */
function ruleName () {
  return text('a name', 'at most 64 printable characters', (name) => /^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u.test(name) ? name : undefined)
}

function environment () {
  const entry = text('a variable', 'NAME=VALUE', (entry) => /^[^=\0]+=[^\0]*$/.test(entry) ? entry : undefined)
  return z.array(entry, { error: ({ input }) => `not a list (${quoted(input)}), expected ${EXPECTED_ENV}` })
    .max(MAX_ENV, { error: `too many, expected at most ${MAX_ENV} variables` })
}

function host () {
  return text('a host', 'a name or an address such as 192.0.2.7', (name) => readHost(name.includes(':') && !name.startsWith('[') ? `[${name}]` : name))
}

/** Keys have the names that they have in files of the original. */
export const ruleOptions = {
  name: { check: ruleName(), isRequired: true, value: 'name', help: 'what pages and the other client call it' },
  target: { check: clientId(), isRequired: true, value: 'id', help: 'the client that it leads to' },
  type: { check: choice(RULE_TYPES), isRequired: true, value: 'type', help: 'what it opens there' },
  localAddr: { name: 'local_addr', check: localAddress(), default: '127.0.0.1', value: 'address', help: 'the address here that its users connect to' },
  localPort: { name: 'local_port', check: wholeNumber(0, 65_535), default: 0, defaultText: 'a free one', value: 'port', help: 'the port of that' },
  exec: { check: path(), value: 'file', defaultText: 'bash or sh', help: 'the program of a shell, without arguments' },
  env: { check: environment(), isRepeatable: true, value: 'name=value', defaultText: 'none', help: 'variables of a shell, a list' },
  remoteAddr: { name: 'remote_addr', check: host(), default: '127.0.0.1', value: 'host', help: 'where a tcp or udp rule leads, as the target sees it' },
  remotePort: { name: 'remote_port', check: wholeNumber(1, 65_535), value: 'port', help: 'the port of that' },
  fps: { check: wholeNumber(1, 50), default: 10, value: 'count', help: 'pictures of a desktop in a second, at most' }
} as const satisfies Options

export type Rule = SettingsOf<typeof ruleOptions>

/** Options that only rules of some types have. */
const OF_TYPES: ReadonlyArray<readonly [option: keyof Rule, types: readonly RuleType[]]> = [
  ['exec', ['shell']],
  ['env', ['shell']],
  ['remoteAddr', ['tcp', 'udp']],
  ['remotePort', ['tcp', 'udp']],
  ['fps', ['vnc']]
]

/** Whether a rule of this type has the option. */
export const isOptionOf = (type: RuleType, option: keyof Rule): boolean => OF_TYPES.find(([name]) => name === option)?.[1].includes(type) ?? true

const defaultOf = (option: keyof Rule): unknown => (ruleOptions[option] as Option).default

/**
 * Checks the relations between options of rules.
 *
 * @param rules - with or without defaults, which count as not given
 * @param at - the path of the list
 */
export function verifyRules (rules: ReadonlyArray<Pick<Rule, 'name' | 'type'> & Partial<Rule>>, at: readonly string[], reject: Reject): void {
  rejectTwins(rules, 'name', at, 'rule', reject)
  for (const [i, rule] of rules.entries()) {
    for (const [option, types] of OF_TYPES) {
      if (rule[option] !== undefined && rule[option] !== defaultOf(option) && !types.includes(rule.type)) reject([...at, i, option], `of no use in a rule of type ${rule.type}`)
    }
    if (isOptionOf(rule.type, 'remotePort') && rule.remotePort === undefined) reject([...at, i, 'remotePort'], `missing, expected 1 to 65535, since it is a rule of type ${rule.type}`)
    const bytes = [rule.exec ?? '', ...rule.env ?? []].reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    if (bytes > MAX_COMMAND) reject([...at, i, rule.env === undefined ? 'exec' : 'env'], `too long, expected at most ${MAX_COMMAND} bytes of program and environment`)
  }
}
