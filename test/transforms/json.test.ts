/** JSON in frames, in the bytes of Go's encoder (gotunnel protocol, section 2). */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { over, stack } from '../../src/layer.ts'
import { encodeJson, json, JsonDecoder, parseJson } from '../../src/transforms/json.ts'
import { LengthPrefixDecoder, LengthPrefixEncoder, lengthPrefix, u32be } from '../../src/transforms/index.ts'
import { memoryPair } from '../../src/transports/memory/index.ts'
import { cut, hex, toHex } from '../helpers/bytes.ts'
import { messages, vector } from '../helpers/gotunnel/vectors.ts'
import { collect, from, recordingLink } from '../helpers/links.ts'

const text = (value: object): string => encodeJson(value).toString()

/** The value as it is on the other side: what is no Unicode text becomes U+FFFD. */
const sound = <T>(value: T): T => JSON.parse(JSON.stringify(value, (_key, part) => typeof part === 'string' ? Buffer.from(part).toString() : part))

t.test('T1: every vector, byte for byte, both ways', async (t) => {
  const encoder = new LengthPrefixEncoder(u32be)
  for (const { name, hex: wire, inputs } of messages) {
    t.equal(toHex(encoder.push([encodeJson(inputs)])[0]), wire, name)
    const [frame] = new LengthPrefixDecoder(u32be).push([hex(wire)])
    t.strictSame(parseJson(frame), inputs, name)
  }
})

t.test('T2: coalesced and cut anywhere they are the same', async (t) => {
  const { bytes, inputs } = vector('two_frames_coalesced')
  const read = (value: unknown): unknown => value
  for (let size = 1; size <= bytes.length; size++) {
    const frames = new LengthPrefixDecoder(u32be)
    const values = new JsonDecoder({ read })
    t.strictSame([...cut(bytes, size)].flatMap((part) => values.push(frames.push([part]))), inputs, `chunks of ${size}`)
  }
})

t.test('what Go escapes, and what it does not', async (t) => {
  const cases: Array<[string, string]> = [
    ['<>&', '\\u003c\\u003e\\u0026'],
    ['\u2028\u2029', '\\u2028\\u2029'],
    ['"\\/', '\\"\\\\/'],
    ['\n\r\t\b\f', '\\n\\r\\t\\b\\f'],
    ['\0\x01\x1f', '\\u0000\\u0001\\u001f'],
    ['\x7f\x80\xa0', '\x7f\x80\xa0'],
    ['é中😀\ufeff', 'é中😀\ufeff'],
    ['\ufffd', '\ufffd'],
    ['\ud800', '\ufffd'],
    ['a\udc00b', 'a\ufffdb'],
    ['\ude00\ud83d', '\ufffd\ufffd'],
    ['\ud83d\ud83d\ude00', '\ufffd😀'],
    ['\\u003c', '\\\\u003c'],
    ['\\ud800', '\\\\ud800'],
    ['\\ud800<\ud800', '\\\\ud800\\u003c\ufffd']
  ]
  for (const [value, wire] of cases) t.equal(text({ value }), `{"value":"${wire}"}`)
  t.equal(text({ '<': ['&'] }), '{"\\u003c":["\\u0026"]}', 'names and lists as well')
})

t.test('keys keep their order, and those that are not there are left out', async (t) => {
  t.equal(text({ type: 'a', zero: 0, empty: '', no: false, nothing: null, absent: undefined }), '{"type":"a","zero":0,"empty":"","no":false,"nothing":null}')
  t.equal(text({ z: 1, a: 2 }), '{"z":1,"a":2}')
  t.equal(text({ a: -1, b: 1.5, c: 1e21, d: NaN }), '{"a":-1,"b":1.5,"c":1e+21,"d":null}')
  t.equal(text({}), '{}')
})

t.test('property: what was encoded is parsed, and is plain text for HTML and for lines', async (t) => {
  const unit = fc.oneof(fc.nat(0xffff).map((code) => String.fromCharCode(code)), fc.string({ unit: 'binary', maxLength: 2 }), fc.constantFrom('<', '>', '&', '\u2028', '\u2029', '"', '\\', 'u', '003c', 'ud800', '\ud800', '\udfff', '\ufffd'))
  const strings = fc.array(unit, { maxLength: 20 }).map((all) => all.join(''))
  const values = fc.record({ text: strings, list: fc.array(strings), number: fc.integer(), any: fc.jsonValue(), inner: fc.record({ text: strings }) })
  fc.assert(fc.property(values, (value) => {
    const bytes = encodeJson(value)
    if (!isDeepStrictEqual(parseJson(bytes), sound(value))) t.strictSame(parseJson(bytes), sound(value)) // which takes long
    if (/[<>&\u2028\u2029\n\r]/.test(bytes.toString())) t.fail(bytes.toString())
    if (!Buffer.from(bytes.toString()).equals(bytes)) t.fail('no UTF-8')
  }), { numRuns: 500 })
})

t.test('what is no JSON is undefined', async (t) => {
  for (const bad of ['', ' ', 'invalid', '{', '{"a":1', '{"a":1}}', '{"a":1} {}', "{'a':1}", '{"a":1,}', '{a:1}', '\ufeff{}', '{"a":"\n"}', 'NaN', '01', '{"a":"\\x"}', '\0', '['.repeat(65_536), '{"a":'.repeat(10_000)]) {
    t.equal(parseJson(Buffer.from(bad)), undefined, JSON.stringify(bad.slice(0, 20)))
  }
  t.equal(parseJson(hex('ff')), undefined)
})

t.test('what is JSON, whatever the value', async (t) => {
  for (const value of [null, true, 0, -1, 1.5, 'text', [], [1, [2]], {}, { a: { b: [] } }]) t.strictSame(parseJson(Buffer.from(` ${JSON.stringify(value)}\n`)), value)
  t.strictSame(parseJson(Buffer.from('{"a":1,"a":2}')), { a: 2 }, 'the last one wins')
  t.strictSame(parseJson(hex('7b2261223a22 ff c3 22 7d')), { a: '\ufffd\ufffd' }, 'bytes that are no UTF-8')
  const proto = parseJson(Buffer.from('{"__proto__":{"isEvil":true},"constructor":1}')) as Record<string, unknown>
  t.equal(Object.getPrototypeOf(proto), Object.prototype)
  t.equal(proto.isEvil, undefined)
  t.equal(({} as Record<string, unknown>).isEvil, undefined)
  let nested = parseJson(Buffer.from('['.repeat(30_000) + ']'.repeat(30_000)))
  let depth = 0
  for (; Array.isArray(nested) && nested.length > 0; depth++) nested = nested[0]
  t.equal(depth, 29_999)
})

t.test('a frame is a view of a read, and only it is read', async (t) => {
  const read = Buffer.from('xx{"a":1}yy')
  t.strictSame(parseJson(read.subarray(2, 9)), { a: 1 })
  t.strictSame(parseJson(new Uint8Array(Uint8Array.from(read).buffer, 2, 7)), { a: 1 })
})

interface Note { note: string }
const readNote = (value: unknown): Note | undefined => typeof (value as Note | undefined)?.note === 'string' ? value as Note : undefined

t.test('what `read` does not take is skipped, the rest of the batch is not', async (t) => {
  const seen: unknown[] = []
  const decoder = new JsonDecoder({
    read (value) {
      seen.push(value)
      return readNote(value)
    }
  })
  t.strictSame(decoder.push(['{"note":"one"}', 'none', '[]', '', '{"note":"two"}'].map((one) => Buffer.from(one))), [{ note: 'one' }, { note: 'two' }])
  t.strictSame(seen, [{ note: 'one' }, undefined, [], undefined, { note: 'two' }])
  t.strictSame(decoder.push([]), [])
})

t.test('as a layer', async (t) => {
  const [here, there] = memoryPair().map((link) => over(link, stack(lengthPrefix(u32be), json<Note>({ read: readNote }))))
  const [, got] = await Promise.all([here.sink(from([[{ note: 'one' }, { note: 'two' }], [{ note: 'thr\ud800ee' }]])), collect(there.source)])
  t.strictSame(got, [{ note: 'one' }, { note: 'two' }, { note: 'thr\ufffdee' }])

  const lower = recordingLink()
  t.equal(over(lower, json<Note>({ read: readNote })).port.send([{ note: '<' }, { note: '' }]), 2)
  t.same(lower.sent.map((batch) => batch.map((bytes) => Buffer.from(bytes).toString())), [['{"note":"\\u003c"}', '{"note":""}']])
})
