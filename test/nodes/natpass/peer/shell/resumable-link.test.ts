/** A stream over links that are lost: nothing is missing, nothing comes twice (natpass protocol, section 6.4). */
import fc from 'fast-check'
import t from 'tap'
import { SEED } from '../../../../helpers/bytes.ts'
import { drain, until } from '../../../../helpers/ends.ts'
import { collect } from '../../../../helpers/links.ts'
import { sample } from '../../../../helpers/sample.ts'
import { linkPair } from '../../../../helpers/transforms/link-mux.ts'
import { ResumableLink, type ResumableLinkInit } from '../../../../../src/nodes/natpass/peer/shell/resumable-link.ts'
import type { Batch } from '../../../../../src/types.ts'

const LOSS = new Error('the connection was lost')
const RUNS = sample('streams with losses', { short: 20, long: 2000 })

function kept (init: ResumableLinkInit): ResumableLink {
  const stream = new ResumableLink(init)
  stream.keep()
  return stream
}

interface Pair {
  ends: [ResumableLink, ResumableLink]
  /** Loses the connection, and makes another one once both ends know. */
  lose (): Promise<void>
}

async function pair (): Promise<Pair> {
  const ends = [0, 1].map(() => kept({ isLoss: (err) => err === LOSS, onLost () {} })) as [ResumableLink, ResumableLink]
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
  }), { numRuns: RUNS, seed: SEED })
  t.pass(`${RUNS} streams arrived whole`)
})

/** The stream of one sender, and losses of its link while its reader does not read. */
async function sender (batches: () => AsyncGenerator<Batch>) {
  let connected = await linkPair(t)
  const stream = kept({ isLoss: () => true, onLost () {} })
  let taken = 0
  const sending = stream.sink((async function * () {
    for await (const batch of batches()) {
      for (const { length } of batch) taken += length
      yield batch
    }
  })())
  stream.attach(connected.client)
  return {
    stream,
    sending,
    /** Waits until nothing more is taken. */
    async settled () {
      for (let before = -1; before !== taken;) {
        before = taken
        for (let i = 0; i < 100; i++) await new Promise(setImmediate)
      }
      return taken
    },
    /** @param received where it goes on, over another link; its reader */
    async lose (received?: number): Promise<AsyncIterable<Batch>> {
      connected.muxes.client.abort(LOSS)
      await until(() => !stream.isAttached)
      if (received !== undefined) {
        connected = await linkPair(t)
        stream.attach(connected.client, received)
      }
      return connected.server.source
    },
    reader: connected.server.source
  }
}

t.test('a reader that stands still, and three losses: the sender goes on for 256 KiB at least, and nothing is lost', async (t) => {
  const all = content(4 << 20, 3)
  for (const size of [1024, 300_000, 1 << 20]) {
    const { sending, settled, lose } = await sender(async function * () {
      for (let at = 0; at < all.length; at += size) yield [all.subarray(at, at + size)]
    })
    const before = await settled()
    await lose()
    const after = await settled()
    t.ok(size > 1024 || after - before >= 256 << 10, `${after - before} bytes while there is no link`)
    for (let i = 0; i < 2; i++) {
      await lose(0)
      await settled()
    }
    const got = Buffer.concat(await collect(await lose(0)))
    t.ok(got.equals(all), `batches of ${size}`)
    await sending
  }
})

t.test('what is not kept any more cannot be gone on with', async (t) => {
  const { stream, sending, lose, reader } = await sender(async function * () { for (let i = 0; i < 256; i++) yield [Buffer.alloc(4096)] })
  const reading = drain(stream.source)
  let got = 0
  for await (const batch of reader) {
    for (const bytes of batch) got += bytes.length
    if (got === 1 << 20) break
  }
  await sending
  t.same([0, 262_143, 262_144, 1 << 20, (1 << 20) + 1].map((position) => stream.keeps(position)), [false, false, true, true, false])
  await lose(0)
  t.match(await reading, { code: 'ERR_LINK_CLOSED', message: /not kept any more/ })
  await t.rejects(stream.sink(inPieces(Buffer.alloc(1), 1, () => {})), { code: 'ERR_LINK_BUSY' })
})

t.test('without keeping a loss is the end', async (t) => {
  const { client, muxes } = await linkPair(t)
  const stream = new ResumableLink({ isLoss: () => true, onLost () { throw new Error('no loss') } })
  stream.attach(client)
  const reading = drain(stream.source)
  muxes.client.abort(LOSS)
  t.equal(await reading, LOSS)
})

t.test('an error that is no loss ends it, as an abort does, for reader and writer', async (t) => {
  for (const [end, ended] of [['by the link', 0], ['by abort', 1], ['by abort without a link', 2]] as const) {
    let ends = 0
    const { client } = await linkPair(t)
    const stream = kept({ isLoss: () => false, onLost () { throw new Error('no loss') }, onEnd: () => { ends++ } })
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
  }
})
