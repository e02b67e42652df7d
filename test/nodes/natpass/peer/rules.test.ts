/** Rules of a control end: what each of their options takes. */
import t from 'tap'
import { sectionsOf } from '../../../../src/nodes/common/options/groups.ts'
import { readOptions, rejectOption, type Options } from '../../../../src/nodes/common/options/option.ts'
import { isOptionOf, RULE_TYPES, ruleOptions, verifyRules } from '../../../../src/nodes/natpass/peer/rules.ts'

const options = { rules: sectionsOf(ruleOptions) } as const satisfies Options

const SHELL = { name: 'shell', target: 'nas', type: 'shell' } as const
const PORT = { name: 'port', target: 'nas', type: 'tcp', remotePort: 22 } as const

t.test('a rule that says the least, and one that says all', async (t) => {
  t.same(readOptions(options, { rules: [SHELL] }).rules, [{ ...SHELL, localAddr: '127.0.0.1', localPort: 0, exec: undefined, env: undefined, remoteAddr: '127.0.0.1', remotePort: undefined, fps: 10 }])
  const all = { ...SHELL, localAddr: '::1', localPort: '8080', exec: '/bin/bash', env: ['TERM=xterm', 'EMPTY=', 'A=b=c'], remoteAddr: 'db.local', remotePort: 5432, fps: '50' }
  const [rule] = readOptions(options, { rules: [all] }).rules ?? []
  t.same(rule, { ...all, localPort: 8080, fps: 50 })
  t.same(readOptions(options, { rules: [rule] }).rules, [rule], 'settings are options as well')
})

t.test('what is wrong is told with its path', async (t) => {
  const wrong: Array<[change: object, option: string, detail: string | RegExp]> = [
    [{ name: undefined }, 'name', 'missing, expected at most 64 printable characters'],
    [{ name: 'x'.repeat(65) }, 'name', /^not a name \("x+\.\.\."\), expected at most 64 printable characters$/],
    [{ name: 'a\nb' }, 'name', 'not a name ("a\\nb"), expected at most 64 printable characters'],
    [{ name: 'a\u202eb' }, 'name', /^not a name/],
    [{ target: undefined }, 'target', 'missing, expected at most 64 letters, digits, ".", "_", "@" or "-", but not server or any'],
    [{ target: 'server' }, 'target', /^not an id \("server"\)/],
    [{ type: undefined }, 'type', 'missing, expected shell, vnc, bench, code-server, tcp or udp'],
    [{ type: 'code' }, 'type', 'not a choice ("code"), expected shell, vnc, bench, code-server, tcp or udp'],
    [{ localAddr: 'h' }, 'localAddr', 'not an address ("h"), expected one of this machine such as 192.0.2.7 or ::'],
    [{ localPort: 65_536 }, 'localPort', 'not a whole number in range ("65536"), expected 0 to 65535'],
    [{ exec: '' }, 'exec', 'empty, expected a path'],
    [{ env: 'A=b' }, 'env', 'not a list ("A=b"), expected a list of NAME=VALUE'],
    [{ env: ['A=b', 'C'] }, 'env', 'not a variable ("C"), expected NAME=VALUE'],
    [{ env: ['=b'] }, 'env', 'not a variable ("=b"), expected NAME=VALUE'],
    [{ env: ['A=\0'] }, 'env', /^not a variable/],
    [{ env: Array(257).fill('A=b') }, 'env', 'too many, expected at most 256 variables'],
    [{ remoteAddr: 'a b' }, 'remoteAddr', 'not a host ("a b"), expected a name or an address such as 192.0.2.7'],
    [{ remotePort: 0 }, 'remotePort', 'not a whole number in range ("0"), expected 1 to 65535'],
    [{ fps: 0 }, 'fps', 'not a whole number in range ("0"), expected 1 to 50'],
    [{ fps: 51 }, 'fps', /expected 1 to 50$/]
  ]
  for (const [change, option, detail] of wrong) {
    t.throws(() => readOptions(options, { rules: [SHELL, { ...SHELL, ...change } as typeof SHELL] }), { code: 'ERR_OPTION', option: `rules.1.${option}`, detail }, JSON.stringify(change).slice(0, 60))
  }
  for (const remoteAddr of ['::1', '[::1]', '192.0.2.7', 'nas.local']) t.equal(readOptions(options, { rules: [{ ...PORT, remoteAddr }] }).rules?.[0].remoteAddr, remoteAddr === '[::1]' ? '::1' : remoteAddr)
})

t.test('what belongs to a type is of no use with another one', async (t) => {
  verifyRules([SHELL, PORT, { ...SHELL, name: 'other', exec: '/bin/sh', env: ['A=b'] }, { ...PORT, name: 'dns', type: 'udp', remoteAddr: '::1' }, { name: 'desk', target: 'nas', type: 'vnc', fps: 5 }], ['rules'], rejectOption)
  const wrong: Array<[rule: object, option: string, detail: string]> = [
    [{ ...PORT, name: 'a', exec: '/bin/sh' }, 'exec', 'of no use in a rule of type tcp'],
    [{ ...PORT, name: 'a', env: ['A=b'] }, 'env', 'of no use in a rule of type tcp'],
    [{ ...SHELL, name: 'a', remoteAddr: 'h' }, 'remoteAddr', 'of no use in a rule of type shell'],
    [{ ...SHELL, name: 'a', remotePort: 1 }, 'remotePort', 'of no use in a rule of type shell'],
    [{ ...SHELL, name: 'a', fps: 1 }, 'fps', 'of no use in a rule of type shell'],
    [{ ...PORT, name: 'a', remotePort: undefined }, 'remotePort', 'missing, expected 1 to 65535, since it is a rule of type tcp'],
    [{ ...SHELL }, 'name', 'the name shell is that of another rule as well, expected one of its own'],
    [{ ...SHELL, name: 'a', exec: 'x'.repeat(32_769) }, 'exec', 'too long, expected at most 32768 bytes of program and environment'],
    [{ ...SHELL, name: 'a', env: [`A=${'é'.repeat(16_384)}`] }, 'env', 'too long, expected at most 32768 bytes of program and environment']
  ]
  for (const [rule, option, detail] of wrong) {
    t.throws(() => { verifyRules([SHELL, rule as typeof SHELL], ['rules'], rejectOption) }, { code: 'ERR_OPTION', option: `rules.1.${option}`, detail }, `${option}: ${detail}`)
  }
  t.same(RULE_TYPES.filter((type) => isOptionOf(type, 'remotePort')), ['tcp', 'udp'])
  t.ok(RULE_TYPES.every((type) => isOptionOf(type, 'localPort')))
})
