/** The first configuration of a relay names all protocols, and each of them can be switched on in it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { load } from '../../src/cli/config/load.ts'
import { RELAY_PROTOCOLS } from '../../src/cli/protocols.ts'
import { privateKey } from '../helpers/showchain/keys.ts'
import { startProgram } from '../helpers/programs/program.ts'

const NAMES = RELAY_PROTOCOLS.map(({ name }) => name)

/** Without the "# " of the section of a protocol. */
function switchedOn (text: string, name: string): string {
  const lines = text.split('\n')
  const from = lines.indexOf(`# ${name}:`)
  const length = lines.slice(from).findIndex((line) => !line.startsWith('# '))
  return lines.map((line, i) => i >= from && i < from + length ? line.slice(2) : line).join('\n')
}

/** The protocols that run with a text as relay.yaml, in its folder. */
function running (folder: string, text: string): string[] {
  const config = join(folder, 'relay.yaml')
  writeFileSync(config, text, { mode: 0o600 })
  const back = process.cwd()
  process.chdir(folder)
  try {
    const { services, warnings } = load({ program: 'relay', protocols: RELAY_PROTOCOLS, flags: { config, protocol: undefined, source: { values: {}, name: (path) => path.join('.') } } })
    t.same(warnings, [], 'nothing to warn about')
    return services.map(({ protocol }) => protocol.name)
  } finally {
    process.chdir(back)
  }
}

t.test('it runs one, and each other one once its comments are removed', async (t) => {
  const folder = t.testdir()
  const relay = startProgram(t, 'relay', [], { cwd: folder })
  await relay.find(/^Wrote relay\.yaml [^]*^ {2}rustdesk/m)
  relay.signal('SIGTERM')
  const { stdout, stderr } = await relay.ended
  for (const { name, description, isDefault } of RELAY_PROTOCOLS) if (isDefault !== true) t.match(stdout, new RegExp(`^ {2}${name} +${description.slice(0, 20)}`, 'm'), `${name} is named`)
  const text = readFileSync(join(folder, 'relay.yaml'), 'utf8')
  writeFileSync(join(folder, 'relay.pem'), privateKey('a').export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  t.same(running(folder, text), ['candy'])
  for (const name of NAMES.slice(1)) t.same(running(folder, switchedOn(text, name)), ['candy', name])
  t.same(running(folder, NAMES.slice(1).reduce(switchedOn, text)), NAMES, 'all at once')
  const secrets = [...text.matchAll(/(?:password|token|secret): ((?:[a-z0-9]{4}-){6}[a-z0-9]{4})$/gm)].map(([, secret]) => secret)
  t.equal(new Set(secrets).size, 3, 'each has a secret of its own')
  for (const secret of secrets.slice(1)) t.notMatch(stdout + stderr, secret)
})

t.test('secrets of the environment are not stored', async (t) => {
  const folder = t.testdir()
  const relay = startProgram(t, 'relay', ['--json'], { cwd: folder, env: { TUNPIPE_PASSWORD: 'correct-horse', TUNPIPE_TOKEN: 'battery-staple', TUNPIPE_SECRET: 'tr0ub4dor' } })
  await relay.find(/"created"/)
  relay.signal('SIGTERM')
  await relay.ended
  t.notMatch(readFileSync(join(folder, 'relay.yaml'), 'utf8'), /^(?:# )? +(?:password|token|secret): |correct-horse|battery-staple|tr0ub4dor/m)
})
