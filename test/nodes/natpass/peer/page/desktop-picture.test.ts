/** What is checked of pictures that come from the other end of a desktop (natpass protocol, section 8, case 30). */
import fc from 'fast-check'
import t from 'tap'
import { jpegOf } from '../../../../helpers/natpass/pictures.ts'
import { vector } from '../../../../helpers/natpass/vectors.ts'
import { PictureError, pictureFrame } from '../../../../../src/nodes/natpass/peer/page/desktop-picture.ts'
import { jpegSize } from '../../../../../src/nodes/natpass/peer/page/jpeg-size.ts'
import { decodeMessage } from '../../../../../src/nodes/natpass/protocol/messages.ts'

const RAW = 0
const JPEG = 1
const PNG = 2

type Info = [screenWidth: number, screenHeight: number, x: number, y: number, width: number, height: number]

const image = ([screenWidth, screenHeight, x, y, width, height]: Info, encode: number, data: Uint8Array) =>
  ({ _info: { screen_width: screenWidth, screen_height: screenHeight, rect_x: x, rect_y: y, rect_width: width, rect_height: height }, encode, data })

const BLOCK: Info = [66, 65, 64, 64, 2, 1]
const RGBA = Buffer.from('0102030405060708', 'hex')

t.test('a picture becomes a message for the browser', async (t) => {
  t.equal(pictureFrame(image(BLOCK, RAW, RGBA))?.toString('hex'), '00000042000000410000004000000040000000020000000100000000' + '0102030405060708')
  const jpeg = jpegOf(2, 1)
  t.same(pictureFrame(image(BLOCK, JPEG, jpeg))?.subarray(24), Buffer.concat([Buffer.of(0, 0, 0, 1), jpeg]))
  const { vimg } = decodeMessage(vector('vnc_image_raw_1x1').subarray(6))
  t.equal(pictureFrame(vimg)?.length, 28 + 4)
  t.doesNotThrow(() => pictureFrame(image([16384, 4096, 16383, 4095, 1, 1], RAW, Buffer.alloc(4))), 'the largest screen')
})

t.test('bad pictures', async (t) => {
  const bad: Record<string, [ReturnType<typeof image> | null, RegExp]> = {
    'no information': [null, /without information/],
    'no size': [image([0, 0, 0, 0, 0, 0], RAW, Buffer.alloc(0)), /screen of 0 × 0/],
    'a huge screen': [image([0xffffffff, 0xffffffff, 0, 0, 2, 1], RAW, RGBA), /screen of 4294967295 × 4294967295/],
    'a wide screen': [image([16385, 1, 0, 0, 2, 1], RAW, RGBA), /screen/],
    'a high screen': [image([2, 16385, 0, 0, 2, 1], RAW, RGBA), /screen/],
    'too many pixels': [image([16384, 4097, 0, 0, 2, 1], RAW, RGBA), /screen/],
    'out on the right': [image([66, 65, 65, 0, 2, 1], RAW, RGBA), /rectangle/],
    'out below': [image([66, 65, 0, 65, 2, 1], RAW, RGBA), /rectangle/],
    'out by a sum beyond 32 bits': [image([66, 65, 0xffffffff, 0, 2, 1], RAW, RGBA), /rectangle/],
    'a huge rectangle': [image([66, 65, 0, 0, 0xffffffff, 0xffffffff], RAW, RGBA), /rectangle/],
    'an empty rectangle': [image([66, 65, 0, 0, 0, 1], RAW, Buffer.alloc(0)), /rectangle/],
    'too little data': [image(BLOCK, RAW, RGBA.subarray(1)), /7 bytes/],
    'too much data': [image(BLOCK, RAW, Buffer.alloc(12)), /12 bytes/],
    'no data': [image(BLOCK, RAW, Buffer.alloc(0)), /0 bytes/],
    'a PNG': [image(BLOCK, PNG, RGBA), /encoding 2/],
    'an unknown encoding': [image(BLOCK, 7, RGBA), /encoding 7/]
  }
  for (const [name, [picture, message]] of Object.entries(bad)) {
    let err: unknown
    try {
      pictureFrame(picture)
    } catch (caught) {
      err = caught
    }
    t.ok(err instanceof PictureError, name)
    t.match(err, { code: 'ERR_DESKTOP_PICTURE', message }, name)
  }
})

t.test('damaged JPEGs: no frame, and no error', async (t) => {
  const damaged: Record<string, ReturnType<typeof image>> = {
    'a JPEG of another width': image(BLOCK, JPEG, jpegOf(3, 1)),
    'a JPEG of another height': image(BLOCK, JPEG, jpegOf(2, 2)),
    'a huge JPEG': image(BLOCK, JPEG, jpegOf(65535, 65535)),
    'a JPEG without a size': image(BLOCK, JPEG, Buffer.from('ffd8ffd9', 'hex')),
    'a JPEG whose height comes later': image(BLOCK, JPEG, jpegOf(2, 0)),
    'no JPEG': image(BLOCK, JPEG, RGBA),
    'an empty JPEG': image(BLOCK, JPEG, Buffer.alloc(0))
  }
  for (const [name, picture] of Object.entries(damaged)) t.equal(pictureFrame(picture), undefined, name)
  t.throws(() => pictureFrame(image([66, 65, 65, 0, 2, 1], JPEG, RGBA)), { code: 'ERR_DESKTOP_PICTURE' }, 'where it should be is wrong as well')
})

t.test('the size of a JPEG', async (t) => {
  t.same(jpegSize(jpegOf(1, 65535)), { width: 1, height: 65535 })
  t.same(jpegSize(jpegOf(640, 480, 0xc2)), { width: 640, height: 480 }, 'a progressive one')
  const thumbnail = jpegOf(1, 1)
  t.same(jpegSize(jpegOf(5, 6, 0xc0, Buffer.concat([Buffer.of(0xff, 0xe1, 0, thumbnail.length + 2), thumbnail]))), { width: 5, height: 6 }, 'not that of a picture in it')
  t.same(jpegSize(jpegOf(5, 6, 0xc0, Buffer.of(0xff, 0xff))), { width: 5, height: 6 }, 'fill bytes')
  t.equal(jpegSize(jpegOf(5, 6, 0xc4)), undefined, 'a table is no frame')
  t.equal(jpegSize(jpegOf(5, 6, 0xc0, Buffer.of(0xff, 0xda, 0, 2))), undefined, 'a scan before the frame')
  t.equal(jpegSize(jpegOf(5, 6, 0xc0, Buffer.of(0xff, 0xe0, 0, 1))), undefined, 'a length below two')
  const whole = jpegOf(5, 6)
  const needed = 11 // up to the width
  t.same(jpegSize(whole.subarray(0, needed)), { width: 5, height: 6 })
  for (let cut = 0; cut < needed; cut++) t.equal(jpegSize(whole.subarray(0, cut)), undefined, `cut to ${cut}`)
})

t.test('any bytes are a size or none', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    const size = jpegSize(Buffer.concat([Buffer.of(0xff, 0xd8, 0xff), bytes]))
    return size === undefined || (size.width <= 65535 && size.height <= 65535)
  }))
})
