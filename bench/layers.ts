/** The cores of the layers, without any network. */
import { measureFor } from './lib/harness.ts'
import type { Run } from './lib/run.ts'

/** Each of them measures while it is loaded. */
const FILES = ['websocket-frames', 'length-prefix', 'stack', 'checksum', 'type-demux', 'ipv4', 'masks']

export async function layersBench (run: Run): Promise<void> {
  measureFor(run)
  for (const name of FILES) await import(`./layers/${name}.ts`)
}
