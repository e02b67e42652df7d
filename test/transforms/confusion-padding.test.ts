import fc from 'fast-check'
import t from 'tap'
import { over, stack } from '../../src/layer.ts'
import {
  ConfusionPaddingDecoder, ConfusionPaddingEncoder, confusionPadding, lengthPrefix, u16be
} from '../../src/transforms/index.ts'
import { memoryPair } from '../../src/transports/memory/index.ts'
import { hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'
import { collect, from, recordingLink } from '../helpers/links.ts'

const ROUNDS = mutations()

/** The payload of one frame; throws what was wrong with it. */
function unpad (frame: Uint8Array): Uint8Array {
  const decoder = new ConfusionPaddingDecoder()
  const [payload] = decoder.push([frame])
  decoder.end()
  return payload
}

const decode = (text: string): string => toHex(unpad(hex(text)))

t.test('payload, pad, count', async (t) => {
  t.equal(decode('00'), '')
  t.equal(decode('aabb00'), 'aabb')
  t.equal(decode('aabb ffeedd 03'), 'aabb')
  t.equal(decode('ff'.repeat(256)), '')
  t.equal(decode('aa' + 'ff'.repeat(256)), 'aa')
})

t.test('counts that cannot be', async (t) => {
  for (const text of ['', '01', 'aa02', 'ff'.repeat(255)]) {
    t.throws(() => decode(text), { name: 'PaddingError', code: 'ERR_PADDING' }, text.slice(0, 8))
  }
})

t.test('every cut of a frame is an error or a shorter frame', async (t) => {
  const [wire] = new ConfusionPaddingEncoder({ max: 255 }).push([hex('00'.repeat(20))])
  for (let size = 0; size < wire.length; size++) {
    try {
      t.ok(unpad(wire.subarray(0, size)).length < size)
    } catch (err) {
      t.match(err, { code: 'ERR_PADDING' })
    }
  }
})

t.test('any frames; what comes up is a view', async (t) => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), fc.nat(255), (frames, max) => {
    const wire = new ConfusionPaddingEncoder({ max }).push(frames)
    const got = new ConfusionPaddingDecoder().push(wire)
    return wire.length === frames.length && got.every((frame, i) => {
      const pad = wire[i].length - frames[i].length - 1
      return Buffer.compare(frame, frames[i]) === 0 && frame.buffer === wire[i].buffer && pad >= 0 && pad <= max
    })
  }), { numRuns: 200 })
})

t.test('length and content are random', async (t) => {
  const max = 9
  const wire = new ConfusionPaddingEncoder({ max }).push(Array.from({ length: 20_000 }, () => new Uint8Array(0)))
  const lengths = Array(max + 1).fill(0)
  const values = Array(256).fill(0)
  for (const frame of wire) {
    lengths[frame.length - 1]++
    for (const byte of frame.subarray(0, -1)) values[byte]++
  }
  // a good source strays beyond these bounds once in many thousand million runs
  for (const [length, count] of lengths.entries()) t.ok(count > 1700 && count < 2300, `${length} bytes: ${count} of 20000`)
  t.ok(values.every((count) => count > 200 && count < 510), 'about 352 of each value')
  t.ok(new Set(wire.filter((frame) => frame.length > 6).map((frame) => toHex(frame))).size > 7000, 'no content twice')
})

t.test('no padding at all', async (t) => {
  t.same(new ConfusionPaddingEncoder({ max: 0 }).push([hex('aa'), hex('')]).map(toHex), ['aa00', '00'])
  t.same(new ConfusionPaddingEncoder().push([]), [])
})

t.test('damaged frames give an error with a code, or fewer bytes', async (t) => {
  const below = random(4)
  const encoder = new ConfusionPaddingEncoder()
  for (let round = 0; round < ROUNDS; round++) {
    const wire = mutate(encoder.push([new Uint8Array(below(40))])[0], below)
    try {
      if (unpad(wire).length >= wire.length) throw new Error('more than came')
    } catch (err) {
      if ((err as { code?: string }).code !== 'ERR_PADDING') {
        t.fail(`round ${round}: ${String(err)}`, { wire: toHex(wire) })
        return
      }
    }
  }
})

t.test('as a layer: sink, source and port', async (t) => {
  const padded = stack(lengthPrefix(u16be), confusionPadding({ max: 20 }))
  const [here, there] = memoryPair().map((link) => over(link, padded))
  const frames = [hex('01'), hex(''), hex('0203')]
  const [, got] = await Promise.all([here.sink(from([frames])), collect(there.source)])
  t.same(got.map(toHex), frames.map(toHex))

  const lower = recordingLink()
  t.equal(over(lower, confusionPadding()).port.send(frames), 3)
  t.same(new ConfusionPaddingDecoder().push(lower.sent[0]).map(toHex), frames.map(toHex))
  await t.rejects(collect(over(recordingLink([[hex('05')]]), confusionPadding()).source), { code: 'ERR_PADDING' })
})

t.test('options are checked', async (t) => {
  for (const max of [-1, 256, 1.5, NaN]) t.throws(() => confusionPadding({ max }), { code: 'ERR_OPTION' }, String(max))
})
