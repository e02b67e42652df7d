/** What the messages of gotunnel hold, and how much is forgiven (its protocol, section 2). */
import fc from 'fast-check'
import t from 'tap'
import { over, stack } from '../../../src/layer.ts'
import { MAX_FIRST_FRAME, MAX_FRAME, readAnswer, readFirst, readStreamHeader, readToClient, readToServer, type Message } from '../../../src/nodes/gotunnel/protocol/messages.ts'
import { firstFrame } from '../../../src/transforms/first-frame.ts'
import { LengthPrefixDecoder, LengthPrefixEncoder, lengthPrefix, u32be } from '../../../src/transforms/index.ts'
import { encodeJson, json, JsonDecoder } from '../../../src/transforms/json.ts'
import { cut, hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { failureOf } from '../../helpers/ends.ts'
import { messages, vector, vectors } from '../../helpers/gotunnel/vectors.ts'
import { collect, recordingLink } from '../../helpers/links.ts'

const ROUNDS = mutations()

const payloadOf = (wire: string): Buffer => hex(wire).subarray(4)
const frame = (text: string): Buffer => Buffer.from(text)

/** Whatever is not there is not a key either. */
const plain = (message: object | undefined): unknown => message === undefined ? undefined : JSON.parse(JSON.stringify(message))

const first = (text: string): unknown => plain(readFirst(frame(text)))
const toServer = (text: string): unknown => plain(readToServer(JSON.parse(text)))
const toClient = (text: string): unknown => plain(readToClient(JSON.parse(text)))

const ZERO = { type: '', local_port: 0, remote_port: 0, protocol: '', token: '', name: '' }

/** The reader that a message is meant for. */
function reader (type: string): (wire: string) => object | undefined {
  if (type === 'register' || type === 'data_channel') return (wire) => readFirst(payloadOf(wire))
  if (type === 'register_resp') return (wire) => readAnswer(payloadOf(wire))
  const read = type === 'pong' || type === 'open_data_channel' ? readToClient : readToServer
  return (wire) => read(JSON.parse(payloadOf(wire).toString()))
}

t.test('T1: every vector is read as what it was made of, and written byte for byte', async (t) => {
  const encoder = new LengthPrefixEncoder(u32be)
  for (const { name, hex: wire, inputs } of messages) {
    const message = reader(inputs.type)(wire)
    t.strictSame(plain(message), inputs, name)
    t.equal(toHex(encoder.push([encodeJson(message as Message)])[0]), wire, `${name}: the keys are in the order of the wire`)
  }
})

t.test('T2: coalesced, byte by byte and cut anywhere they are the same messages', async (t) => {
  const all = vectors.filter(({ inputs, name }) => name === 'two_frames_coalesced' || inputs.type?.endsWith('_port') === true || inputs.type === 'ping' || 'payload' in inputs)
  const wire = hex(all.map((one) => one.hex).join(''))
  const expected = all.flatMap(({ inputs }) => inputs).filter(({ type }) => type !== undefined)
  t.ok(expected.length >= 6)
  const decode = (reads: Uint8Array[]): unknown => {
    const frames = new LengthPrefixDecoder(u32be, { maxFrame: MAX_FRAME })
    const values = new JsonDecoder({ read: readToServer })
    return reads.flatMap((read) => values.push(frames.push([read])))
  }
  for (let size = 1; size <= wire.length; size++) t.strictSame(decode([...cut(wire, size)]), expected, `chunks of ${size}`)
  const two = vector('two_frames_coalesced')
  for (let at = 0; at <= two.bytes.length; at++) t.strictSame(decode([two.bytes.subarray(0, at), two.bytes.subarray(at)]), two.inputs)
})

const control = stack(lengthPrefix(u32be, { maxFrame: MAX_FRAME }), json({ read: readToServer }))

t.test('T3: an empty message is none, and does not end the stream', async (t) => {
  const wire = Buffer.concat([vector('empty_packet').bytes, vector('ping').bytes, vector('empty_packet').bytes])
  t.strictSame(await collect(over(recordingLink([[wire]]), control).source), [vector('ping').inputs])
  t.strictSame(first(''), ZERO)
})

t.test('T4: a length beyond the limit ends the stream before anything behind it is kept', async (t) => {
  t.equal(MAX_FRAME, 65_536)
  t.equal(MAX_FIRST_FRAME, 4096)
  for (const size of ['00010001', '7fffffff', '80000000', 'ffffffff']) {
    const { source } = over(recordingLink([[hex(vector('ping').bytes.toString('hex') + size)]]), control)
    const reader = source[Symbol.asyncIterator]()
    t.strictSame((await reader.next()).value, [vector('ping').inputs])
    t.match(await failureOf(reader.next()), { code: 'ERR_FRAME_SIZE' }, size)
    const decoder = new LengthPrefixDecoder(u32be, { maxFrame: MAX_FRAME })
    decoder.push([hex(size), hex('00')])
    t.equal(decoder.capacity, 0)
  }
  const text = '{"type":"ping","time":1,"x":""}'
  const longest = text.replace('""', `"${'x'.repeat(MAX_FRAME - text.length)}"`)
  t.strictSame(await collect(over(recordingLink([[hex('00010000'), frame(longest)]]), control).source), [{ type: 'ping', time: 1 }])

  for (const size of ['00001001', 'ffffffff']) t.match(await failureOf(firstFrame(recordingLink([[hex(size)]]), u32be, { maxFrame: MAX_FIRST_FRAME })), { code: 'ERR_FRAME_SIZE' })
  const { frame: largest } = await firstFrame(recordingLink([[hex('00001000'), Buffer.alloc(4096, ' ')]]), u32be, { maxFrame: MAX_FIRST_FRAME })
  t.strictSame(first(String(largest)), ZERO)
})

t.test('T5: a stream that ends inside a message', async (t) => {
  const { bytes } = vector('ping')
  for (let size = 1; size < bytes.length; size++) t.match(await failureOf(collect(over(recordingLink([[bytes.subarray(0, size)]]), control).source)), { code: 'ERR_TRUNCATED' }, `after ${size}`)
})

t.test('T6: names in any case, unknown keys, and the last of several', async (t) => {
  t.strictSame(first('{"TOKEN":"tk","local_port":"x","Remote_Port":28002}'), { ...ZERO, token: 'tk', remote_port: 28002 }, 'as it was measured')
  t.strictSame(first('{"Type":"register","LOCAL_PORT":1,"rEmOtE_pOrT":2,"PROTOCOL":"tcp","Token":"t","NAME":"n"}'), { type: 'register', local_port: 1, remote_port: 2, protocol: 'tcp', token: 't', name: 'n' })
  t.strictSame(first('{"more":1,"token":"t","":2,"toke":"no","token ":"no","local-port":3,"localport":4}'), { ...ZERO, token: 't' })
  t.strictSame(first('{"token":"a","token":"b"}'), { ...ZERO, token: 'b' })
  t.strictSame(first('{"token":"a","TOKEN":"b"}'), { ...ZERO, token: 'b' })
  t.strictSame(first('{"TOKEN":"a","token":"b","Token":"c"}'), { ...ZERO, token: 'c' })
  t.strictSame(toServer('{"TYPE":"ping","Time":5,"x":[]}'), { type: 'ping', time: 5 })
  t.strictSame(toServer('{"type":"pong","Type":"ping","time":5}'), { type: 'ping', time: 5 })
})

t.test('T6: values of another type leave the others as they are', async (t) => {
  for (const wrong of ['1.5', '"1"', 'true', '[]', '[1]', '{}', '1e400', '9007199254740993', '-1e30', '{"a":{"b":[]}}']) {
    t.strictSame(first(`{"type":"register","local_port":${wrong},"remote_port":2,"token":"t","name":"n"}`), { ...ZERO, type: 'register', remote_port: 2, token: 't', name: 'n' }, wrong)
    t.equal(toServer(`{"type":"ping","time":${wrong}}`), undefined, `${wrong}, skipped in the loop`)
    t.equal(toServer(`{"type":"offline_port","port":${wrong}}`), undefined)
    t.equal(toClient(`{"type":"open_data_channel","local_port":${wrong},"remote_port":0,"protocol":"","token":"","name":""}`), undefined)
  }
  for (const wrong of ['1', 'false', '[]', '["t"]', '{}']) {
    t.strictSame(first(`{"type":"register","token":${wrong},"name":"n"}`), { ...ZERO, type: 'register', name: 'n' }, wrong)
    t.strictSame(first(`{"type":${wrong},"token":"t"}`), { ...ZERO, token: 't' }, 'the type as well')
    t.equal(toServer(`{"type":${wrong},"time":1}`), undefined)
    t.equal(toClient(`{"type":"open_data_channel","local_port":1,"token":${wrong}}`), undefined)
  }
  t.strictSame(first('{"token":"t","TOKEN":null,"local_port":null,"type":null}'), { ...ZERO, token: 't' }, 'null changes nothing')
  t.strictSame(toServer('{"type":"ping","time":null}'), { type: 'ping', time: 0 })
  t.strictSame(first('{"local_port":-1,"remote_port":70000}'), { ...ZERO, local_port: -1, remote_port: 70_000 }, 'numbers are numbers')
  t.strictSame(first(`{"local_port":${Number.MAX_SAFE_INTEGER},"remote_port":${Number.MIN_SAFE_INTEGER}}`), { ...ZERO, local_port: Number.MAX_SAFE_INTEGER, remote_port: Number.MIN_SAFE_INTEGER })
})

t.test('T6: what is missing is zero', async (t) => {
  for (const text of ['{}', '[]', 'null', '1', '"text"', 'true', '[{"token":"t"}]', 'invalid', '{"token":"t"', '\ufeff{"token":"t"}', '\0', '['.repeat(4096)]) t.strictSame(first(text), ZERO, text.slice(0, 20))
  t.strictSame(toServer('{"type":"ping"}'), { type: 'ping', time: 0 })
  t.strictSame(toServer('{"type":"offline_port"}'), { type: 'offline_port', port: 0 })
  t.strictSame(toClient('{"type":"open_data_channel","local_port":22}'), { ...ZERO, type: 'open_data_channel', local_port: 22 })
  t.strictSame(plain(readAnswer(frame('{"status":"ok"}'))), { type: '', status: 'ok' })
  for (const text of ['', '{}', '[]', '{"status":1}', '{"status":null}', '{"Reason":"ok"}', 'ok']) t.not(readAnswer(frame(text)).status, 'ok', text)
})

t.test('T6: any text', async (t) => {
  for (const name of ['<>&', 'n\u2028\u2029', 'é中😀', '\0\x7f', '"\\', '__proto__', ' ']) {
    t.match(readFirst(encodeJson({ ...ZERO, name })), { name })
    t.match(readFirst(frame(JSON.stringify({ ...ZERO, name }))), { name }, 'escaped or not')
  }
  t.match(readFirst(Buffer.concat([frame('{"name":"a'), hex('ff'), frame('b"}')])), { name: 'a\ufffdb' }, 'bytes that are no UTF-8')
  t.equal(Buffer.from(readFirst(frame('{"name":"a\\ud800b"}')).name).toString(), 'a\ufffdb', 'half a letter')
  t.strictSame(first('{"__proto__":{"token":"t","type":"x"},"constructor":{"prototype":1},"toString":"x","hasOwnProperty":1}'), ZERO)
  t.strictSame(toServer('{"__proto__":{"type":"ping"},"time":1}') ?? 'none', 'none')
  for (const type of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'PING', 'ping ', '']) t.equal(toServer(JSON.stringify({ type, time: 1 })), undefined, type)
})

t.test('messages of the wrong direction, and others, are skipped', async (t) => {
  for (const { name, inputs } of messages) {
    const isFromClient = ['ping', 'offline_port', 'online_port'].includes(inputs.type)
    t.equal(readToServer(inputs) !== undefined, isFromClient, name)
    t.equal(readToClient(inputs) !== undefined, ['pong', 'open_data_channel'].includes(inputs.type), name)
  }
  for (const value of [undefined, null, 1, 'ping', [], ['ping'], {}, vector('unknown_type').inputs, [{ type: 'ping', time: 1 }]]) {
    t.equal(readToServer(value), undefined)
    t.equal(readToClient(value), undefined)
  }
})

t.test('the keys of our own, and their bounds', async (t) => {
  t.match(readFirst(frame('{"type":"register","Tunpipe":1}')), { tunpipe: 1 })
  t.equal((readFirst(frame('{"type":"register","tunpipe":"1"}')) as { tunpipe?: number }).tunpipe, undefined)
  t.match(readAnswer(frame('{"status":"ok","tunpipe":1}')), { tunpipe: 1 })
  const id = 'i'.repeat(64)
  t.match(readFirst(frame(`{"type":"data_channel","id":"${id}"}`)), { type: 'data_channel', id })
  for (const wrong of [`"${id}i"`, '1', '[]', 'null']) t.equal((readFirst(frame(`{"type":"data_channel","id":${wrong}}`)) as { id?: string }).id, undefined, wrong)
  t.notOk('id' in (first(`{"type":"register","id":"${id}"}`) as object), 'not of a registration')
  const open = { ...ZERO, type: 'open_data_channel', local_port: 22, id }
  t.strictSame(toClient(JSON.stringify(open)), open)
  t.equal(toClient(JSON.stringify({ ...open, id: `${id}i` })), undefined)
  const opening = { source: '[2001:db8::1]:7', destination: '192.0.2.1:443' }
  t.strictSame(plain(readStreamHeader(encodeJson(opening))), opening)
  t.strictSame(plain(readStreamHeader(frame(`{"Source":"${'x'.repeat(65)}","destination":"d","id":1}`))), { destination: 'd' })
  for (const text of ['', '{}', '[]', 'none', '{"source":1,"destination":null}']) t.strictSame(plain(readStreamHeader(frame(text))), {}, text)
  const failed = { type: 'data_channel_failed', id, reason: 'r'.repeat(256) }
  t.strictSame(toServer(JSON.stringify(failed)), failed)
  for (const wrong of [{ id: `${id}i` }, { reason: 'r'.repeat(257) }, { id: 1 }]) t.equal(toServer(JSON.stringify({ ...failed, ...wrong })), undefined)
  const unregistered = { type: 'unregistered', reason: 'removed' }
  t.strictSame(toClient(JSON.stringify(unregistered)), unregistered)
  t.equal(toServer(JSON.stringify(unregistered)), undefined)
})

const NUMBERS = new Set(['local_port', 'remote_port', 'time', 'port', 'tunpipe', 'acknowledge', 'addresses'])
const KEYS = /^(?:type|local_port|remote_port|protocol|token|name|time|port|status|reason|id|source|destination|tunpipe|acknowledge|addresses)$/

/** True when every field has a name and a type that it may have. */
const isSound = (message: object): boolean => Object.entries(message).every(([key, value]) =>
  KEYS.test(key) && (NUMBERS.has(key) ? value === undefined || Number.isSafeInteger(value) : typeof value === 'string' || (value === undefined && /^(?:id|source|destination|reason)$/.test(key))))

function check (bytes: Uint8Array): void {
  const opening = readFirst(bytes)
  if (!isSound(opening) || typeof opening.token !== 'string' || typeof opening.remote_port !== 'number') throw new Error(JSON.stringify(opening))
  if (!isSound(readAnswer(bytes)) || !isSound(readStreamHeader(bytes))) throw new Error('answer')
  for (const read of [readToServer, readToClient]) {
    const [message] = new JsonDecoder<Message>({ read }).push([bytes])
    if (message !== undefined && !(isSound(message) && message.type !== '')) throw new Error(JSON.stringify(message))
  }
}

t.test('property: any bytes and any values are read, or skipped', async (t) => {
  const key = fc.oneof(fc.constantFrom('type', 'Type', 'TOKEN', 'token', 'local_port', 'remote_port', 'port', 'time', 'name', 'id', 'reason', 'status', 'tunpipe', 'acknowledge', '__proto__', 'constructor'), fc.string())
  const value = fc.oneof(fc.constantFrom('ping', 'pong', 'register', 'data_channel', 'open_data_channel', 'offline_port', 'data_channel_failed', 'unregistered'), fc.integer(), fc.double(), fc.jsonValue({ maxDepth: 2 }))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 300 })
  fc.assert(fc.property(fc.json(), (text) => { check(frame(text)) }), { numRuns: 300 })
  fc.assert(fc.property(fc.array(fc.tuple(key, value)), (pairs) => {
    check(frame(`{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`))
  }), { numRuns: 1000 })
  t.pass()
})

t.test('mutations of the vectors', async (t) => {
  const below = random(1)
  const payloads = vectors.map((one) => payloadOf(one.hex))
  for (let round = 0; round < ROUNDS / 5; round++) {
    const bytes = mutate(payloads[below(payloads.length)], below)
    try {
      check(bytes)
    } catch (err) {
      t.fail(`round ${round}: ${String(err)}`, { bytes: toHex(bytes) })
      return
    }
  }
  t.pass()
})
