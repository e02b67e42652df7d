import t from 'tap'
import type { Test } from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { turn } from '../../../helpers/ends.ts'
import { hmacOf } from '../../../helpers/showchain/hmac.ts'
import { identity, publicDer, type AnyKeyName } from '../../../helpers/showchain/keys.ts'
import { messageOf, NOW, OPS } from '../../../helpers/showchain/messages.ts'
import { ScriptedSocket } from '../../../helpers/showchain/scripted-socket.ts'
import { decodeMessage, encodeMessage, type ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op, type OpName } from '../../../../src/nodes/showchain/protocol/op.ts'
import { Pipeline, type DataSender, type PipelineInit, type Received } from '../../../../src/nodes/showchain/protocol/pipeline.ts'
import type { Drop } from '../../../../src/nodes/showchain/protocol/pipeline-stats.ts'
import { PublicKey, userIdOf } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { signedBytes } from '../../../../src/nodes/showchain/protocol/signatures.ts'

const own = identity('h')
const peer = identity('a')
const key = PublicKey.read(peer.der) as PublicKey
const session: DataSender = { id: peer.id, key }

function open (t: Test, init: Partial<PipelineInit> = {}) {
  const socket = new ScriptedSocket()
  const clock = new ManualClock({ date: NOW })

  const heard: Received[] = []
  const handlers = Object.fromEntries(OPS.map(([name]) => [name, (received: Received) => { heard.push(received.own()) }])) as PipelineInit['handlers']
  const pipeline = new Pipeline({ socket, clock, identity: own, handlers, proxyId: () => peer.id, dataSender: () => session, ...init })
  const stop = new AbortController()
  t.teardown(() => { stop.abort() })
  const done = pipeline.run(stop.signal)
  done.catch(() => {})
  const receive = (...messages: ShowchainMessage[]): void => { socket.receive(messages.map(encodeMessage)) }
  /** Reasons of all drops so far. */
  const drops = (): Partial<Record<Drop, number>> => Object.fromEntries(Object.entries(pipeline.stats.drops).filter(([, count]) => count > 0))
  return { socket, clock, pipeline, heard, receive, drops, done, stop }
}

t.test('each kind of message reaches its handler, with the key of its signer', async (t) => {
  const { receive, heard, pipeline, drops } = open(t)
  for (const [name, op] of OPS) {
    const message = messageOf(op)
    receive(message)
    t.same(encodeMessage(heard.at(-1)?.message as ShowchainMessage), encodeMessage(message), name)
    t.same(heard.at(-1)?.from, { host: '198.51.100.7', port: 4000 })
    t.same(heard.at(-1)?.sender?.id, message.sign === undefined ? undefined : peer.id)
    t.equal(pipeline.stats.received[name], 1)
  }
  t.same(drops(), {})
})

t.test('what is sent is signed where it has to be, and sent once it is', async (t) => {
  for (const threads of [true, false]) {
    const { socket, pipeline } = open(t, { threads })
    for (const [name, op] of OPS) {
      const unsigned = messageOf(op, { sign: undefined }, own)
      t.equal(await pipeline.send(unsigned, { host: '192.0.2.7', port: 7 }), true, name)
      const { data, host, port } = socket.sent.at(-1) as { data: Uint8Array, host: string, port: number }
      t.same([host, port], ['192.0.2.7', 7])
      const sent = decodeMessage(data)
      if (sent.sign !== undefined) t.ok(identityKey().verify(signedBytes(sent), sent.sign), `${name} is signed`)
      t.equal(sent.sign !== undefined, messageOf(op).sign !== undefined, name)
      t.equal(pipeline.stats.sent[name as OpName], 1)
    }
  }
})

t.test('what cannot be sent is told, also when it has been signed', async (t) => {
  const { socket, pipeline } = open(t)
  const to = { host: '192.0.2.7', port: 7 }
  const sent = pipeline.send(messageOf(Op.directResponse, { sign: undefined }, own), to)
  socket.port.queued = socket.port.limit
  t.equal(await sent, false)
  t.equal(await pipeline.send(messageOf(Op.directResponse, { sign: undefined }, own), to), false)
  t.equal(pipeline.send(messageOf(Op.keepAlive), to), false)
  t.equal(pipeline.stats.unsent, 3)
  t.equal(socket.sent.length, 0)
})

const identityKey = (): PublicKey => PublicKey.read(own.der) as PublicKey

/** Those with a signature. */
const SIGNED = OPS.filter(([, op]) => messageOf(op).sign !== undefined)

/** What each kind of message signs, besides its op code. */
const COVERED: Partial<Record<OpName, ReadonlyArray<keyof ShowchainMessage>>> = {
  directRequest: ['target', 'seq', 'ts'],
  directResponse: ['id', 'seq', 'ts'],
  natRequest: ['target', 'seq', 'ts'],
  passRequest: ['target', 'seq', 'ts'],
  response: ['target', 'id', 'seq', 'ts'],
  responseAck: ['session', 'seq', 'ts'],
  passResponseAck: ['session', 'seq', 'ts'],
  proxyRequest: ['target', 'seq', 'ts', 'ephemeral'],
  proxyResponse: ['target', 'session', 'seq', 'ts', 'ephemeral'],
  dataRequest: ['target', 'session', 'seq', 'ts', 'dataHash']
}

/** Drops of which one says that a message was not authentic. */
const FALSE: ReadonlySet<string> = new Set<Drop>(['signature', 'key', 'id', 'sender', 'hash', 'hmac', 'size', 'encoding', 'field', 'missing', 'stale', 'own'])

function flipped (message: ShowchainMessage, field: keyof ShowchainMessage, bit: number): ShowchainMessage {
  const value = message[field]
  if (typeof value === 'number') return { ...message, [field]: Number(BigInt(value) ^ 1n << BigInt(bit)) }
  const bytes = Uint8Array.from(value as Uint8Array)
  bytes[bit >>> 3] ^= 1 << (bit & 7)
  return { ...message, [field]: bytes }
}

t.test('one bit changed in a signed value, in sign, in key, in id: dropped, counted, not answered (row 2)', async (t) => {
  for (const [name, op] of SIGNED) {
    const message = messageOf(op)
    const { receive, heard, drops, socket } = open(t)
    let sent = 0
    const isData = op === Op.dataRequest
    const changed = new Set([...COVERED[name] ?? [], 'sign', 'id', ...isData ? [] : ['key']] as Array<keyof ShowchainMessage>)
    for (const field of changed) {
      if (message[field] === undefined) continue
      const bits = typeof message[field] === 'number' ? 40 : 8 * (message[field] as Uint8Array).length
      const step = bits > 512 ? 13 : 1 // of sign and key some
      for (let bit = 0; bit < bits; bit += step, sent++) receive(flipped(message, field, bit))
    }
    t.ok(sent > 400, `${name}: ${sent} messages`)
    t.equal(heard.length, 0)
    const counted = drops()
    t.equal(Object.values(counted).reduce((sum, count) => sum + count), sent)
    t.ok(Object.keys(counted).every((reason) => FALSE.has(reason) || reason === 'budget'), JSON.stringify(counted))
    t.equal(socket.sent.length, 0)
  }
})

t.test('a signature of one kind does not hold for another (row 2)', async (t) => {
  const { receive, heard } = open(t)
  const request = messageOf(Op.directRequest)
  receive({ ...messageOf(Op.natRequest), sign: request.sign }, { ...messageOf(Op.proxyRequest), ephemeral: undefined, sign: request.sign })
  receive({ ...messageOf(Op.responseAck), op: Op.passResponseAck, ip: Uint8Array.of(1, 2, 3, 4), port: 1 }, { ...messageOf(Op.natRequest), op: Op.passRequest, session: new Uint8Array(16), ip: Uint8Array.of(1, 2, 3, 4), port: 1 })
  t.same(heard.map(({ message }) => message.op), [Op.passResponseAck, Op.passRequest], 'but for those that are passed on')
})

t.test('ts 31 s old or ahead; seq repeated; seq 65 behind (row 3)', async (t) => {
  for (const [name, op] of SIGNED) {
    const { receive, heard, drops } = open(t)
    receive(messageOf(op, { ts: NOW - 30_001 }), messageOf(op, { ts: NOW + 30_001 }))
    t.same(drops(), { stale: 2 }, name)
    receive(messageOf(op, { seq: 2000, ts: NOW - 30_000 }))
    receive(messageOf(op, { seq: 2001, ts: NOW + 30_000 }))
    t.equal(heard.length, 2)
    if (op === Op.dataRequest) {
      receive(messageOf(op, { seq: 2001 - 1024 }), messageOf(op, { seq: 2001 }), messageOf(op, { seq: 2001 - 1025 }))
      t.same(heard.map(({ isRepeated }) => isRepeated), [false, false, false, true])
      t.same(drops(), { stale: 2, replay: 1 })
      continue
    }
    receive(messageOf(op, { seq: 2001 }))
    receive(messageOf(op, { seq: 2001 - 65 }))
    t.same(drops(), { stale: 2, replay: 2 })
    receive(messageOf(op, { seq: 2001 - 64 }))
    receive(messageOf(op, { seq: 2001 - 64 }))
    t.equal(heard.length, 3)
    t.same(drops(), { stale: 2, replay: 3 })
  }
})

t.test('two of one seq in one read: one is taken', async (t) => {
  const { receive, heard, drops } = open(t)
  receive(messageOf(Op.directRequest), messageOf(Op.directRequest))
  t.equal(heard.length, 1)
  t.same(drops(), { replay: 1 })
})

t.test('keys that nobody may use: refused without a verification (row 4)', async (t) => {
  for (const name of ['rsa1024', 'rsa2052', 'rsa16384', 'exponent3', 'rsapss', 'ec', 'ed25519'] as AnyKeyName[]) {
    const { receive, heard, drops, pipeline } = open(t)
    const der = publicDer(name)
    receive({ ...messageOf(Op.directRequest), id: userIdOf(der), key: der })
    t.equal(heard.length, 0)
    const [reason] = Object.keys(drops())
    t.equal(reason, der.length > 1000 ? 'size' : der.length < 292 ? 'field' : 'key', name)
    t.equal(pipeline.unverified, 0)
    t.equal(pipeline.keys.size, 0)
  }
})

t.test('a key of another node than the id says; 0x122 of another proxy; data of nobody', async (t) => {
  const { receive, heard, drops } = open(t, { proxyId: () => identity('c').id, dataSender: ({ message }) => message.seq === 1 ? undefined : { ...session, id: identity('c').id } })
  receive({ ...messageOf(Op.directRequest), id: identity('b').id }, messageOf(Op.proxyResponse), messageOf(Op.dataRequest, { seq: 1 }), messageOf(Op.dataRequest))
  t.equal(heard.length, 0)
  t.same(drops(), { id: 2, sender: 2 })
  const { receive: toOther, drops: ofOther } = open(t, { proxyId: () => undefined, dataSender: undefined })
  toOther(messageOf(Op.proxyResponse), messageOf(Op.dataRequest))
  t.same(ofOther(), { sender: 2 })
})

t.test('its own messages coming back, first bytes of nothing, and kinds that it does not take', async (t) => {
  const { receive, socket, drops } = open(t, { handlers: {} })
  receive(messageOf(Op.directRequest, {}, own), messageOf(Op.dataAck))
  socket.receive([Buffer.of(0x16), Buffer.alloc(0), Buffer.of(0xc1, 1)])
  t.same(drops(), { own: 1, unexpected: 1, datagram: 2, size: 1 })
})

t.test('data goes aside in one batch', async (t) => {
  const batches: string[][] = []
  const { socket, heard } = open(t, { onData: (packets) => { batches.push(packets.map(({ data }) => Buffer.from(data).toString('hex'))) } })
  socket.receive([Buffer.of(0xc1, 1), encodeMessage(messageOf(Op.keepAlive)), Buffer.of(0xc0, 2), Buffer.of(0xc1, 3)])
  t.same(batches, [['c101', 'c002', 'c103']])
  t.equal(heard.length, 1)
})

t.test('data without a hash only as on the page; a false hash never', async (t) => {
  const page = messageOf(Op.dataRequest, { dataHash: undefined })
  const { receive, heard, drops } = open(t)
  receive(page, { ...messageOf(Op.dataRequest), data: Buffer.from('date') })
  t.same(drops(), { hash: 2 })
  t.equal(heard.length, 0)
  const { receive: onPage, heard: ofPage } = open(t, { pageSignatures: true })
  onPage(page)
  t.equal(ofPage.length, 1)
})

t.test('data by HMAC is that of a proxy, which takes it before: here it is dropped', async (t) => {
  const unsigned = messageOf(Op.dataRequest, { sign: undefined })
  const message = { ...unsigned, sign: hmacOf(unsigned, Buffer.alloc(32, 1)) }
  for (const pageSignatures of [false, true]) {
    const { receive, heard, drops } = open(t, { pageSignatures })
    receive(message, { ...messageOf(Op.directRequest), sign: message.sign })
    t.same(drops(), { hmac: 1, field: 1 })
    t.same(heard, [])
  }
})

t.test('a repetition of data is not verified again; a changed one is', async (t) => {
  const { receive, heard, drops } = open(t)
  const message = messageOf(Op.dataRequest)
  receive(message)
  let verified = 0
  const { verify } = key
  key.verify = (...args) => {
    verified++
    return verify.apply(key, args)
  }
  t.teardown(() => { key.verify = verify })
  receive(message)
  t.equal(verified, 0)
  receive(flipped(message, 'sign', 0))
  t.equal(verified, 1)
  receive(messageOf(Op.dataRequest))
  t.equal(verified, 2, 'signed anew')
  t.same(heard.map(({ isRepeated }) => isRepeated), [false, true, true])
  t.same(drops(), { signature: 1 })
})

t.test('the node refuses before anything is verified', async (t) => {
  const { receive, heard, drops } = open(t, { admit: ({ message }) => message.cookie === undefined ? 'cookie' : undefined })
  receive(messageOf(Op.directRequest, { cookie: undefined, ts: 1 }), messageOf(Op.directRequest))
  t.equal(heard.length, 1)
  t.same(drops(), { cookie: 1 })
})

t.test('a budget by source and one of all, taken before the key is read (rows 11 and 12)', async (t) => {
  const budgets = { perSource: { rate: 1, burst: 10 }, total: { rate: 1, burst: 15 } }
  const { socket, heard, drops, pipeline } = open(t, { budgets, threads: false })
  const flood = Array.from({ length: 100 }, (_, i) => encodeMessage(messageOf(Op.directRequest, { seq: 1 + i })))
  socket.receive(flood, { host: '203.0.113.1', port: 1 })
  t.equal(heard.length, 10)
  t.same(drops(), { budget: 90 })
  const others = Array.from({ length: 4 }, (_, i) => encodeMessage(messageOf(Op.natRequest, { seq: 1 + i })))
  for (const [i, datagram] of others.entries()) socket.receive([datagram], { host: `203.0.113.${2 + i}`, port: 1 })
  t.equal(heard.length, 14, 'others are served')
  socket.receive(Array.from({ length: 10 }, (_, i) => encodeMessage(messageOf(Op.response, { seq: 1 + i }))), { host: '2001:db8::1', port: 1 })
  t.equal(heard.length, 15, 'and not more than all may')
  t.equal(pipeline.unverified, 0)
})

t.test('sources of one /64 share a budget; data has its own', async (t) => {
  const budgets = { perSource: { rate: 1, burst: 1 } }
  const { socket, heard, drops } = open(t, { budgets, dataBudgets: { perSource: { rate: 1, burst: 2 } } })
  socket.receive([encodeMessage(messageOf(Op.directRequest))], { host: '2001:db8::1', port: 1 })
  socket.receive([encodeMessage(messageOf(Op.natRequest))], { host: '2001:db8::ffff:1', port: 2 })
  t.same(drops(), { budget: 1 })
  for (let seq = 1; seq <= 3; seq++) socket.receive([encodeMessage(messageOf(Op.dataRequest, { seq }))], { host: '2001:db8::1', port: 1 })
  t.same(drops(), { budget: 2 })
  t.equal(heard.length, 3)
})

t.test('more than a few are verified on other threads, in order for each sender, and answers leave together', async (t) => {
  const order: number[] = []
  const { socket, pipeline, drops } = open(t, {
    handlers: {
      natRequest: ({ message, from }) => {
        order.push(message.seq)
        void pipeline.send(messageOf(Op.keepAlive), from)
      }
    }
  })
  const messages = Array.from({ length: 53 }, (_, i) => messageOf(Op.natRequest, { seq: 1 + i }))
  messages[20] = flipped(messages[20], 'sign', 3)
  const [first, rest] = [[1, 2, 3, 4, 5, 6, 7, 8], messages.map(({ seq }) => seq).filter((seq) => seq > 8 && seq !== 21)]
  socket.receive(messages.slice(0, 50).map(encodeMessage))
  t.equal(pipeline.unverified, 42)
  t.same(order, first)
  socket.receive(messages.slice(50).map(encodeMessage))
  t.same(order, first, 'those behind them wait as well')
  socket.receive([encodeMessage(messageOf(Op.natRequest, { seq: 100 }, identity('b')))])
  t.same(order, [...first, 100], 'those of others do not')
  while (pipeline.unverified > 0) await turn()
  await turn()
  t.same(order, [...first, 100, ...rest], 'though their memory was overwritten')
  t.same(drops(), { signature: 1 })
  t.equal(socket.sent.length, 53)
  t.ok(socket.batches < 53, `${socket.batches} batches`)
})

t.test('one that has too many waiting loses its own, not those of others', async (t) => {
  const { socket, heard, drops, pipeline } = open(t, { limits: { maxPerSender: 5, maxWaiting: 8, few: 0 } })
  const from = (signer: 'a' | 'b' | 'c', count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => encodeMessage(messageOf(Op.natRequest, { seq: 1 + i }, identity(signer))))
  socket.receive([...from('a', 10), ...from('b', 2), ...from('c', 2)])
  t.equal(pipeline.unverified, 8)
  while (pipeline.unverified > 0) await turn()
  t.same(['a', 'b', 'c'].map((name) => heard.filter(({ sender }) => Buffer.compare(sender?.id as Uint8Array, identity(name as 'a').id) === 0).length), [5, 2, 1])
  t.same(drops(), { busy: 6 })
})

t.test('what a handler throws ends the pipeline, also from another thread', async (t) => {
  for (const few of [2, 0]) {
    const { receive, done, pipeline } = open(t, { handlers: { natRequest: () => { throw new RangeError('a defect') } }, limits: { few } })
    receive(messageOf(Op.natRequest))
    await t.rejects(done, { name: 'RangeError' })
    t.equal(pipeline.unverified, 0)
  }
})

t.test('keys are remembered once they have verified', async (t) => {
  const { receive, pipeline } = open(t)
  receive(flipped(messageOf(Op.natRequest), 'sign', 0))
  t.equal(pipeline.keys.size, 0)
  receive(messageOf(Op.natRequest))
  t.equal(pipeline.keys.size, 1)
})

t.test('a challenge has no signature, and no other response goes without', async (t) => {
  const { receive, heard, drops } = open(t)
  const challenge = { ...messageOf(Op.directResponse), id: undefined, key: undefined, sign: undefined }
  receive({ ...challenge, ts: 1 })
  t.equal(heard.length, 1)
  receive({ ...challenge, cookie: undefined }, { ...messageOf(Op.directResponse), sign: undefined })
  t.equal(heard.length, 1)
  t.same(drops(), { missing: 2 })
})
