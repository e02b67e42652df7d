/** What README.md and docs/ say has to stay true: their code is that of the examples, their tables name all there is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import t from 'tap'
import { keysOf } from '../../src/cli/config/keys.ts'
import { createPeerCommand } from '../../src/cli/peer-command.ts'
import { parseConfig } from '../../src/cli/config/config-file.ts'
import { resolveProgram } from '../../src/cli/config/load.ts'
import { SHARED_KEYS } from '../../src/cli/config/program.ts'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../../src/cli/protocols.ts'
import { createRelayCommand } from '../../src/cli/relay-command.ts'
import { CandyPeer } from '../../src/nodes/candy/peer/peer.ts'
import { newNetworkStats } from '../../src/nodes/candy/relay/stats.ts'
import { newMapStats } from '../../src/nodes/gotunnel/peer/settings.ts'
import { REASONS } from '../../src/nodes/gotunnel/protocol/reasons.ts'
import { newRefused, newTraffic } from '../../src/nodes/gotunnel/relay/stats.ts'
import { userspaceTun } from '../../src/tun/userspace.ts'
import { withTables } from '../../scripts/options-tables.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const documents = ['README.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]
const candy = read('docs/candy.md')
const gotunnel = read('docs/gotunnel.md')
const operations = read('docs/operations.md')
const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** An example without the comment that it begins with. */
const example = (name: string): string => read(`examples/${name}`).replace(/^\/\*\*.*?\*\/\n/s, '')
const codeOf = (file: string): string[] => [...read(file).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code)

t.test('code is that of the examples', async (t) => {
  t.same(codeOf('README.md'), [example('quick-start.ts'), example('echo-tunnel.ts')])
  t.same(codeOf('docs/architecture.md'), [example('own-layer.ts')])
  t.same(codeOf('docs/embedding.md'), [example('embedding.ts'), example('ports.ts'), example('rustdesk.ts'), example('showchain.ts'), example('links.ts'), example('udp-echo.ts'), example('reliable.ts'), example('sealing.ts'), example('signed.ts'), example('capture.ts')])
  t.same(codeOf('docs/simulated-network.md'), [example('simulated-loss.ts')])
})

t.test('links lead somewhere', async (t) => {
  const anchors = (file: string): string[] => [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, title]) => title.toLowerCase().replaceAll(/[^\w -]/g, '').replaceAll(' ', '-'))
  for (const file of documents) {
    for (const [, path, anchor] of read(file).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const target = path === '' ? file : join(dirname(file), path)
      t.ok(existsSync(join(root, target)), `${file}: ${target}`)
      if (anchor !== undefined) t.ok(anchors(target).includes(anchor), `${file}: ${target}#${anchor}`)
    }
  }
})

t.test('all options and keys are told', async (t) => {
  const programs: Command[] = [createRelayCommand(() => {}, () => {}), createPeerCommand(() => {}, () => {})]
  for (const { name, options } of [...RELAY_PROTOCOLS, ...PEER_PROTOCOLS]) {
    const keys = keysOf(options).flatMap(({ name, sections = {} }) => [name, ...keysOf(sections).map(({ name }) => name)])
    for (const key of new Set([...keys, ...name === 'candy' ? SHARED_KEYS : []])) t.ok(read(`docs/${name}.md`).includes(`\`--${key}`) || read(`docs/${name}.md`).includes(`\`${key}\``), key)
  }
  for (const command of programs.flatMap(({ commands }) => commands)) {
    const own = `docs/${command.name()}.md` // a protocol has one
    const document = documents.includes(own) ? read(own) : operations
    for (const { long } of command.options) t.ok(long !== undefined && document.includes(long), `${command.name()} ${long}`)
  }
})

t.test('the tables of options are those of the options', async (t) => {
  for (const file of ['docs/candy.md', 'docs/gotunnel.md', 'docs/natpass.md', 'docs/rustdesk.md']) {
    t.ok(read(file).includes('<!-- options: '), file)
    t.ok(withTables(read(file)) === read(file), `${file} is as \`npm run docs\` writes it`)
  }
})

t.test('files that are shown can be read', async (t) => {
  for (const [, text] of gotunnel.matchAll(/^```yaml\n(.*?)^```$/gms)) {
    const protocols = text.includes('server:') ? PEER_PROTOCOLS : RELAY_PROTOCOLS
    t.ok(resolveProgram(protocols, protocols === PEER_PROTOCOLS ? 'peer' : 'relay', [parseConfig('shown.yaml', text)]).values, text)
  }
})

t.test('all numbers of candy are told', async (t) => {
  const peer = new CandyPeer({ url: 'ws://127.0.0.1/', password: 'secret', tun: userspaceTun() }).stats
  const relay = { connections: 0, halfOpen: 0, accepted: 0, ...newNetworkStats() }
  for (const name of new Set([...Object.keys(relay), ...Object.keys(peer)])) t.ok(candy.includes(`\`tunpipe_candy_${snakeCase(name)}`), name)
  for (const reason of Object.keys(relay.refused)) t.match(candy, new RegExp(`^\\| \`${reason}\` \\| (?:\\d{4}|none,) `, 'm'), `refused: ${reason}`)
  for (const reason of [...Object.keys(relay.drops), ...Object.keys(peer.drops)]) t.ok(candy.includes(`\`${reason}\`: `), `drops: ${reason}`)
})

t.test('all numbers of gotunnel are told', async (t) => {
  for (const name of ['online', 'service', 'clients', 'halfOpen', 'refused', 'ports', ...Object.keys(newTraffic()), ...Object.keys(newMapStats())]) t.ok(gotunnel.includes(`\`tunpipe_gotunnel_${snakeCase(name)}`), name)
  for (const name of ['online', ...Object.keys(newTraffic())]) t.ok(gotunnel.includes(`\`tunpipe_gotunnel_port_${snakeCase(name)}`), name)
  for (const reason of [...Object.keys(newRefused()), ...Object.keys(newTraffic().drops)]) t.match(gotunnel, new RegExp(`^\\| [^|]*\`${reason}\``, 'm'), reason)
  for (const reason of Object.keys(newMapStats().drops)) t.ok(gotunnel.includes(`\`${reason}\`, `), reason)
  for (const [why, text] of Object.entries(REASONS)) if (why !== 'not_owner' && why !== 'unclaimed') t.ok(gotunnel.includes(`\`${text}\``), text)
})

t.test('all dependencies are told, and no others', async (t) => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read('package.json'))
  const rows = [...read('docs/dependencies.md').matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => cell.split(', ').map((name) => name.replaceAll('`', '')))
  t.same(rows.sort(), [dependencies, optionalDependencies, devDependencies].flatMap((list) => Object.keys(list)).sort())
})

t.test('all scripts of package.json that are told exist', async (t) => {
  const { scripts } = JSON.parse(read('package.json'))
  for (const file of documents) {
    for (const [, script] of read(file).matchAll(/npm run ([\w:]+)/g)) t.ok(script in scripts, `${file}: npm run ${script}`)
  }
})
