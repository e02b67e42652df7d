/** `npm run bench`: JSON lines while it runs, a table of each group at its end. `npm run bench -- --help` tells the rest. */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { gotunnelBench } from './gotunnel.ts'
import { measured } from './harness.ts'
import { relayBench } from './relay.ts'
import { table, type Row } from './table.ts'
import { tunBench } from './tun.ts'

/** The cores of the layers; each file prints as it is loaded. */
async function layerBench (): Promise<Row[]> {
  for (const name of ['websocket-frames', 'length-prefix', 'checksum', 'type-demux', 'ipv4', 'masks']) await import(`./${name}.ts`)
  return measured
}

const groups: Record<string, () => Promise<Row[]>> = {
  relay: relayBench,
  gotunnel: gotunnelBench,
  tun: tunBench,
  layers: layerBench
}

const { values: { json, help }, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
const unknown = positionals.filter((name) => !(name in groups))

if (help === true || unknown.length > 0) {
  if (unknown.length > 0) console.error(`no such group: ${unknown.join(', ')}`)
  console.log(`npm run bench -- [--json] [${Object.keys(groups).join('|')}]...

  --json   JSON lines only, no tables
  BENCH_MS=1000 in the environment makes each round that long`)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const [{ model }] = cpus()
for (const name of positionals.length > 0 ? positionals : Object.keys(groups)) {
  const rows = await groups[name]()
  if (json !== true) console.log(`\n${name}, Node ${process.version}, ${cpus().length} x ${model}\n\n${table(rows)}\n`)
}
