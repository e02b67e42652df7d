/** Chunks of bounded size, with whole characters. */
import fc from 'fast-check'
import t from 'tap'
import { SEED } from '../../../../helpers/bytes.ts'
import { utf8Chunks } from '../../../../../src/nodes/natpass/peer/shell/utf8-chunks.ts'

const hex = (chunks: Uint8Array[]): string[] => chunks.map((chunk) => Buffer.from(chunk).toString('hex'))

t.test('examples', async (t) => {
  t.same(utf8Chunks(new Uint8Array(), 4), [])
  t.same(hex(utf8Chunks(Buffer.from('abcdefghi'), 4)), ['61626364', '65666768', '69'])
  t.same(hex(utf8Chunks(Buffer.from('abcé'), 4)), ['616263', 'c3a9'])
  t.same(hex(utf8Chunks(Buffer.from('ab€'), 4)), ['6162', 'e282ac'])
  t.same(hex(utf8Chunks(Buffer.from('a😀😀'), 4)), ['61', 'f09f9880', 'f09f9880'])
  t.same(hex(utf8Chunks(Buffer.from('616263e4', 'hex'), 4)), ['616263e4'], 'it fits')
  t.same(hex(utf8Chunks(Buffer.from('616263e46465', 'hex'), 4)), ['616263e4', '6465'], 'no character')
  t.same(hex(utf8Chunks(Buffer.from('616263c0a9', 'hex'), 4)), ['616263c0', 'a9'], 'no character: too long a form')
  t.same(hex(utf8Chunks(Buffer.from('6162e482', 'hex'), 4)), ['6162e482'])
  t.same(hex(utf8Chunks(Buffer.from('616263e482', 'hex'), 4)), ['616263', 'e482'], 'the rest may follow in the next read')
  t.same(hex(utf8Chunks(Buffer.from('8080808080', 'hex'), 4)), ['80808080', '80'])
  const bytes = Buffer.from('abcdef')
  t.equal(utf8Chunks(bytes, 4)[1].buffer, bytes.buffer, 'views')
})

t.test('of any text and any bytes', async (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text))
  fc.assert(fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 200 })), fc.integer({ min: 4, max: 40 }), (bytes, size) => {
    const chunks = utf8Chunks(bytes, size)
    t.ok(Buffer.concat(chunks).equals(Buffer.from(bytes)))
    t.ok(chunks.every(({ length }) => length > 0 && length <= size))
    t.ok(chunks.length <= Math.ceil(bytes.length / (size - 3)), 'no chunk is cut by more than a character')
  }), { seed: SEED })
  fc.assert(fc.property(text, fc.integer({ min: 4, max: 40 }), (bytes, size) => {
    for (const chunk of utf8Chunks(bytes, size)) t.ok(Buffer.from(Buffer.from(chunk).toString()).equals(Buffer.from(chunk)), 'each is text by itself')
  }), { seed: SEED })
})
