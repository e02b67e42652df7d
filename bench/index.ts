/** `npm run bench`: measures, and shows tables. `npm run bench -- --help` tells the rest. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { reason } from '../src/cli/reason.ts'
import { version } from '../src/version.ts'
import { chart } from './lib/chart.ts'
import { fiveBench } from './five.ts'
import { floodsBench } from './floods.ts'
import { gotunnelBench } from './gotunnel.ts'
import { layersBench } from './layers.ts'
import { commit, machine } from './lib/machine.ts'
import { help, readOptions, type Options } from './lib/options.ts'
import { desktopBench } from './natpass-desktop.ts'
import { natpassBench } from './natpass-relay.ts'
import { Progress } from './lib/progress.ts'
import { relayBench } from './relay.ts'
import { reliableBench } from './reliable.ts'
import { jsonLine } from './lib/row.ts'
import { rustdeskBench } from './rustdesk.ts'
import { Run } from './lib/run.ts'
import { showchainBench } from './showchain.ts'
import { table } from './lib/table.ts'
import { tunBench } from './tun.ts'
import { udpBench } from './udp.ts'

interface Group {
  about: string
  measure: (run: Run, options: Options) => Promise<void>
}

const GROUPS: Record<string, Group> = {
  relay: { about: 'what a candy relay forwards for its processor time, also among many peers; memory of a connection', measure: relayBench },
  floods: { about: 'what a flood of tiny frames by one connection does to a packet of others', measure: floodsBench },
  five: { about: 'relays of all protocols in one process: what a flood of forged datagrams on SHOW CHAIN does to an exchange of each of the others', measure: fiveBench },
  gotunnel: { about: 'a reverse TCP port: streams, connections, latency, memory of a user', measure: gotunnelBench },
  natpass: { about: 'what a natpass relay forwards on one link, the echo of a keystroke, memory of a client; also beside the original server', measure: natpassBench },
  desktop: { about: 'a desktop of a natpass peer with a real X server: the first picture, pictures a second and their price, silence while nothing changes', measure: desktopBench },
  rustdesk: { about: 'what a relay of RustDesk passes on; presence, punches and first registrations of a rendezvous server; memory; also beside the original servers', measure: rustdeskBench },
  showchain: { about: 'what a SHOW CHAIN helper introduces for its processor time, beside the verifications of signatures alone; memory of a node; sealed streams, direct and by a proxy', measure: showchainBench },
  reliable: { about: 'one reliable stream over UDP, and what it costs both ends, beside udx-native', measure: reliableBench },
  udp: { about: 'what a UDP datagram costs, out and in, to one address and to many', measure: udpBench },
  tun: { about: 'from interface to interface in network namespaces: TCP, UDP, idle and loaded latency', measure: tunBench },
  layers: { about: 'the cores of the layers, beside what one would write first', measure: layersBench }
}

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

/** The programs under test are the built ones. */
async function build (): Promise<void> {
  const [status] = await once(spawn(process.execPath, [path('scripts/build.js')], { stdio: ['ignore', 2, 2] }), 'exit')
  if (status !== 0) throw new Error('the programs could not be built')
}

async function bench (options: Options): Promise<number> {
  const progress = new Progress(process.stderr)
  progress.say('building the programs')
  await build()
  const about = { mode: options.full ? 'full' : 'quick', machine, version, commit: commit() }
  const mode = `${about.mode} run, tunpipe ${version}${about.commit === undefined ? '' : ` (${about.commit})`}`
  const where = `${machine.cores} x ${machine.cpu}, ${machine.kernel}, Node ${machine.node}`
  let failures = 0
  for (const group of options.groups) {
    const run = new Run({
      group,
      full: options.full,
      rounds: options.rounds,
      watch: (step) => { progress.step(step) },
      tell: (line) => {
        if (!options.json) return
        progress.clear()
        console.log(jsonLine(line, about))
      }
    })
    await GROUPS[group].measure(run, options).catch((err: unknown) => { run.fail('the rest of it', err) })
    progress.clear()
    failures += run.leftOut.filter(({ failed }) => failed).length
    if (!options.json) console.log(`\n${group}: ${mode}, ${where}\n\n${table(run.rows, run.leftOut)}\n`)
    if (options.charts) {
      const caption = [GROUPS[group].about, `${mode}, ${new Date().toISOString().slice(0, 10)}; medians, the thin lines from the lowest to the highest round`, where]
      writeFileSync(path(`docs/bench/${group}.svg`), chart({ title: group, caption, rows: run.rows, leftOut: run.leftOut }))
    }
  }
  progress.say(`${progress.elapsed} s${options.full ? '' : '; that was quick: --full measures more cases, longer and in more rounds'}`)
  return failures === 0 ? 0 : 1
}

// Everything that must not outlive this process is removed at its exit.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => { process.exit(128 + constants.signals[signal]) })

try {
  const options = readOptions(process.argv.slice(2), Object.keys(GROUPS))
  if (options.help) console.log(help(Object.fromEntries(Object.entries(GROUPS).map(([name, { about }]) => [name, about]))))
  else process.exitCode = await bench(options)
} catch (err) {
  console.error(reason(err))
  process.exitCode = (err as { code?: unknown }).code === 'ERR_USAGE' ? 2 : 1
}
