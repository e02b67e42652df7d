/** Sources, links that record, and cuts of any size, for the tests of layers. */
import type { Batch, Link } from '../../src/types.ts'

export async function * from<T> (batches: Iterable<Batch<T>>): AsyncGenerator<Batch<T>> {
  yield * batches
}

/** Everything that a source brings, whatever its batches. */
export async function collect<T> (source: AsyncIterable<Batch<T>>): Promise<T[]> {
  const all: T[] = []
  for await (const batch of source) all.push(...batch)
  return all
}

/** Copies of consecutive pieces whose sizes go round in `sizes`; 0 gives an empty piece. */
export function pieces (wire: Uint8Array, sizes: number[]): Uint8Array[] {
  const out: Uint8Array[] = []
  let at = 0
  for (let i = 0; at < wire.length; i++) {
    const size = i < sizes.length ? sizes[i] : Math.max(1, sizes[i % sizes.length])
    out.push(Uint8Array.from(wire.subarray(at, at + size)))
    at += size
  }
  return out
}

/** A link whose source is given and that keeps copies of what goes out. */
export interface RecordingLink extends Link {
  readonly sent: Batch[]
  readonly aborted: Error[]
  queued: number
}

export function recordingLink (batches: Iterable<Batch> = [], limit = 1000): RecordingLink {
  const sent: Batch[] = []
  const link: RecordingLink = {
    sent,
    aborted: [],
    queued: 0,
    source: from(batches),
    async sink (source) {
      for await (const batch of source) sent.push(batch.map((bytes) => Uint8Array.from(bytes)))
    },
    port: {
      send (batch) {
        if (link.queued >= limit) return 0
        sent.push(batch.map((bytes) => Uint8Array.from(bytes)))
        return batch.length
      },
      get queued () { return link.queued },
      limit
    },
    abort: (err) => { link.aborted.push(err) }
  }
  return link
}
