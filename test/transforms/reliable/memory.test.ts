/** Which memory packets and read bytes are in, where it is used again, and that nobody notices. */
import t, { type Test } from 'tap'
import { simulatedPairs, streamPair } from '../../helpers/transforms/reliable.ts'
import { consume } from '../../../src/streams/consume.ts'
import { wait } from '../../../src/streams/clock.ts'
import type { ReliableLink } from '../../../src/transforms/reliable/index.ts'
import type { Batch, Link } from '../../../src/types.ts'

const SIZE = 1 << 20

const byteAt = (offset: number): number => (offset * 7 + (offset >>> 8) * 13 + (offset >>> 16)) & 0xff

async function * content (size: number): AsyncGenerator<Batch> {
  for (let at = 0; at < size; at += 4096) yield [Uint8Array.from({ length: 4096 }, (_, i) => byteAt(at + i))]
}

function verify (batch: Batch, from: number): number {
  let at = from
  for (const piece of batch) for (let i = 0; i < piece.length; i++, at++) if (piece[i] !== byteAt(at)) throw new Error(`a wrong byte at ${at}`)
  return at
}

/** A port that copies, as a system does, and is full at every third batch, until `drained`; and the buffers of its batches. */
function copying (link: Link, isReusable: boolean, buffers: ArrayBufferLike[]): Link {
  let kept: Batch = []
  const port = {
    isReusable,
    limit: link.port.limit,
    get queued () { return kept.length > 0 ? link.port.limit : 0 },
    send (batch: Batch) {
      buffers.push(batch[0].buffer)
      kept = batch
      if (buffers.length % 3 !== 0) sendKept()
      return batch.length
    },
    drained: () => Promise.resolve().then(sendKept)
  }
  const sendKept = (): void => {
    link.port.send(kept.map((one) => one.slice()))
    kept = []
  }
  return { source: link.source, sink: link.sink, flow: link.flow?.bind(link), abort: (err) => { link.abort(err) }, port }
}

async function pairOver (isReusable: boolean): Promise<{ network: ReturnType<typeof simulatedPairs>['network'], a: ReliableLink, b: ReliableLink, buffers: ArrayBufferLike[] }> {
  const { network, pair } = simulatedPairs({ seed: 4, delay: 5, loss: 0.05 })
  const [near, far] = await pair()
  const buffers: ArrayBufferLike[] = []
  const [a, b] = streamPair([copying(near, isReusable, buffers), far], { clock: network.clock, random: () => 0.5, receiveBuffer: 160 << 10 })
  return { network, a, b, buffers }
}

async function send (t: Test, isReusable: boolean): Promise<ArrayBufferLike[]> {
  const { network, a, b, buffers } = await pairOver(isReusable)
  let at = 0
  const read = consume(b, (batch) => { at = verify(batch, at) })
  await network.clock.until(Promise.all([a.sink(content(SIZE)), read]), { within: 60_000 })
  t.equal(at, SIZE)
  t.ok(buffers.length > 50, `${buffers.length} batches`)
  return buffers
}

t.test('packets are in the same memory again where the port has freed it', async (t) => {
  const buffers = await send(t, true)
  t.ok(buffers.filter((buffer, i) => i % 3 === 2 && buffer === buffers[i - 1]).length > 10)
  t.notOk(buffers.some((buffer, i) => i % 3 === 0 && i > 0 && buffer === buffers[i - 1]), 'what waits is not written over')
})

t.test('each batch is in memory of its own elsewhere', async (t) => {
  const buffers = await send(t, false)
  t.equal(new Set(buffers).size, buffers.length)
})

t.test('blocks are used again once a reader that is called is done with them', async (t) => {
  const { network, a, b } = await pairOver(false)
  const blocks = new Set<ArrayBufferLike>()
  let at = 0
  const read = b.flow(async (batch) => {
    for (const { buffer } of batch) blocks.add(buffer)
    await wait(network.clock, 20) // more comes meanwhile
    at = verify(batch, at)
  })
  await network.clock.until(Promise.all([a.sink(content(SIZE)), read]), { within: 60_000 })
  t.equal(at, SIZE)
  t.ok(blocks.size < SIZE / 65_536 / 2, `${blocks.size} blocks`)
})

t.test('what a reader has pulled is its own, also of a block that another one gets the rest of', async (t) => {
  const { network, a, b } = await pairOver(false)
  const sending = a.sink(content(SIZE))
  const kept: Batch = []
  const reads = b.source[Symbol.asyncIterator]()
  for (let size = 0; size < 100_000;) {
    const { value } = await network.clock.until(reads.next(), { within: 60_000 })
    for (const piece of value as Batch) size += kept[kept.push(piece) - 1].length
  }
  let at = kept.reduce((size, { length }) => size + length, 0)
  const read = b.flow((batch) => {
    at = verify(batch, at)
    for (const piece of batch) piece.fill(0xff)
  })
  await network.clock.until(Promise.all([sending, read]), { within: 60_000 })
  t.equal(at, SIZE)
  t.equal(verify(kept, 0), kept.reduce((size, { length }) => size + length, 0))
})
