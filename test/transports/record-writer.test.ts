import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { hear, nothing, until } from '../helpers/ends.ts'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'
import { outputOf } from '../helpers/programs/program.ts'
import { loadLibc, type Libc } from '../../src/net/native/libc.ts'
import { RecordWriter } from '../../src/transports/record-writer.ts'
import { descriptorOf, prepareSocketCalls } from '../../src/net/native/socket-calls.ts'
import { streamLink } from '../../src/transports/index.ts'
import { FrameDecoder, FrameEncoder, websocketFrames } from '../../src/transforms/websocket-frames/index.ts'
import { endOfFrames } from '../../src/transforms/websocket-frames/frame-records.ts'
import type { Batch } from '../../src/types.ts'

const hasKoffi = process.platform === 'linux' && await import('koffi').then(() => true, () => false)
const skip = hasKoffi ? false : 'takes Linux and koffi'

const IPPROTO_TCP = 6
const TCP_INFO = 11
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SMALL = 8192
/** Where `struct tcp_info` has the segments with data that were sent, how many of them again, and the segment size. */
const DATA_SEGMENTS_OUT = 156
const RETRANSMITTED = 100
const SEGMENT_SIZE = 16

const encoder = new FrameEncoder('server')
const records = { end: endOfFrames, filler: encoder.pong(new Uint8Array(0)) }
const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer)

interface Pair {
  here: Socket
  there: Socket
}

/** @param sendBuffer bytes that the kernel takes for the end that is here. Default: as many as it likes */
async function pair (t: Test, sendBuffer?: number): Promise<Pair> {
  const server = createServer({ pauseOnConnect: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const there = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [[here]] = await Promise.all([accepted, once(there, 'connect')])
  there.on('error', () => {}) // an abort of the other end resets it
  t.teardown(() => {
    for (const socket of [here, there]) socket.destroy()
    server.close()
  })
  if (sendBuffer !== undefined) (await loadLibc()).setsockopt(descriptorOf(here) as number, SOL_SOCKET, SO_SNDBUF, u32(sendBuffer), 4)
  return { here, there }
}

/** Messages that tell their place, of 1 to 1500 bytes. */
function messages (count: number): Batch {
  return Array.from({ length: count }, (_, i) => {
    const message = new Uint8Array(4 + (i * 7919) % 1497).fill(i)
    new DataView(message.buffer).setUint32(0, i)
    return message
  })
}

/** Collects what a socket brings, without what means nothing. */
function collect (socket: Socket): { got: Batch, fillers: number } {
  const seen = { got: [] as Batch, fillers: 0 }
  const decoder = new FrameDecoder({ role: 'client' }, { onPong () { seen.fillers++ } })
  socket.on('data', (bytes: Uint8Array) => { for (const message of decoder.push([bytes])) seen.got.push(Uint8Array.from(message)) })
  return seen
}

/** Batches of 1 to 40 of them, as blocks of frames. */
function * blocks (all: Batch): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < all.length; i++) {
    const count = 1 + i * 13 % 40
    yield encoder.push(all.slice(at, at + count))[0]
    at += count
  }
}

const same = (t: Test, got: Batch, sent: Batch): void => {
  t.equal(got.length, sent.length)
  t.ok(got.every((message, i) => Buffer.compare(message, sent[i]) === 0), 'all of them, in order')
}

const ways: Array<[name: string, calls: (libc: Libc) => () => Libc | null, skip: string | false]> = [
  ['with marks', (libc) => () => libc, skip],
  ['with marks, where the kernel takes a part or nothing now and then', reluctantly, skip],
  ['without marks', () => () => null, false]
]

function reluctantly (libc: Libc): () => Libc {
  const calls = reluctant(libc)
  return () => calls
}

/** Takes only a part of every third record, nothing of every fifth, and is interrupted at every seventh. */
function reluctant (libc: Libc): Libc {
  let [calls, errno] = [0, 0]
  const refuse = (code: number): number => {
    errno = code
    return -1
  }
  return {
    ...libc,
    errno: () => errno,
    send (fd, from, length, flags) {
      calls++
      if (calls % 7 === 0) return refuse(4) // EINTR
      if (calls % 5 === 0) return refuse(11) // EAGAIN
      return libc.send(fd, from, calls % 3 === 0 ? Math.ceil(length / 2) : length, flags)
    }
  }
}

for (const [name, make, skip] of ways) {
  t.test(`${name}: everything arrives in order, through a socket that is full most of the time`, { skip }, async (t) => {
    const libc = hasKoffi ? await loadLibc() : undefined
    const { here, there } = await pair(t, hasKoffi ? SMALL : undefined)
    let idle = 0
    const writer = new RecordWriter(here, records, () => { idle++ }, make(libc as Libc))
    const sent = messages(4000)
    let written = 0
    let blockCount = 0
    for (const block of blocks(sent)) {
      blockCount++
      writer.write(block, () => { written++ })
    }
    t.ok(writer.queued > 0 && !writer.isIdle, 'most of it waits, as nobody reads')
    const seen = collect(there)
    await until(() => seen.got.length === sent.length)
    same(t, seen.got, sent)
    await until(() => writer.isIdle)
    t.equal(written, blockCount)
    t.equal(writer.queued, 0)
    t.ok(idle > 0)
  })
}

t.test('no frame spans two segments', { skip }, async (t) => {
  const libc = await loadLibc()
  await prepareSocketCalls()
  const info = (socket: Socket): DataView => {
    const bytes = Buffer.alloc(256)
    t.equal(libc.getsockopt(descriptorOf(socket) as number, IPPROTO_TCP, TCP_INFO, bytes, u32(bytes.length)), 0)
    return new DataView(bytes.buffer, bytes.byteOffset)
  }
  for (const perRecord of [1, 3, 7]) {
    const { here, there } = await pair(t)
    const size = Math.floor((info(here).getUint32(SEGMENT_SIZE, true) - 36) / perRecord) - 4
    const count = 84
    const seen = collect(there)
    const writer = new RecordWriter(here, records, () => {})
    const segmentsOf = (tcp: DataView): number => tcp.getUint32(DATA_SEGMENTS_OUT, true) - tcp.getUint32(RETRANSMITTED, true)
    const before = segmentsOf(info(here))
    writer.write(encoder.push(Array.from({ length: count }, () => new Uint8Array(size)))[0], () => {})
    await until(() => seen.got.length === count)
    const segments = segmentsOf(info(here)) - before
    t.equal(segments - seen.fillers, count / perRecord, `segments of ${perRecord} frames of ${size} bytes, besides ${seen.fillers} fillers`)
  }
})

t.test('what waits is written before the end', { skip }, async (t) => {
  await prepareSocketCalls()
  const { here, there } = await pair(t, SMALL)
  const link = websocketFrames({ role: 'server' })(streamLink(here))
  link.wholeFrames?.(true)
  const sent = messages(2000)
  for (let at = 0; at < sent.length; at += 50) t.equal(link.port.send(sent.slice(at, at + 50)), 50)
  t.ok(link.port.queued > 0)
  link.close(1000)
  const [got] = await Promise.all([hear(websocketFrames({ role: 'client' })(streamLink(there)).source), hear(link.source)])
  same(t, got, sent)
})

t.test('an abort leaves nothing behind, and wakes those who wait', { skip }, async (t) => {
  await prepareSocketCalls()
  const { here } = await pair(t)
  const link = streamLink(here)
  link.records?.(records)
  while (link.port.send([encoder.push(messages(100))[0]]) > 0);
  t.ok(link.port.queued >= link.port.limit)
  const drained = link.port.drained?.()
  link.abort(new Error('enough'))
  await drained
  await delay(0)
  t.ok(link.port.queued < link.port.limit, 'what it held is free')
  t.equal(link.port.send([encoder.push(messages(1))[0]]), 0)
})

t.test('records go on behind what was written as a stream', { skip }, async (t) => {
  await prepareSocketCalls()
  const { here, there } = await pair(t, SMALL)
  const link = streamLink(here)
  const sent = messages(6000)
  const [before, after] = [sent.slice(0, 5000), sent.slice(5000)]
  link.port.send(encoder.push(before))
  t.ok(here.writableLength > 0, 'some of it waits')
  link.records?.(records)
  link.port.send(encoder.push(after))
  const seen = collect(there)
  await until(() => seen.got.length === sent.length)
  same(t, seen.got, sent)
})

t.test('back to a stream, and to records again, while some of it waits', { skip }, async (t) => {
  await prepareSocketCalls()
  const { here, there } = await pair(t, SMALL)
  const link = streamLink(here)
  const sent = messages(3000)
  for (let at = 0; at < sent.length; at += 100) {
    link.records?.(at % 300 === 200 ? undefined : records)
    t.equal(link.port.send(encoder.push(sent.slice(at, at + 100))), 1)
  }
  const seen = collect(there)
  await until(() => seen.got.length === sent.length)
  same(t, seen.got, sent)
})

t.test('without need nothing is sent besides', { skip }, async (t) => {
  await prepareSocketCalls()
  const { here, there } = await pair(t)
  const link = streamLink(here)
  link.records?.(records)
  const seen = collect(there)
  const sent = messages(3)
  for (const message of sent) link.port.send(encoder.push([message]))
  await until(() => seen.got.length === sent.length)
  t.equal(seen.fillers, 0)
})

t.test('a sink has the link for itself until all of it was written', { skip }, async (t) => {
  await prepareSocketCalls()
  const { here, there } = await pair(t, SMALL)
  const link = streamLink(here)
  link.records?.(records)
  const sent = messages(1000)
  link.port.send(encoder.push(sent))
  const ended = link.sink(nothing())
  await delay(0)
  await t.rejects(link.sink(nothing()), { code: 'ERR_LINK_BUSY' })
  const seen = collect(there)
  await ended
  await until(() => seen.got.length === sent.length)
  same(t, seen.got, sent)
})

t.test('only plain TCP has segments that can be kept whole', async (t) => {
  const { here } = await pair(t)
  t.type(streamLink(here).records, 'function')
  t.type(streamLink(here).growReceiveBuffer, 'function')
  const secure = streamLink(new TLSSocket(here))
  t.equal(secure.records, undefined)
  t.equal(secure.growReceiveBuffer, undefined)
  t.equal(streamLink(new PassThrough()).records, undefined)
})

t.test('the receive buffer of a connection is large at once, also before the system calls are loaded', { skip }, async (t) => {
  const script = `
    import { createServer, connect } from 'node:net'
    import { once } from 'node:events'
    import { streamLink } from ${JSON.stringify(new URL('../../src/transports/index.ts', import.meta.url).href)}
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const there = connect(server.address().port, '127.0.0.1')
    const [here] = await once(server, 'connection')
    streamLink(here).growReceiveBuffer()
    const { loadLibc } = await import(${JSON.stringify(new URL('../../src/net/native/libc.ts', import.meta.url).href)})
    const libc = await loadLibc()
    await new Promise(setImmediate)
    const value = new Int32Array(1)
    libc.getsockopt(here._handle.fd, 1, 8, new Uint8Array(value.buffer), new Uint8Array(new Int32Array([4]).buffer))
    const low = new Int32Array(1)
    libc.getsockopt(here._handle.fd, 1, 18, new Uint8Array(low.buffer), new Uint8Array(new Int32Array([4]).buffer))
    console.log(JSON.stringify([value[0], low[0]]))
    process.exit()
  `
  const stdout = await outputOf(t, [...STRIP_TYPES, '--input-type=module', '--eval', script], { cwd: fileURLToPath(new URL('../..', import.meta.url)) })
  const [size, lowWater] = JSON.parse(stdout)
  t.ok(size >= 2 * 1024 * 1024, `${size} bytes`)
  t.equal(lowWater, 1, 'and a read still returns what is there')
})
