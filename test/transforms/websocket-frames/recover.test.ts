/** A link whose client cuts frames, as a whole: from the bytes of a socket to messages. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { plausible, trusted } from '../../../src/nodes/candy/relay/believable.ts'
import { wrapForward } from '../../../src/nodes/candy/protocol/forward.ts'
import { FrameEncoder, websocketFrames, type WebSocketFramesInit, type WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'
import { memoryPair, streamLink } from '../../../src/transports/index.ts'
import { writeHeader } from '../../../src/net/ipv4.ts'
import { until } from '../../helpers/ends.ts'
import type { Batch } from '../../../src/types.ts'

const OWN = 0x0a4d0002
const encoder = new FrameEncoder('client')

function message (number: number, size = 1000): Uint8Array {
  const packet = new Uint8Array(size).fill(number)
  writeHeader(packet, { protocol: 17, source: OWN, destination: OWN + 1, totalLength: size, id: number })
  return wrapForward(packet)
}

const frame = (number: number): Uint8Array => encoder.push([message(number)])[0]

interface Served {
  link: WebSocketLink
  /** Where the client writes. */
  raw: Socket
  got: Batch
  resyncs: number
  failure: Error | undefined
}

const recovery = (served: Served): Parameters<NonNullable<WebSocketLink['recoverFrames']>>[0] => ({ plausible, trusted: trusted(() => OWN), onResync () { served.resyncs++ } })

async function serve (t: Test, init: Partial<WebSocketFramesInit> = {}): Promise<Served> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const raw = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  raw.on('error', () => {}).resume()
  const [socket] = await accepted
  t.teardown(() => {
    for (const each of [raw, socket]) each.destroy()
    server.close()
  })
  const link = websocketFrames({ role: 'server', closeTimeout: 100, ...init })(streamLink(socket))
  const served: Served = { link, raw, got: [], resyncs: 0, failure: undefined }
  link.flow((messages) => { served.got.push(...messages.map((each) => Uint8Array.from(each))) }).catch((err: Error) => { served.failure = err })
  return served
}

const numbers = ({ got }: Served): number[] => got.map((each) => each[100])
const cut = (number: number, size: number): Uint8Array => frame(number).subarray(0, size)

/**
 * A frame behind one that was cut to `size` bytes, where those that are missing are taken from it: what is read as the next header has a
 * reserved bit set. Masks are random, so another one might look like a header, and more would be waited for.
 */
function faultyBehind (size: number): Uint8Array {
  for (;;) {
    const behind = frame(3)
    if ((behind[behind.length - size] & 0x70) !== 0) return behind
  }
}

async function write ({ raw }: Served, ...parts: Uint8Array[]): Promise<void> {
  await new Promise((resolve) => { raw.write(Buffer.concat(parts), resolve) })
}

t.test('frames are found again behind one that was cut, also with the limits of the layer itself', async (t) => {
  for (const maxPayload of [undefined, 1500]) {
    const served = await serve(t, { maxPayload })
    served.link.recoverFrames?.(recovery(served))
    await write(served, frame(1), cut(2, 500), frame(3), frame(4))
    await until(() => numbers(served).includes(4))
    t.same(numbers(served), [1, 3, 4])
    t.equal(served.resyncs, 1)
    t.equal(served.failure, undefined)
  }
})

t.test('from the frame on that is being read', async (t) => {
  for (const at of [1, 5, 8, 500]) {
    const served = await serve(t)
    const first = frame(2)
    await write(served, frame(1), first.subarray(0, at))
    await until(() => served.got.length === 1)
    served.link.recoverFrames?.(recovery(served))
    await write(served, first.subarray(at), frame(3))
    await until(() => served.got.length === 3)
    const second = frame(4)
    await write(served, second.subarray(0, at)) // between two frames it has begun, wherever the first read ended
    await write(served, second.subarray(at), cut(5, 300), frame(6), frame(7))
    await until(() => numbers(served).includes(7) || served.failure !== undefined)
    t.same(numbers(served), [1, 2, 3, 4, 6, 7], `${at} bytes`)
  }
})

t.test('a fault behind a recovery is told with its place in the stream', async (t) => {
  const served = await serve(t)
  served.link.recoverFrames?.(recovery(served))
  const good = [frame(1), cut(2, 500), frame(3)]
  await write(served, ...good)
  await until(() => served.got.length === 2)
  for (let i = 0; i < 9; i++) await write(served, cut(4, 500), frame(5))
  const length = Buffer.concat(good).length + 9 * (500 + frame(5).length)
  await until(() => served.resyncs === 10 || served.failure !== undefined)
  await write(served, new Uint8Array(5000))
  await until(() => served.failure !== undefined)
  const place = Number(/at byte (\d+) of the stream/.exec(served.failure?.message ?? '')?.[1])
  t.match(served.failure?.message, /^a frame without a mask.*; no frame in the 4096 bytes behind one that was cut$/)
  t.ok(place > length - 1200 && place <= length, `${place} of ${length}`)
})

t.test('strict where nothing was said, and again when that is taken back', async (t) => {
  const strict = await serve(t)
  await write(strict, frame(1), cut(2, 500), faultyBehind(500), frame(4))
  await until(() => strict.failure !== undefined)
  t.match(strict.failure, { code: 'ERR_WEBSOCKET_PROTOCOL' })
  const served = await serve(t)
  served.link.recoverFrames?.(recovery(served))
  await write(served, frame(1))
  await until(() => served.got.length === 1)
  served.link.recoverFrames?.(undefined)
  await write(served, frame(1), cut(2, 500), faultyBehind(500), frame(4))
  await until(() => served.failure !== undefined)
  t.equal(served.resyncs, 0)
})

t.test('clients that send no masks are read as they are, where that is tolerated', async (t) => {
  const served = await serve(t, { tolerate: { unmasked: true } })
  served.link.recoverFrames?.(recovery(served))
  await write(served, new FrameEncoder('server').push([message(1), message(2)])[0])
  await until(() => served.got.length === 2)
  t.same(numbers(served), [1, 2])
})

t.test('a link that is no TCP stays strict', async (t) => {
  const [here, there] = memoryPair()
  const link = websocketFrames({ role: 'server' })(there)
  let resyncs = 0
  link.recoverFrames?.({ plausible, trusted: trusted(() => OWN), onResync () { resyncs++ } })
  here.port.send([Buffer.concat([frame(1), cut(2, 500), frame(3), frame(4)])])
  await t.rejects(link.flow(() => {}), { code: 'ERR_WEBSOCKET_PROTOCOL' })
  t.equal(resyncs, 0)
})
