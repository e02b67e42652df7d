import fc from 'fast-check'
import t from 'tap'
import { over } from '../../src/layer.ts'
import {
  LengthPrefixEncoder, controlFrames, lengthPrefix, rustdeskLength, u16be, u32be, type LengthCodec, type LengthPrefixInit
} from '../../src/transforms/index.ts'
import type { Layer } from '../../src/types.ts'
import { memoryPair } from '../../src/transports/memory/index.ts'
import { cut, hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'
import { collect, from, pieces, recordingLink } from '../helpers/links.ts'

const ROUNDS = mutations()

const codecs = [u16be, u32be, rustdeskLength]

interface Outcome {
  frames: string[]
  code: string | undefined
}

/** What a layer makes of reads: the frames, and the code that it ends with. */
async function outcome (layer: Layer, reads: Uint8Array[]): Promise<Outcome> {
  const frames: string[] = []
  let code
  try {
    const link = over(recordingLink(reads.map((read) => [Uint8Array.from(read)])), layer)
    for await (const batch of link.source) frames.push(...batch.map(toHex))
  } catch (err) {
    code = (err as { code?: string }).code ?? String(err)
  }
  return { frames, code }
}

function wireOf (make: LengthCodec, frames: Uint8Array[], init?: LengthPrefixInit): Uint8Array {
  return Buffer.concat(new LengthPrefixEncoder(make, init).push(frames))
}

t.test('frames in chunks of every size', async (t) => {
  const wire = hex('0002abcd 0000 0001ff')
  for (let size = 1; size <= wire.length; size++) {
    t.same(await outcome(controlFrames(u16be), [...cut(wire, size)]), { frames: ['abcd', '', 'ff'], code: undefined }, `chunks of ${size}`)
  }
})

t.test('a stream that is cut anywhere, right behind a length too', async (t) => {
  for (const make of codecs) {
    const wire = wireOf(make, [hex('aa'), hex('bb'.repeat(70))])
    const first = wireOf(make, [hex('aa')]).length
    for (let size = 0; size <= wire.length; size++) {
      const { code } = await outcome(controlFrames(make), [wire.subarray(0, size)])
      t.equal(code, [0, first, wire.length].includes(size) ? undefined : 'ERR_TRUNCATED', `cut at ${size}`)
    }
  }
})

t.test('limits', async (t) => {
  const layer = controlFrames(u32be, { maxFrame: 2 })
  t.same(await outcome(layer, [hex('00000001aa00000003')]), { frames: ['aa'], code: 'ERR_FRAME_SIZE' })
  t.same(await outcome(controlFrames(u32be), [hex('00010000')]), { frames: [], code: 'ERR_FRAME_SIZE' })
  await t.rejects(over(recordingLink(), layer).sink(from([[new Uint8Array(3)]])), { code: 'ERR_FRAME_SIZE' })
  t.throws(() => controlFrames(u32be, { maxFrame: NaN }), { code: 'ERR_OPTION' })
})

t.test('reads may be reused once they were taken', async (t) => {
  const read = new Uint8Array(3)
  async function * reused (): AsyncGenerator<Uint8Array[]> {
    for (const text of ['000601', '020304', '0506']) {
      const bytes = hex(text)
      read.set(bytes)
      yield [read.subarray(0, bytes.length)]
      read.fill(0xee)
    }
  }
  const { source } = over({ ...recordingLink(), source: reused() }, controlFrames(u16be))
  t.same((await collect(source)).map(toHex), ['010203040506'])
})

t.test('agrees with lengthPrefix on every cut', async (t) => {
  const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 })
  const sizes = fc.array(fc.nat(90), { minLength: 1, maxLength: 12 })
  for (const make of codecs) {
    await fc.assert(fc.asyncProperty(frames, sizes, fc.constantFrom(0, 2, -2), async (frames, sizes, adjust) => {
      const whole = frames.filter((frame) => frame.length >= adjust)
      const reads = pieces(wireOf(make, whole, { adjust }), sizes)
      const expected = { frames: whole.map(toHex), code: undefined }
      for (const layer of [controlFrames(make, { adjust }), lengthPrefix(make, { adjust })]) {
        t.same(await outcome(layer, reads), expected)
      }
    }), { numRuns: 60 })
  }
})

t.test('agrees with lengthPrefix on damaged streams', async (t) => {
  const below = random(2)
  const init = { maxFrame: 100 }
  for (let round = 0; round < ROUNDS; round++) {
    const make = codecs[round % 3]
    const wire = mutate(wireOf(make, Array.from({ length: 1 + below(3) }, () => new Uint8Array(below(101))), init), below)
    const reads = [...cut(wire, 1 + below(64))]
    const control = await outcome(controlFrames(make, init), reads)
    const batched = await outcome(lengthPrefix(make, init), reads)
    if (JSON.stringify(control) !== JSON.stringify(batched)) {
      t.same(control, batched, `round ${round}`)
      return
    }
    if (![undefined, 'ERR_FRAME_SIZE', 'ERR_TRUNCATED'].includes(control.code)) t.fail(`round ${round}: ${control.code}`)
  }
})

t.test('64 KiB in single bytes', async (t) => {
  const frame = Buffer.alloc(65535, 'tunpipe ')
  const { frames } = await outcome(controlFrames(u16be), [...cut(wireOf(u16be, [frame]), 1)])
  t.ok(frames.length === 1 && frames[0] === toHex(frame))
})

t.test('sink and port', async (t) => {
  const [here, there] = memoryPair().map((link) => over(link, controlFrames(rustdeskLength)))
  const [, got] = await Promise.all([here.sink(from([[hex('01'), hex('')], [hex('0203')]])), collect(there.source)])
  t.same(got.map(toHex), ['01', '', '0203'])

  const lower = recordingLink()
  const { port } = over(lower, controlFrames(rustdeskLength))
  t.equal(port.send([hex('01'), hex('0203')]), 2)
  t.equal(toHex(Buffer.concat(lower.sent.flat())), '0401080203')
  t.equal(port.send([new Uint8Array(65536)]), 0, 'too large, so dropped')
  t.equal(port.limit, lower.port.limit)
  lower.queued = 1000
  t.equal(port.send([hex('01')]), 0)
  t.equal(port.queued, 1000)
})

t.test('abort goes down', async (t) => {
  const lower = recordingLink()
  const err = new Error('enough')
  over(lower, controlFrames(u16be)).abort(err)
  t.same(lower.aborted, [err])
})
