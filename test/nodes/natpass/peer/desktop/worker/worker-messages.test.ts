/** Parts of a picture without an X server: its message, and its pixels. */
import * as fc from 'fast-check'
import t from 'tap'
import { Picture } from '../../../../../../src/nodes/natpass/peer/desktop/worker/picture.ts'
import { blend, clip, copyAsRgba } from '../../../../../../src/nodes/natpass/peer/desktop/worker/pixels.ts'
import { encodeWorkerMessage, WorkerMessageType } from '../../../../../../src/nodes/natpass/peer/desktop/worker/worker-messages.ts'

t.test('the message of a picture is that of the schema', async (t) => {
  for (const [width, height] of [[1, 1], [5, 6], [6, 5], [127, 1], [128, 1], [63, 65], [200, 130], [1000, 600]]) {
    const picture = new Picture(width, height)
    picture.pixels.forEach((_, index) => { picture.pixels[index] = index * 0x9e3779b1 })
    const data = new Uint8Array(picture.pixels.buffer, picture.pixels.byteOffset)
    t.ok(picture.message().equals(encodeWorkerMessage({ _type: WorkerMessageType.captureData, data: { ok: true, bits: 32, width, height, data } })), `${width} x ${height}`)
  }
})

t.test('pixels', async (t) => {
  const into = new Int32Array(12).fill(7) // rows of 4
  copyAsRgba(Int32Array.of(0x00102030, 0x7fffffff, -1, 0), into, 4, { x: 1, y: 1, width: 2, height: 2 })
  t.same([...new Uint8Array(into.buffer, 20, 8)], [0x10, 0x20, 0x30, 255, 255, 255, 255, 255])
  t.same([...new Uint8Array(into.buffer, 36, 8)], [255, 255, 255, 255, 0, 0, 0, 255])
  t.same([0, 1, 2, 3, 4, 7, 8, 11].map((index) => into[index]), Array(8).fill(7), 'those around it')
  const under = 0xff302010 | 0 // red 0x10, green 0x20, blue 0x30
  t.equal(blend(0, under), under, 'nothing over it')
  t.equal(blend(0xff010203 | 0, under) >>> 0, 0xff030201, 'all of it')
  t.equal(blend(0x80800000 | 0, under) >>> 0, 0xff181088, 'half of it, in red')
})

t.test('the part of a rectangle that is inside', async (t) => {
  const side = fc.integer({ min: 0, max: 40 })
  const place = fc.integer({ min: -40, max: 40 })
  fc.assert(fc.property(place, place, side, side, side, side, (x, y, width, height, w, h) => {
    const inside = (px: number, py: number): boolean => px >= x && px < x + width && py >= y && py < y + height && px < w && py < h
    const part = clip({ x, y, width, height }, { width: w, height: h })
    for (let py = 0; py < 40; py++) {
      for (let px = 0; px < 40; px++) {
        const isIn = part !== undefined && px >= part.x && px < part.x + part.width && py >= part.y && py < part.y + part.height
        if (isIn !== inside(px, py)) return false
      }
    }
    return part === undefined || (part.x >= 0 && part.y >= 0 && part.width > 0 && part.height > 0)
  }))
  t.equal(clip({ x: 3, y: 0, width: 2, height: 2 }, { width: 3, height: 9 }), undefined)
})
