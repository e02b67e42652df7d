/** Which blocks of a picture are sent (natpass protocol, section 4.3; case 29 of section 8). */
import fc from 'fast-check'
import t from 'tap'
import { Blocks, BLOCK_SIZE, type Block, type Picture } from '../../../../../src/nodes/natpass/peer/desktop/blocks.ts'

const picture = (width: number, height: number, fill = 0): Picture => ({ width, height, pixels: Buffer.alloc(width * height * 4, fill) })

/** The same with other pixels at some places. */
function changed ({ width, height, pixels }: Picture, ...places: ReadonlyArray<readonly [x: number, y: number]>): Picture {
  const copy = Buffer.from(pixels)
  for (const [x, y] of places) copy[(y * width + x) * 4] ^= 0xff
  return { width, height, pixels: copy }
}

const rectangles = (blocks: readonly Block[]): number[][] => blocks.map(({ x, y, width, height }) => [x, y, width, height])

t.test('case 29: a picture of 66 x 65, whole and with one other pixel', async (t) => {
  const first = picture(66, 65)
  const blocks = new Blocks(first)
  t.same(rectangles(blocks.all()), [[0, 0, 64, 64], [64, 0, 2, 64], [0, 64, 64, 1], [64, 64, 2, 1]])
  t.same(blocks.all().map((block) => blocks.pixelsOf(block).length), [16384, 512, 256, 8])
  t.same(blocks.update(changed(first)), [])
  t.same(rectangles(blocks.update(changed(first, [65, 64]))), [[64, 64, 2, 1]])
  t.same(rectangles(blocks.update(first)), [[64, 64, 2, 1]], 'and back')
})

t.test('another size: all blocks', async (t) => {
  const blocks = new Blocks(picture(64, 64))
  t.same(rectangles(blocks.update(picture(65, 64))), [[0, 0, 64, 64], [64, 0, 1, 64]])
  t.same(rectangles(blocks.update(picture(64, 65))), [[0, 0, 64, 64], [0, 64, 64, 1]])
  t.same(rectangles(blocks.all()), [[0, 0, 64, 64], [0, 64, 64, 1]])
})

t.test('pixels of a block: row by row, opaque', async (t) => {
  const pixels = Buffer.alloc(66 * 65 * 4)
  for (let i = 0; i < 66 * 65; i++) pixels.writeUInt32BE(i << 8, i * 4) // red, green and blue are the number of the pixel
  const blocks = new Blocks({ width: 66, height: 65, pixels })
  t.same([...blocks.pixelsOf({ x: 64, y: 64, width: 2, height: 1 })], [0, 16, 192, 255, 0, 16, 193, 255])
  t.same([...blocks.rgbOf({ x: 64, y: 64, width: 2, height: 1 })], [0, 16, 192, 0, 16, 193])
  const right = blocks.pixelsOf({ x: 64, y: 0, width: 2, height: 64 })
  t.same([...right.subarray(0, 12)], [0, 0, 64, 255, 0, 0, 65, 255, 0, 0, 130, 255])
  t.equal(pixels[3], 0, 'the picture stays as it is')
})

t.test('property: the blocks that have changed, in order, and their pixels make the next picture of the one before', async (t) => {
  const size = fc.integer({ min: 1, max: 200 })
  fc.assert(fc.property(size, size, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 12 }), (width, height, some) => {
    const first = picture(width, height, 255)
    const places = some.map(([x, y]): [number, number] => [x % width, y % height])
    const next = changed(first, ...places)
    const blocks = new Blocks(first)
    const found = blocks.update(next)
    const different = new Set<string>()
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (next.pixels[(y * width + x) * 4] !== 255) different.add(`${x >> 6},${y >> 6}`)
    t.same(new Set(found.map(({ x, y }) => `${x / BLOCK_SIZE},${y / BLOCK_SIZE}`)), different)
    t.same(found, blocks.all().filter((block) => found.some(({ x, y }) => x === block.x && y === block.y)))
    const screen = Buffer.from(first.pixels)
    for (const block of found) {
      const pixels = blocks.pixelsOf(block)
      for (let row = 0; row < block.height; row++) pixels.copy(screen, ((block.y + row) * width + block.x) * 4, row * block.width * 4, (row + 1) * block.width * 4)
    }
    t.ok(screen.equals(next.pixels))
  }), { numRuns: 60 })
})
