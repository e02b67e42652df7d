/** Blocks as messages to a viewer. */
import t from 'tap'
import { Blocks } from '../../../../../src/nodes/natpass/peer/desktop/blocks.ts'
import { imagesOf, qualityOf } from '../../../../../src/nodes/natpass/peer/desktop/images.ts'
import { loadJpeg, type EncodeJpeg } from '../../../../../src/nodes/natpass/peer/desktop/jpeg.ts'
import { messageOfBody } from '../../../../../src/nodes/natpass/protocol/messages.ts'

const RED = Buffer.of(250, 10, 20, 0)
const blocks = new Blocks({ width: 66, height: 65, pixels: Buffer.alloc(66 * 65 * 4, RED) })

const imageOf = async (quality: number, jpeg: EncodeJpeg | undefined): Promise<{ encode?: number | null, data: Buffer }> => {
  const [body] = await imagesOf(blocks, [{ x: 64, y: 0, width: 2, height: 64 }], quality, jpeg)
  const { vimg } = messageOfBody(body)
  t.match(vimg?._info, { screen_width: 66, screen_height: 65, rect_x: 64, rect_y: 0, rect_width: 2, rect_height: 64 })
  return { encode: vimg?.encode, data: Buffer.from(vimg?.data ?? []) }
}

t.test('JPEG has the colours of the screen', async (t) => {
  const jpeg = await loadJpeg()
  if (jpeg === undefined) throw new Error('sharp is not installed')
  const { encode, data } = await imageOf(90, jpeg)
  t.equal(encode, 1)
  const { default: sharp } = await import('sharp')
  const { data: pixels, info } = await sharp(data).raw().toBuffer({ resolveWithObject: true })
  t.match(info, { width: 2, height: 64, channels: 3 })
  for (const [i, value] of [250, 10, 20].entries()) t.ok(Math.abs(pixels[i] - value) < 8, `${pixels[i]} is about ${value}`)
})

t.test('pixels as they are: without an encoder, with one that fails, and at quality 100', async (t) => {
  const fails: EncodeJpeg = async () => { throw new Error('no memory') }
  const never: EncodeJpeg = async () => { throw new Error('not to be called') }
  for (const [quality, jpeg] of [[50, undefined], [50, fails], [100, never]] as const) {
    t.same(await imageOf(quality, jpeg), { encode: 0, data: Buffer.alloc(2 * 64 * 4, Buffer.of(250, 10, 20, 255)) })
  }
})

t.test('quality', async (t) => {
  t.same([undefined, null, 0, 1, 99, 100, 101, 0xffffffff].map(qualityOf), [50, 50, 50, 1, 99, 100, 100, 100])
})
