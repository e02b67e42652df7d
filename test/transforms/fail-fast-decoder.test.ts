import fc from 'fast-check'
import t from 'tap'
import { over, stack } from '../../src/layer.ts'
import {
  ChecksumDecoder, ChecksumEncoder, ConfusionPaddingDecoder, LengthPrefixDecoder, checksum, confusionPadding, controlFrames,
  lengthPrefix, rustdeskLength, u16be, u32be
} from '../../src/transforms/index.ts'
import { FailFastDecoder } from '../../src/transforms/fail-fast-decoder.ts'
import type { Batch, Layer } from '../../src/types.ts'
import { hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { from, pieces, recordingLink } from '../helpers/links.ts'

/** What a layer makes of batches: the frames, and the error that it ends with. */
async function outcome (layer: Layer, batches: Batch[]): Promise<string[]> {
  const seen: string[] = []
  try {
    for await (const batch of over(recordingLink(batches), layer).source) seen.push(...batch.map(toHex))
  } catch (err) {
    seen.push(String(err))
  }
  return seen
}

t.test('for any cuts, the same frames come before the same fault', async (t) => {
  const layers: Array<[string, Layer]> = [
    ['u16be', lengthPrefix(u16be, { maxFrame: 60 })],
    ['u32be', lengthPrefix(u32be, { maxFrame: 60 })],
    ['RustDesk', lengthPrefix(rustdeskLength, { maxFrame: 60 })],
    ['controlFrames', controlFrames(u16be, { maxFrame: 60 })],
    ['checksum', stack(lengthPrefix(u16be, { adjust: 4, maxFrame: 60 }), checksum('crc32'))],
    ['padding', stack(lengthPrefix(u16be, { maxFrame: 60 }), confusionPadding({ max: 3 }))]
  ]
  const frames = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 8 })
  const sizes = fc.array(fc.nat(70), { minLength: 1, maxLength: 12 })
  for (const [name, layer] of layers) {
    let faults = 0
    let behindFrames = 0
    await fc.assert(fc.asyncProperty(frames, sizes, fc.nat(), async (frames, sizes, seed) => {
      const lower = recordingLink()
      await over(lower, layer).sink(from([frames]))
      const wire = mutate(Buffer.concat(lower.sent.flat()), random(seed))
      const whole = await outcome(layer, [[Uint8Array.from(wire)]])
      if (whole.at(-1)?.includes('Error') === true) {
        faults++
        if (whole.length > 1) behindFrames++
      }
      t.same(await outcome(layer, pieces(wire, sizes).map((piece) => [piece])), whole, 'read by read')
      t.same(await outcome(layer, [pieces(wire, sizes)]), whole, 'many reads at once')
    }), { numRuns: 150 })
    t.ok(faults > 0 && behindFrames > 0, `${name}: ${faults} faults, ${behindFrames} of them behind whole frames`)
  }
})

t.test('a decoder returns what was good and takes nothing more', async (t) => {
  const [sum] = new ChecksumEncoder('crc32').push([hex('aa')])
  const cases: Array<[FailFastDecoder, Batch, string, string]> = [
    [new LengthPrefixDecoder(u16be, { maxFrame: 2 }), [hex('0001aa00030002bbcc')], 'aa', 'ERR_FRAME_SIZE'],
    [new ChecksumDecoder('crc32'), [sum, hex('00000000aa'), sum], 'aa', 'ERR_CHECKSUM'],
    [new ConfusionPaddingDecoder(), [hex('aa00'), hex('09'), hex('bb00')], 'aa', 'ERR_PADDING']
  ]
  for (const [decoder, batch, good, code] of cases) {
    t.equal(decoder.failure, undefined)
    t.same(decoder.push(batch).map(toHex), [good])
    t.match(decoder.failure, { code })
    t.throws(() => decoder.push(batch.slice(0, 1)), { code })
    t.throws(() => { decoder.end() }, { code })
  }
})

t.test('an error without a code is a bug and not a fault of the input', async (t) => {
  const decoder = new ChecksumDecoder(() => { throw new Error('oops') }, { bytes: 1 })
  t.throws(() => decoder.push([hex('00')]), { message: 'oops' })
  t.equal(decoder.failure, undefined)
})

t.test('links do not share a fault', async (t) => {
  const layer = confusionPadding()
  t.match(await outcome(layer, [[hex('09')]]), [/PaddingError/])
  t.same(await outcome(layer, [[hex('aa00')]]), ['aa'])
})
