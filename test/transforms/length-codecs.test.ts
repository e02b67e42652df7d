import fc from 'fast-check'
import t from 'tap'
import { Uint8ArrayList } from 'uint8arraylist'
import { frameCodec, rustdeskLength, u16be, u32be, type LengthCodec } from '../../src/transforms/length-codecs.ts'
import { hex, toHex } from '../helpers/bytes.ts'
import { vectors } from '../helpers/rustdesk/vectors.ts'

const codecs: Array<[string, LengthCodec, number]> = [
  ['u16be', u16be, 0xffff],
  ['u32be', u32be, 0xffff_ffff],
  ['rustdeskLength', rustdeskLength, 0x3fff_ffff]
]

t.test('big-endian lengths', async (t) => {
  const cases: Array<[LengthCodec, number, string]> = [
    [u16be, 0, '0000'],
    [u16be, 258, '0102'],
    [u16be, 65535, 'ffff'],
    [u32be, 0, '00000000'],
    [u32be, 0x0102_0304, '01020304'],
    [u32be, 0x8000_0000, '80000000'],
    [u32be, 0xffff_ffff, 'ffffffff']
  ]
  for (const [make, value, wire] of cases) {
    const { lengthDecoder, lengthEncoder } = make()
    t.equal(toHex(lengthEncoder(value)), wire)
    t.equal(lengthDecoder(hex(wire)), value)
    t.equal(lengthDecoder.bytes, wire.length / 2)
  }
})

t.test('RustDesk lengths', async (t) => {
  const lengths = vectors.filter(({ inputs }) => inputs.payload_length !== undefined)
  t.ok(lengths.length > 0)
  for (const { hex: wire, inputs: { payload_length: length, decode_only: decodeOnly } } of lengths) {
    const { lengthDecoder, lengthEncoder } = rustdeskLength()
    t.equal(lengthDecoder(hex(wire)), length, `${wire} is ${length}`)
    t.equal(lengthDecoder.bytes, wire.length / 2)
    if (decodeOnly) continue
    t.equal(toHex(lengthEncoder(length)), wire, `${length} is ${wire}`)
    t.equal(lengthEncoder.bytes, wire.length / 2)
  }
})

for (const [name, make, max] of codecs) {
  t.test(`${name}: any value, at any place, from arrays and lists`, async (t) => {
    fc.assert(fc.property(fc.nat(max), fc.nat(20), fc.nat(4), (value, at, split) => {
      const { lengthDecoder, lengthEncoder } = make()
      const head = lengthEncoder(value)
      const wire = Buffer.concat([Buffer.alloc(at, 0xff), head, Buffer.alloc(3, 0xff)])
      if (lengthDecoder(wire, at) !== value || lengthDecoder.bytes !== head.length) return false
      const list = new Uint8ArrayList(wire.subarray(at, at + split), wire.subarray(at + split))
      const into = new Uint8Array(30)
      const end = lengthEncoder.write?.(value, into, at) ?? 0
      return lengthDecoder(list) === value && Buffer.compare(into.subarray(at, end), head) === 0
    }))
    for (const value of [0, 63, 64, 16383, 16384, max]) {
      if (value > max) continue
      const { lengthDecoder, lengthEncoder } = make()
      const head = lengthEncoder(value)
      t.equal(lengthDecoder(head), value)
      t.equal(lengthDecoder.width?.(Buffer.concat([hex('ff'), head.subarray(0, 1)]), 1), head.length, 'the first byte tells')
      for (let size = 0; size < head.length; size++) {
        t.throws(() => lengthDecoder(head.subarray(0, size)), RangeError)
        t.throws(() => lengthDecoder(new Uint8ArrayList(head.subarray(0, size))), RangeError)
      }
    }
    const { lengthEncoder } = make()
    for (const value of [-1, max + 1, NaN]) t.throws(() => lengthEncoder(value), { code: 'ERR_FRAME_SIZE' })
  })
}

t.test('frameCodec applies adjust and limit both ways', async (t) => {
  const { lengthDecoder, lengthEncoder } = frameCodec(u16be, { adjust: 4, maxFrame: 100 })
  t.equal(lengthDecoder(hex('0000')), 4)
  t.equal(lengthDecoder(hex('0060')), 100)
  t.throws(() => lengthDecoder(hex('0061')), { code: 'ERR_FRAME_SIZE' })
  t.equal(toHex(lengthEncoder(100)), '0060')
  t.throws(() => lengthEncoder(101), { code: 'ERR_FRAME_SIZE' })
  t.throws(() => lengthEncoder(3), { code: 'ERR_FRAME_SIZE' }, 'shorter than what its length leaves out')

  const itself = frameCodec(u16be, { adjust: -2 })
  t.equal(itself.lengthDecoder(hex('0002')), 0, 'a length may count itself')
  t.throws(() => itself.lengthDecoder(hex('0001')), { code: 'ERR_FRAME_SIZE' })
  t.equal(toHex(itself.lengthEncoder(3)), '0005')
})

t.test('any codec of that form will do', async (t) => {
  const unary: LengthCodec = () => { // as many ff as the value, then 00
    const lengthDecoder = Object.assign((data: Uint8Array | Uint8ArrayList, at = 0) => {
      const end = data.subarray(at, data.byteLength).indexOf(0)
      if (end < 0) throw new RangeError('cut')
      lengthDecoder.bytes = end + 1
      return end
    }, { bytes: 0 })
    const lengthEncoder = Object.assign((value: number) => Uint8Array.from([...Array(value).fill(255), 0]), { bytes: 0 })
    return { lengthDecoder: lengthDecoder as any, lengthEncoder }
  }
  const { lengthDecoder, lengthEncoder } = frameCodec(unary)
  t.equal(toHex(lengthEncoder(2)), 'ffff00')
  t.equal(lengthDecoder(hex('ffff0001')), 2)
  t.equal(lengthDecoder.bytes, 3)
  t.throws(() => lengthDecoder(hex('ffffffffffffff')), RangeError, 'may still come')
  t.throws(() => lengthDecoder(hex('ffffffffffffffff')), { code: 'ERR_FRAME_SIZE' }, 'never comes')
  t.throws(() => lengthDecoder(hex('ffffffffffffffff00')), { code: 'ERR_FRAME_SIZE' }, 'comes too late')
  t.equal(lengthDecoder.width(hex('ff'), 0), 0, 'unknown')
})

t.test('options are checked', async (t) => {
  for (const init of [{ adjust: 0.5 }, { adjust: NaN }, { maxFrame: -1 }, { maxFrame: NaN }, { maxFrame: 1.5 }]) {
    t.throws(() => frameCodec(u16be, init), { code: 'ERR_OPTION', message: RegExp(`^${Object.keys(init)[0]} is `) }, JSON.stringify(init))
  }
  t.throws(() => frameCodec(u16be, { adjust: -65536 }), { code: 'ERR_OPTION', message: /^adjust is -65536/ }, 'what was given is named')
  t.doesNotThrow(() => frameCodec(u16be, { adjust: -65535 }))
  t.doesNotThrow(() => frameCodec(u32be, { adjust: -65536, maxFrame: 10 }))
})
