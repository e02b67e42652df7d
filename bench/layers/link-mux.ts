/**
 * Links over one connection against js-libp2p's yamux: both sides in this process, each over the connection in memory of its own library.
 * Both have windows of 256 KiB at first; yamux lets them grow. Frames have 16 KiB of data here, 64 KiB there.
 */
import { yamux } from '@chainsafe/libp2p-yamux'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { compactMux, linkMux } from '../../src/transforms/index.ts'
import { memoryPair } from '../../src/transports/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'
import type { Batch } from '../../src/types.ts'

/** Opens so many links, sends batches of elements over each of them, and settles when all has arrived. */
type Mover = (links: number, batches: number, batch: Batch) => Promise<void>

const sizeOf = (batch: Batch): number => batch.reduce((sum, { length }) => sum + length, 0)

/** A count of arrived bytes, and a promise for a number of them. */
function arrivals (): { got: (bytes: number) => void, all: (bytes: number) => Promise<void> } {
  let left = 0
  let done = (): void => {}
  return {
    got (bytes) {
      left -= bytes
      if (left === 0) done()
    },
    all (bytes) {
      left += bytes
      return new Promise((resolve) => { done = resolve })
    }
  }
}

function ours (): Mover {
  const [here, there] = memoryPair()
  const { got, all } = arrivals()
  const nothing = Buffer.alloc(0)
  const count = (batch: Batch): void => { got(sizeOf(batch)) }
  linkMux({
    codec: compactMux({ role: 'server' }),
    async onOpen (opening) {
      const link = opening.accept(nothing)
      await link.flow(count)
      await link.sink((async function * (): AsyncGenerator<Batch> {})())
    }
  })(there)
  const mux = linkMux({ codec: compactMux({ role: 'client' }) })(here)
  return async (links, batches, batch) => {
    const arrived = all(links * batches * sizeOf(batch))
    await Promise.all(Array.from({ length: links }, async () => {
      const link = await mux.open(nothing)
      const ended = link.flow(() => {})
      await link.sink((async function * () { for (let i = 0; i < batches; i++) yield batch })())
      await ended
    }))
    await arrived
  }
}

function theirs (): Mover {
  const [here, there] = multiaddrConnectionPair()
  const { got, all } = arrivals()
  const make = yamux({ enableKeepAlive: false })()
  const mux = make.createStreamMuxer(here)
  make.createStreamMuxer(there).addEventListener('stream', ({ detail: stream }) => {
    stream.addEventListener('message', ({ data }) => { got(data.byteLength) })
    stream.addEventListener('remoteCloseWrite', () => { void stream.close() })
  })
  return async (links, batches, batch) => {
    const arrived = all(links * batches * sizeOf(batch))
    await Promise.all(Array.from({ length: links }, async () => {
      const stream = await mux.createStream()
      for (let i = 0; i < batches; i++) {
        for (const bytes of batch) {
          if (!stream.send(bytes)) await new Promise((resolve) => { stream.addEventListener('drain', resolve, { once: true }) })
        }
      }
      await stream.close()
    }))
    await arrived
  }
}

export async function linkMuxBench (run: Run): Promise<void> {
  const [tunpipe, rival] = [ours(), theirs()]
  const cases: Array<{ what: string, links: number, batches: number, batch: Batch, unit?: string }> = [
    { what: 'bulk', links: 1, batches: 128, batch: [Buffer.alloc(65_536, 1)] },
    { what: 'bulk', links: 100, batches: 4, batch: [Buffer.alloc(65_536, 1)] },
    { what: 'small writes', links: 1, batches: 512, batch: Array(32).fill(Buffer.alloc(64, 1)) },
    { what: 'open, send, end', links: 200, batches: 1, batch: [Buffer.alloc(64, 1)], unit: 'link' }
  ]
  for (const { what, links, batches, batch, unit = 'byte' } of cases) {
    const units = unit === 'link' ? links : links * batches * sizeOf(batch)
    const moved = async (mover: Mover): Promise<number> => {
      await mover(links, batches, batch)
      return units
    }
    await measure(run, {
      bench: `link-mux, ${what}`,
      name: 'tunpipe',
      params: { links, size: batch[0].length },
      unit,
      run: () => moved(tunpipe)
    }, { name: 'yamux', run: () => moved(rival) })
  }
}
