import fc from 'fast-check'
import protobufjs from 'protobufjs/minimal.js'
import t from 'tap'
import { verifyMessage, type WireSchema } from '../../../src/transforms/protobuf/wire.ts'
import { hex, toHex } from '../../helpers/bytes.ts'

/** A text, a message with a text in it, and bytes. */
const schema: WireSchema = { 1: 'string', 2: { 1: 'string' } }

const passes = (text: string): boolean => {
  const bytes = hex(text)
  try {
    verifyMessage(bytes, 0, bytes.length, schema)
    return true
  } catch (err: any) {
    if (err.code !== 'ERR_PROTOBUF') throw err
    return false
  }
}

t.test('what passes', async (t) => {
  for (const [text, what] of Object.entries({
    '': 'an empty message',
    '0800': 'a number where text is expected: an unknown field to every decoder',
    '0a02c3a9': 'text',
    '0a00': 'empty text',
    '12020a00': 'a message with empty text',
    '1a02fffe': 'bytes that are not listed',
    '20ffffffffffffffffff01': 'a number of 64 bits',
    '0a820061 62': 'a length that is longer than it need be',
    '2900000000000000002d00000000': 'fixed numbers',
    '2b082a2c': 'an unknown group',
    '2b330801342c': 'a group in a group',
    f8ffffff0f00: 'the largest number of a field'
  })) t.ok(passes(text), what)
})

t.test('what does not', async (t) => {
  for (const [text, what] of Object.entries({
    '0a': 'a tag alone',
    '0a05 61': 'text longer than the message',
    '0affffffffffffffff7f': 'a length of 63 bits',
    '0a02fffe': 'text that is not UTF-8',
    '0a01c3': 'text that ends inside of a letter',
    '12030a01ff': 'such text in a message',
    '12030a0561': 'a message in a message that is cut short',
    '00': 'field 0',
    '8a808080800061': 'a tag of 6 bytes',
    '0a81808080800061': 'a length of 6 bytes',
    '0e': 'wire type 6',
    '0f': 'wire type 7',
    '20ffffffffffffffffff02': 'a number of 65 bits',
    '20ffffffffffffffffffff01': 'a number of 11 bytes',
    '20ff': 'a number cut short',
    29000000: 'a fixed number cut short',
    '2d0000': 'a shorter one',
    '2b': 'a group without an end',
    '2b0800': 'a group that is cut short',
    '2c': 'an end without a group',
    '2b34': 'the end of another group',
    '8080808010 00': 'a field number of more than 29 bits',
    ['2b'.repeat(33) + '2c'.repeat(33)]: '33 groups within each other'
  })) t.notOk(passes(text), what)
  t.ok(passes('2b'.repeat(32) + '2c'.repeat(32)), '32 of them')
})

t.test('whatever a writer writes passes, and no truncation of it with an open field', async (t) => {
  const field = fc.oneof(
    fc.record({ id: fc.constantFrom(1, 2, 3, 4, 100), text: fc.string({ unit: 'grapheme', maxLength: 200 }) }),
    fc.record({ id: fc.constantFrom(4, 5, 6), number: fc.integer({ min: 0 }) }),
    fc.record({ id: fc.constantFrom(7, 8), fixed: fc.integer({ min: 0 }) })
  )
  fc.assert(fc.property(fc.array(field, { minLength: 1, maxLength: 10 }), (fields) => {
    const writer = protobufjs.Writer.create()
    const ends = new Set([0])
    for (const one of fields) {
      if ('text' in one) {
        if (one.id === 2) writer.uint32(2 << 3 | 2).fork().uint32(1 << 3 | 2).string(one.text).ldelim()
        else writer.uint32(one.id << 3 | 2).string(one.text)
      } else if ('number' in one) writer.uint32(one.id << 3).uint32(one.number)
      else writer.uint32(one.id << 3 | 5).fixed32(one.fixed)
      ends.add(writer.len)
    }
    const bytes = writer.finish()
    for (let length = 0; length <= bytes.length; length++) t.equal(passes(toHex(bytes.subarray(0, length))), ends.has(length), toHex(bytes))
  }), { numRuns: 30 })
})
