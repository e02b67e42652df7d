import fc from 'fast-check'
import { pipe } from 'it-pipe'
import t from 'tap'
import { acquire } from '../src/buffers/buffer-pool.ts'
import { codec, over, stack, transform } from '../src/layer.ts'
import type { Core, Layer, Link } from '../src/types.ts'
import { TruncatedError } from '../src/errors.ts'
import { hex, toHex } from './helpers/bytes.ts'
import { collect, from, recordingLink } from './helpers/links.ts'

/** Adds to each byte, so that the order of layers shows: below in one direction, above in the other. */
const map = (change: (byte: number) => number): Core => ({ push: (batch) => batch.map((bytes) => bytes.map(change)) })
const plus = (n: number): Layer => codec(() => ({ decode: map((byte) => byte - n), encode: map((byte) => byte + n) }))
const times = (n: number): Layer => codec(() => ({ decode: map((byte) => byte / n), encode: map((byte) => byte * n) }))
const numbers: Layer<Link, Link<number>> = codec<Uint8Array, number>(() => ({
  decode: { push: (batch) => batch.map((bytes) => bytes[0]) },
  encode: { push: (batch) => batch.map((n) => Uint8Array.of(n)) }
}))

t.test('transform: one batch in, at most one out, and the end is told', async (t) => {
  const batches: number[][] = []
  let ended = 0
  const odd = transform<number, number>({
    push: (batch) => batch.filter((n) => n % 2 === 1),
    end () { ended++ }
  })
  for await (const batch of odd(from([[1, 2, 3], [2, 4], [], [5]]))) batches.push(batch)
  t.same(batches, [[1, 3], [5]], 'empty batches are not handed on')
  t.equal(ended, 1)
})

t.test('transform: errors of the core and of the source', async (t) => {
  const cut = transform<number, number>({
    push: (batch) => batch,
    end () { throw new TruncatedError('cut') }
  })
  await t.rejects(collect(cut(from([[1]]))), { code: 'ERR_TRUNCATED' })

  let left = false
  async function * source (): AsyncGenerator<number[]> {
    try {
      yield [1]
      yield [2]
    } finally {
      left = true
    }
  }
  const bad = transform<number, number>({ push () { throw new Error('bad input') } })
  await t.rejects(collect(bad(source())), { message: 'bad input' })
  t.ok(left, 'the source is left')

  async function * broken (): AsyncGenerator<number[]> {
    yield [1]
    throw new Error('reset')
  }
  await t.rejects(collect(cut(broken())), { message: 'reset' }, 'a broken source is not a cut one')
})

t.test('transform: what was good comes before the failure', async (t) => {
  const core: Core<number> & { failure?: Error } = {
    push (batch) {
      const bad = batch.indexOf(0)
      if (bad < 0) return batch
      core.failure = new TruncatedError('zero')
      return batch.slice(0, bad)
    },
    end () { t.fail('the source did not end') }
  }
  const got: number[] = []
  await t.rejects(async () => {
    for await (const batch of transform(core)(from([[1], [2, 0, 3], [4]]))) got.push(...batch)
  }, { message: 'zero' })
  t.same(got, [1, 2])
})

t.test('transform: fits it-pipe', async (t) => {
  const double = transform<number, number>({ push: (batch) => batch.map((n) => n * 2) })
  t.same(await pipe(from([[1, 2], [3]]), double, double, collect), [4, 8, 12])
})

t.test('codec: source, sink, port and abort', async (t) => {
  const lower = recordingLink([[hex('0b0c')], [hex('0d')]])
  const link = over(lower, plus(10))
  t.same((await collect(link.source)).map(toHex), ['0102', '03'])
  await link.sink(from([[hex('01')], [], [hex('02'), hex('03')]]))
  t.equal(link.port.send([hex('04')]), 1)
  t.same(lower.sent.map((batch) => batch.map(toHex)), [['0b'], ['0c', '0d'], ['0e']])
  const err = new Error('enough')
  link.abort(err)
  t.same(lower.aborted, [err])
})

t.test('codec: a link each gets cores of its own', async (t) => {
  let made = 0
  const counting: Layer = codec(() => {
    made++
    return { decode: map((byte) => byte), encode: map((byte) => byte) }
  })
  over(recordingLink(), counting)
  over(recordingLink(), counting)
  t.equal(made, 2)
})

t.test('codec: a full port takes nothing, and nothing is encoded for it', async (t) => {
  let encoded = 0
  const lower = recordingLink([], 100)
  const { port } = over(lower, codec(() => ({
    decode: map((byte) => byte),
    encode: {
      push (batch) {
        encoded++
        return batch
      }
    }
  })))
  t.equal(port.limit, 100)
  lower.queued = 99
  t.equal(port.queued, 99)
  t.equal(port.send([hex('01'), hex('02')]), 2)
  lower.queued = 100
  t.equal(port.send([hex('01'), hex('02')]), 0)
  t.equal(encoded, 1)
  t.equal(port.send([]), 0)
})

t.test('codec: a batch that was taken is never reported as dropped', async (t) => {
  const lower = recordingLink()
  const joined = over(lower, codec(() => ({ decode: map((byte) => byte), encode: { push: (batch) => [Buffer.concat(batch)] } })))
  t.equal(joined.port.send([hex('01'), hex('02'), hex('03')]), 3, 'one element below, three above')
  const silent = over(lower, codec(() => ({ decode: map((byte) => byte), encode: { push: () => [] } })))
  t.equal(silent.port.send([hex('01'), hex('02')]), 2, 'an encoder may keep or swallow')
  t.equal(lower.sent.length, 1, 'and then nothing is sent')
})

t.test('codec: what the encoder refuses is dropped at the port and rejected at the sink', async (t) => {
  const refuse = (err: Error): Layer => codec(() => ({
    decode: map((byte) => byte),
    encode: {
      push (batch) {
        if (batch.some((bytes) => bytes.length > 1)) throw err
        return batch
      }
    }
  }))
  const lower = recordingLink()
  const strict = over(lower, refuse(new TruncatedError('too long')))
  t.equal(strict.port.send([hex('01'), hex('0203')]), 0, 'the whole batch')
  t.equal(strict.port.send([hex('04')]), 1, 'and the next one passes')
  t.same(lower.sent.map((batch) => batch.map(toHex)), [['04']])
  await t.rejects(strict.sink(from([[hex('0203')]])), { code: 'ERR_TRUNCATED' })

  const bug = over(lower, refuse(new TypeError('undefined is not a function')))
  t.throws(() => bug.port.send([hex('0203')]), TypeError, 'an error without a code is a bug, and goes on')
})

t.test('stack: the lowest first', async (t) => {
  for (const layer of [stack(plus(1), times(2)), stack(stack(plus(1)), times(2))]) {
    const lower = recordingLink([[Uint8Array.of(7)]])
    const link = over(lower, layer)
    t.same(await collect(link.source), [Uint8Array.of(3)])
    await link.sink(from([[Uint8Array.of(5)]]))
    link.port.send([Uint8Array.of(6)])
    t.same(lower.sent, [[Uint8Array.of(11)], [Uint8Array.of(13)]])
  }
  const five = stack(plus(1), plus(1), plus(1), plus(1), numbers)
  t.same(await collect(over(recordingLink([[Uint8Array.of(9)]]), five).source), [5])
})

t.test('stack: codecs beside each other behave as layers on layers', async (t) => {
  /** Passes bytes below the limit; the first one at or above it is a failure of a decoder, and nothing of its batch passes an encoder. */
  const limited = (limit: number, undone: number[]): Layer => codec(() => {
    const decode: Core & { failure?: Error } = {
      push (batch) {
        const bad = batch.findIndex(([byte]) => byte >= limit)
        if (bad >= 0) decode.failure = new TruncatedError(`not below ${limit}`)
        return bad < 0 ? batch : batch.slice(0, bad)
      },
      end () { undone.push(-limit) }
    }
    const encode: Core = {
      push (batch) {
        if (batch.some(([byte]) => byte >= limit)) throw new TruncatedError(`not below ${limit}`)
        return batch
      },
      undo () { undone.push(limit) }
    }
    return { decode, encode }
  })
  const seen = async (join: (layers: Layer[]) => Layer, limits: number[], batches: number[][]): Promise<unknown> => {
    const undone: number[] = []
    const lower = recordingLink(batches.map((batch) => batch.map((byte) => Uint8Array.of(byte))))
    const link = over(lower, join(limits.map((limit) => limited(limit, undone))))
    const got: number[] = []
    const failure = await (async () => { for await (const batch of link.source) for (const [byte] of batch) got.push(byte) })().then(() => undefined, (err: Error) => err.message)
    const taken = batches.map((batch) => link.port.send(batch.map((byte) => Uint8Array.of(byte))))
    lower.queued = 1000
    return { got, failure, taken, sent: lower.sent, undone, full: link.port.send([Uint8Array.of(0)]) }
  }
  const byte = fc.integer({ min: 0, max: 9 })
  await fc.assert(fc.asyncProperty(fc.array(byte, { minLength: 2, maxLength: 4 }), fc.array(fc.array(byte, { minLength: 1, maxLength: 3 }), { maxLength: 4 }), async (limits, batches) => {
    const joined = await seen((layers) => stack(...layers as [Layer]), limits, batches)
    t.same(joined, await seen((layers) => (lower) => layers.reduce((link, layer) => layer(link), lower), limits, batches))
  }))
})

t.test('stack: what is known of the memory of a batch', async (t) => {
  const of = (memory: Core['memory']): Layer => codec(() => ({ decode: { push: (batch) => batch, memory }, encode: { push: (batch) => batch } }))
  const isPooled = (...layers: Layer[]): boolean => {
    let asked = false
    const lower: Link = { ...recordingLink(), poolReads: () => { asked = true } }
    over(lower, stack(...layers as [Layer])).poolReads?.()
    return asked
  }
  t.ok(isPooled(of('passes'), of('passes')))
  t.ok(isPooled(of('passes'), of('copies'), of(undefined)))
  t.notOk(isPooled(of('passes'), of(undefined)))
  t.notOk(isPooled(of(undefined), of('copies')))
  const released = acquire(20_000)
  const upper: Layer = codec(() => ({ decode: { push: () => [Uint8Array.of(1)], memory: 'copies' }, encode: { push: (batch) => batch } }))
  const pooling: Layer = codec(() => ({ decode: { push: () => [released], memory: 'copies' }, encode: { push: (batch) => batch } }))
  await collect(over(recordingLink([[hex('00')]]), stack(pooling, upper)).source)
  t.equal(acquire(20_000).buffer, released.buffer, 'the memory between two of them is given back')
})

t.test('stack: the type and the extras of the highest layer stay', async (t) => {
  const named = (lower: ReturnType<typeof recordingLink> | Parameters<Layer>[0]) => ({ ...lower, name: 'top' })
  const link = over(recordingLink(), stack(plus(1), named))
  t.equal(link.name, 'top')
})
