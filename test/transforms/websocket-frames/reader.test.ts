/** What one connection may take of a turn of the event loop. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { FRAMES_A_TURN, FrameReader } from '../../../src/transforms/websocket-frames/reader.ts'
import { FrameEncoder, websocketFrames, type WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'
import { streamLink } from '../../../src/transports/index.ts'
import { nextTurn } from '../../../src/streams/turns.ts'
import { until } from '../../helpers/ends.ts'

const encoder = new FrameEncoder('client')
const PING = Buffer.from('898000000000', 'hex')
const pings = (count: number): Buffer => Buffer.alloc(count * PING.length, PING)

t.test('a read of many frames comes in portions, in order, and others have their turn in between', async (t) => {
  const count = 5 * FRAMES_A_TURN / 2
  const messages = Array.from({ length: count }, (_, i) => new Uint8Array(new Uint32Array([i]).buffer))
  const reader = new FrameReader({ role: 'server' }, {})
  const got: number[] = []
  let portions = 0
  const take = (batch: Uint8Array[]): void => {
    portions++
    t.ok(reader.frames <= FRAMES_A_TURN)
    for (const message of batch) got.push(new DataView(message.buffer, message.byteOffset).getUint32(0, true))
  }
  take(reader.push(encoder.push(messages)))
  while (reader.hasRest) {
    t.ok(reader.isSpent)
    await nextTurn()
    t.notOk(reader.isSpent)
    take(reader.next())
  }
  t.equal(portions, 3)
  t.same(got, messages.map((_, i) => i))
})

t.test('several reads of one turn count together, small ones do not', async (t) => {
  const reader = new FrameReader({ role: 'server' }, {})
  await nextTurn()
  for (let i = 0; i < 3; i++) reader.push([pings(FRAMES_A_TURN / 4)])
  t.notOk(reader.isSpent)
  reader.push([pings(FRAMES_A_TURN / 4)])
  t.ok(reader.isSpent)
  await nextTurn()
  t.notOk(reader.isSpent)
  for (let i = 0; i < 40; i++) reader.push([pings(200)])
  t.notOk(reader.isSpent)
})

async function serve (t: Test): Promise<{ link: WebSocketLink, raw: Socket }> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const raw = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  raw.on('error', () => {})
  const [[socket]] = await Promise.all([once(server, 'connection'), once(raw, 'connect')])
  t.teardown(() => {
    for (const each of [raw, socket]) each.destroy()
    server.close()
  })
  return { link: websocketFrames({ role: 'server', closeTimeout: 100 })(streamLink(socket)), raw }
}

t.test('whoever is told of portions may hold up the reading', async (t) => {
  for (const way of ['flow', 'source'] as const) {
    const { link, raw } = await serve(t)
    const seen = { frames: 0, release: undefined as (() => void) | undefined }
    link.onFrames = (count) => {
      if (seen.release !== undefined) t.fail('read while it was held up')
      seen.frames += count
      return new Promise((resolve) => { seen.release = resolve })
    }
    const release = (): void => {
      const { release } = seen
      seen.release = undefined
      release?.()
    }
    if (way === 'flow') link.flow(() => {}).catch(() => {})
    else void (async () => { for await (const batch of link.source) void batch })().catch(() => {})
    const count = 3 * FRAMES_A_TURN
    raw.resume().write(pings(count))
    while (seen.frames < count) {
      await until(() => seen.release !== undefined)
      release()
    }
    t.equal(seen.frames, count, way)
    release()
  }
})

t.test('one that pings and reads nothing is owed one pong', async (t) => {
  const { link, raw } = await serve(t)
  raw.pause()
  let frames = 0
  link.onFrames = (count) => {
    frames += count
    return undefined
  }
  link.flow(() => {}).catch(() => {})
  while (link.port.send([new Uint8Array(60_000)]) > 0 && link.port.queued < 1_000_000); // until something waits
  const before = link.port.queued
  const each = encoder.ping(Buffer.alloc(125, 'x'))
  for (let i = 0; i < 2000; i++) {
    raw.write(each)
    if (i % 50 === 0) await nextTurn()
  }
  await until(() => frames === 2000)
  t.ok(link.port.queued <= before + 1000, `${link.port.queued - before} bytes more wait`)
  let last = ''
  raw.on('data', (bytes: Buffer) => { last = bytes.subarray(-125).toString() }).resume()
  await until(() => link.port.queued === 0 && last === 'x'.repeat(125))
  t.pass('and that is the last one')
})
