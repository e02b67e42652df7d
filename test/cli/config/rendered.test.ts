/** The command line of a protocol that has nothing but its options. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, protocolCommand } from '../../../src/cli/command.ts'
import type { Flags } from '../../../src/cli/config/settings.ts'
import { load } from '../../../src/cli/config/load.ts'
import { optionsTable } from '../../../src/cli/config/options-table.ts'
import type { Protocol } from '../../../src/cli/protocol.ts'
import { verifyListenerTls } from '../../../src/nodes/common/options/groups.ts'
import { relayOptions } from '../../../src/nodes/natpass/relay/options.ts'
import { complaint } from '../../helpers/cli/complaint.ts'

delete process.env.TUNPIPE_SECRET

const natpass: Protocol<typeof relayOptions> = {
  name: 'natpass',
  description: 'A server for natpass clients.',
  examples: { program: 'relay natpass --listen 0.0.0.0:6154 --secret-file natpass.secret', command: '' },
  options: relayOptions,
  verify: verifyListenerTls,
  finish: (settings) => settings,
  async start () { throw new Error('has no node') },
  statusText: () => ''
}

const protocols = [natpass as Protocol]

function loaded (...argv: string[]): ReturnType<typeof load> {
  let flags: Flags | undefined
  parse(protocolCommand(natpass as Protocol, (given) => { flags = given }), argv)
  return load({ program: 'relay', protocols, flags: flags as Flags })
}

t.test('help', async (t) => {
  const help = protocolCommand(natpass as Protocol, () => {}).helpInformation().replaceAll(/\s+/g, ' ')
  for (const line of [
    '--listen <host:port> where clients connect, such as 0.0.0.0:6154; port 0 takes a free one',
    '--secret <text> who knows it may connect; every user of this machine can see it in `ps`, unlike the next one',
    '--secret-file <file> read it from a file, or set TUNPIPE_SECRET',
    '--legacy-md5 take the proof',
    '--rule <rule> who may open what to whom',
    '(default: everybody may open everything)',
    '--max-per-source <count> connections from one address; an IPv6 /64 is one (default: 256)',
    '--tls-key <file> its key, PEM',
    '--metrics <host:port>'
  ]) t.ok(help.includes(line), line)
})

t.test('flags, the environment and files become settings', async (t) => {
  const { services: [{ settings }], secrets } = loaded('--listen', '[::1]:0', '--secret', 'a-secret', '--strict', '--rule', 'allow:a:b:tcp', '--rule', 'deny:any:any:any', '--max-per-source', '7')
  t.match(settings, { listen: { host: '::1', port: 0 }, secret: 'a-secret', strict: true, legacyMd5: false, maxPerSource: 7, maxHalfOpen: 16_384, rules: [{ allow: true, from: 'a' }, { allow: false, from: undefined }] })
  t.same(secrets, ['a-secret'])
  t.same(loaded('--listen', '[::1]:0', '--secret', '0123456789').secrets, [], 'what everybody knows is not redacted')

  const file = join(t.testdir(), 'relay.yaml')
  writeFileSync(file, 'natpass:\n  listen: "[::1]:1"\n  rule:\n    - allow:a:b:shell\n  legacy-md5: true\n', { mode: 0o600 })
  t.equal(complaint(t, () => loaded('--config', file)), `${file}:1: natpass.secret: missing, expected a secret (or a secret-file, or TUNPIPE_SECRET)`)
  process.env.TUNPIPE_SECRET = 'from-the-environment'
  t.teardown(() => { delete process.env.TUNPIPE_SECRET })
  t.match(loaded('--config', file).services[0].settings, { secret: 'from-the-environment', legacyMd5: true, rules: [{ types: ['shell'] }] })
})

t.test('what is wrong is named', async (t) => {
  const wrong: Array<[argv: string[], message: RegExp]> = [
    [[], /^--listen: missing, expected HOST:PORT/],
    [['--listen', 'h:1'], /^--secret: missing, expected a secret/],
    [['--listen', 'h:1', '--secret', ''], /^--secret: empty, expected a secret/],
    [['--listen', 'h:1', '--secret', 'x', '--rule', 'allow:a'], /^--rule: not a rule \("allow:a"\), expected allow:FROM:TO:TYPES/],
    [['--listen', 'tls://h:1', '--secret', 'x'], /^--tls-cert: missing, expected a PEM file, since listen is tls:\/\/$/],
    [['--listen', 'h:1', '--secret', 'x', '--tls-key', 'x.pem'], /^--tls-cert: missing, expected a PEM file, since there is a tls-key$/],
    [['--listen', 'h:1', '--secret', 'x', '--max-per-source', '0'], /^--max-per-source: not a whole number in range \("0"\), expected 1 to 1000000$/],
    [['--listen', 'h:1', '--secrt', 'x'], /^unknown option '--secrt', did you mean --secret\?$/]
  ]
  for (const [argv, message] of wrong) t.match(complaint(t, () => loaded(...argv)), message)
})

t.test('the table of the documentation', async (t) => {
  const table = optionsTable('natpass', relayOptions)
  t.match(table, /^\| option, and key below `natpass:` \| default \| meaning \|\n/)
  t.ok(table.includes('| `--listen HOST:PORT` | required | where clients connect'))
  t.ok(table.includes('| `--strict` | `false` | '))
  t.ok(table.includes('| `--max-per-source COUNT` | `256` | '))
  t.ok(table.includes('| `--secret-file FILE` |  | read it from a file, or set TUNPIPE_SECRET |'))
  t.equal(table.split('\n').length, 2 + 16)
})
