/** A stack of three layers, read without promises and by its source. */
import { codec, consume, over, stack, type Batch, type Core, type Link } from '../../src/index.ts'
import { checksum, confusionPadding, lengthPrefix, u32be } from '../../src/transforms/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const tunnel = stack(lengthPrefix(u32be), checksum('crc32'), confusionPadding({ max: 64 }))

const nowhere: Pick<Link, 'sink' | 'port' | 'abort'> = {
  async sink () {},
  port: { send: (batch) => batch.length, queued: 0, limit: 1 },
  abort () {}
}

/** A connection that brings these reads, and whose reader may be called. */
const connection = (reads: Batch): Link => ({
  ...nowhere,
  source: (async function * () { for (const read of reads) yield [read] })(),
  async flow (take) {
    for (const read of reads) {
      const busy = take([read])
      if (busy !== undefined) await busy
    }
  }
})

/** The wire of frames, in reads of so many bytes. */
function readsOf (size: number, frames: number, read: number): Batch {
  const sent: Batch = []
  const { port } = over({ ...connection([]), port: { ...nowhere.port, send: (batch: Batch) => sent.push(...batch) } }, tunnel)
  for (let i = 0; i < frames; i++) port.send([Buffer.alloc(size, 'tunpipe ')])
  if (read === 0) return sent
  const wire = Buffer.concat(sent)
  return Array.from({ length: Math.ceil(wire.length / read) }, (_, i) => wire.subarray(i * read, (i + 1) * read))
}

/** What a layer costs that says nothing about the memory that it is given: each read is copied for it. */
const undeclared = codec(() => ({ decode: { push: (batch) => batch } satisfies Core, encode: { push: (batch) => batch } satisfies Core }))

export async function stackBench (run: Run): Promise<void> {
  for (const [name, read] of [['a frame a read', 0], ['reads of 64 KiB', 65_536]] as const) {
    const frames = 1024
    const reads = readsOf(1360, frames, read)
    const count = async (link: Link): Promise<number> => {
      let got = 0
      await consume(link, (batch) => { got += batch.length })
      return got
    }
    await measure(run, {
      bench: 'three layers, read',
      name: 'tunpipe',
      params: { reads: name },
      unit: 'frame',
      run: () => count(over(connection(reads), tunnel))
    }, {
      name: 'by source',
      run: () => count(over({ ...connection(reads), flow: undefined }, tunnel))
    }, {
      name: 'on a layer that copies',
      run: () => count(over(over(connection(reads), undeclared), tunnel))
    })
  }
}
