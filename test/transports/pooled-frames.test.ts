/** WebSocket messages in memory that is used again, over real sockets, as a relay reads and writes them. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { accept, endsWith, listening, until } from '../helpers/ends.ts'
import { acquire } from '../../src/buffers/buffer-pool.ts'
import { FrameDecoder, websocketFrames, type WebSocketLink } from '../../src/transforms/websocket-frames/index.ts'
import { dialWebSocket, listenWebSocket, streamLink } from '../../src/transports/index.ts'
import type { PacketPort } from '../../src/types.ts'

const SIZE = 1400
const BATCH = 40
const MESSAGES = 40_000

/** Each has its number all over. */
function message (number: number): Uint8Array {
  const bytes = new Uint8Array(SIZE)
  new Uint32Array(bytes.buffer).fill(number)
  return bytes
}

/** Reads messages until there were enough; throws for one that is not what it should be while its batch is looked at. */
async function check (link: WebSocketLink): Promise<Set<ArrayBufferLike>> {
  const seen = new Set<ArrayBufferLike>()
  let next = 0
  const enough = new Error('enough')
  await link.flow((batch) => {
    for (const bytes of batch) {
      const copy = Uint8Array.from(bytes)
      if (!new Uint32Array(copy.buffer).every((word) => word === next)) throw new Error(`message ${next} is ${Buffer.from(copy.subarray(0, 8)).toString('hex')}`)
      next++
      seen.add(bytes.buffer)
    }
    if (next === MESSAGES) throw enough
  }).catch((err) => { if (err !== enough) throw err })
  return seen
}

async function pair (t: Test): Promise<[WebSocketLink, WebSocketLink]> {
  const { port, incoming } = await listening(t, listenWebSocket)
  const client = endsWith(t, await dialWebSocket(`ws://127.0.0.1:${port}`))
  return [client, await accept(t, incoming)]
}

for (const [name, order] of [['to a server', [0, 1]], ['to a client', [1, 0]]] as const) {
  t.test(`messages are whole while they are looked at, ${name}`, async (t) => {
    const ends = await pair(t)
    const [from, to] = order.map((i) => ends[i])
    const checked = check(to)
    for (let sent = 0; sent < MESSAGES;) {
      const batch = Array.from({ length: BATCH }, (_, i) => message(sent + i))
      if (from.port.send(batch) === 0) await from.port.drained?.()
      else sent += BATCH
    }
    const seen = await checked
    t.ok(seen.size < MESSAGES / 40, `${seen.size} pieces of memory for ${MESSAGES * SIZE} bytes`)
  })
}

t.test('who does not lend keeps what it was given', async (t) => {
  const [client, server] = await pair(t)
  const kept: Uint8Array[] = []
  void (async () => { for await (const batch of server.source) kept.push(...batch) })().catch(() => {})
  for (let sent = 0; sent < 4000;) {
    if (client.port.send(Array.from({ length: BATCH }, (_, i) => message(sent + i))) === 0) await client.port.drained?.()
    else sent += BATCH
  }
  await until(() => kept.length === 4000)
  t.ok(kept.every((bytes, number) => new Uint32Array(Uint8Array.from(bytes).buffer).every((word) => word === number)))
})

t.test('a stream that is no socket may keep what it is given', async (t) => {
  const kept: Uint8Array[] = []
  const keeping = new Duplex({
    read () {},
    write (bytes: Uint8Array, _encoding, done) {
      kept.push(bytes)
      done()
    }
  })
  const link = endsWith(t, websocketFrames({ role: 'server' })(streamLink(keeping)))
  for (let sent = 0; sent < 400; sent += BATCH) t.equal(link.port.send(Array.from({ length: BATCH }, (_, i) => message(sent + i))), BATCH)
  const decoder = new FrameDecoder({ role: 'client' })
  const got = decoder.push(kept)
  t.equal(got.length, 400)
  t.ok(got.every((bytes, number) => new Uint32Array(Uint8Array.from(bytes).buffer).every((word) => word === number)))
})

t.test('what had to wait is lent again once the kernel has taken it, and once only', async (t) => {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [reader] = await once(server, 'connection') as [Socket]
  t.teardown(() => {
    for (const each of [socket, reader]) each.destroy()
    server.close()
  })
  const SIZE = 256 * 1024
  const port = streamLink(socket).port as Required<PacketPort>
  let waiting
  do {
    waiting = acquire(SIZE)
    port.send([waiting])
  } while (port.queued < SIZE)
  const another = acquire(SIZE)
  t.not(another.buffer, waiting.buffer)
  reader.resume()
  await port.drained()
  await until(() => port.queued === 0)
  const lent = Array.from({ length: 20 }, () => acquire(SIZE).buffer)
  t.equal(lent.filter((buffer) => buffer === waiting.buffer).length, 1)
  t.equal(new Set([...lent, another.buffer]).size, 21)
})
