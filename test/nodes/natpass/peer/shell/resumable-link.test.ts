/** A stream over links that are lost: nothing is missing, nothing comes twice (natpass protocol, section 6.4). */
import fc from 'fast-check'
import t from 'tap'
import { SEED } from '../../../../helpers/bytes.ts'
import { drain, until } from '../../../../helpers/ends.ts'
import { collect } from '../../../../helpers/links.ts'
import { sample } from '../../../../helpers/sample.ts'
import { linkPair } from '../../../../helpers/transforms/link-mux.ts'
import { ResumableLink } from '../../../../../src/nodes/natpass/peer/shell/resumable-link.ts'
import type { Batch } from '../../../../../src/types.ts'

const LOSS = new Error('the connection was lost')
const RUNS = sample('streams with losses', { short: 20, long: 2000 })

interface Pair {
  ends: [ResumableLink, ResumableLink]
  /** Loses the connection, and makes another one once both ends know. */
  lose (): Promise<void>
}

async function pair (): Promise<Pair> {
  const ends = [0, 1].map(() => new ResumableLink({ isLoss: (err) => err === LOSS, onLost () {} })) as [ResumableLink, ResumableLink]
  let abort = (): void => {}
  const connect = async (): Promise<void> => {
    const { client, server, muxes } = await linkPair(t, { window: 4096 })
    const [one, other] = ends
    abort = () => { for (const mux of [muxes.client, muxes.server]) mux.abort(LOSS) }
    one.attach(client, other.received)
    other.attach(server, one.received)
  }
  await connect()
  return {
    ends,
    async lose () {
      abort()
      await until(() => ends.every(({ isAttached }) => !isAttached))
      await connect()
    }
  }
}

/** Bytes that tell their place. */
const content = (length: number, seed: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 0xff))

async function * inPieces (bytes: Buffer, size: number, onPiece: () => void): AsyncGenerator<Batch> {
  for (let at = 0; at < bytes.length; at += size) {
    onPiece()
    yield [bytes.subarray(at, at + size)]
  }
}

t.test('both directions, with a loss at any place', async (t) => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 1, max: 9000 }), fc.uniqueArray(fc.nat(60_000), { maxLength: 4 }), async (length, size, cuts) => {
    const { ends: [one, other], lose } = await pair()
    const sent = [content(length, 1), content(length, 2)]
    let at = 0
    const losses = cuts.filter((cut) => cut < length).sort((a, b) => a - b)
    let losing: Promise<void> = Promise.resolve()
    const onPiece = (): void => {
      at += size
      while (losses.length > 0 && losses[0] <= at) {
        losses.shift()
        losing = losing.then(lose)
      }
    }
    const got = await Promise.all([
      collect(other.source), collect(one.source),
      one.sink(inPieces(sent[0], size, onPiece)), other.sink(inPieces(sent[1], size, () => {})), losing
    ])
    for (const i of [0, 1]) if (!Buffer.concat(got[i] as Batch).equals(sent[i])) throw new Error(`direction ${i} differs`)
    if (one.lost + other.lost > 0) throw new Error('something was lost')
  }), { numRuns: RUNS, seed: SEED })
  t.pass(`${RUNS} streams arrived whole`)
})

t.test('a sender goes on for 256 KiB while there is no link, and then waits', async (t) => {
  const { client, muxes } = await linkPair(t)
  const lost: Error[] = []
  const stream = new ResumableLink({ isLoss: () => true, onLost: (err) => { lost.push(err) } })
  let taken = 0
  const sending = stream.sink((async function * () {
    for (;;) {
      taken += 1024
      yield [Buffer.alloc(1024, taken / 1024)]
    }
  })())
  const settled = async (): Promise<number> => {
    for (let before = -1; before !== taken;) {
      before = taken
      for (let i = 0; i < 100; i++) await new Promise(setImmediate)
    }
    return taken
  }
  stream.attach(client)
  const before = await settled()
  t.ok(before >= 256 << 10 && before < 512 << 10, 'the credit of the link, and what waits to be sent')
  muxes.client.abort(LOSS)
  await until(() => lost.length > 0)
  t.equal(await settled(), before + (256 << 10))
  const all = taken
  const next = await linkPair(t, { window: 1 << 20 })
  stream.attach(next.client, 0)
  let got = 0
  for await (const batch of next.server.source) {
    for (const bytes of batch) got += bytes.length
    if (got >= all) break
  }
  t.equal(stream.lost, 0)
  stream.abort(new Error('enough'))
  await t.rejects(sending, { message: 'enough' })
})

t.test('what is not kept any more is counted', async (t) => {
  const { client, server, muxes } = await linkPair(t, { window: 2 << 20 })
  const stream = new ResumableLink({ isLoss: () => true, onLost () {} })
  stream.attach(client)
  const reading = drain(stream.source)
  void stream.sink(inPieces(Buffer.alloc(1 << 20), 4096, () => {})).catch(() => {})
  let got = 0
  for await (const batch of server.source) {
    for (const bytes of batch) got += bytes.length
    if (got === 1 << 20) break
  }
  muxes.client.abort(LOSS)
  await until(() => !stream.isAttached)
  const next = await linkPair(t)
  stream.attach(next.client, 0)
  t.equal(stream.lost, 256 << 10)
  stream.abort(new Error('enough'))
  t.match(await reading, { message: 'enough' })
})

t.test('an error that is no loss ends it, as an abort does, for reader and writer', async (t) => {
  for (const [end, ended] of [['by the link', 0], ['by abort', 1], ['by abort without a link', 2]] as const) {
    let ends = 0
    const { client } = await linkPair(t)
    const stream = new ResumableLink({ isLoss: () => false, onLost () { throw new Error('no loss') }, onEnd: () => { ends++ } })
    if (ended < 2) stream.attach(client)
    const reading = collect(stream.source)
    let isLeft = false
    const writing = stream.sink((async function * () {
      try {
        yield [Buffer.from('x')]
        await reading.catch(() => {})
      } finally {
        isLeft = true
      }
    })())
    if (ended === 0) client.abort(LOSS)
    else stream.abort(LOSS)
    await t.rejects(reading, LOSS, end)
    await t.rejects(writing, LOSS, end)
    t.same([stream.isOver, ends], [true, 1], end)
    if (ended < 2) await until(() => isLeft)
    const late = await linkPair(t)
    stream.attach(late.client)
    await t.rejects(collect(late.client.source), LOSS, 'a link that comes too late is ended')
    await t.rejects(stream.sink(inPieces(Buffer.alloc(1), 1, () => {})), LOSS)
  }
})
