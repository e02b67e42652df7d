/** Much at once through bridges beside each other: memory that is used again must not bring what it held before. */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { bridge } from '../../src/streams/bridge.ts'
import { memoryPair, tcp, tls, websocket } from '../../src/transports/index.ts'
import { random } from '../helpers/bytes.ts'
import { open, turn } from '../helpers/ends.ts'
import { ca, cert, key } from '../helpers/certificates.ts'
import type { Batch, Link } from '../../src/types.ts'

type Pair = (t: Test) => Promise<[outer: Link, inner: Link]>

const over: Record<string, Pair> = {
  tcp: async (t) => {
    const { client, server } = await open(t, tcp)
    return [client, server]
  },
  tls: async (t) => {
    const { client, server } = await open(t, tls({ cert, key }, { ca }))
    return [client, server]
  },
  websocket: async (t) => {
    const { client, server } = await open(t, websocket)
    return [client, server]
  },
  memory: async () => memoryPair()
}

/** No two places of it are alike, so what comes from another place, or stream, is seen. */
const noise = randomBytes(8 << 20)

/** Elements of all sizes, from `offset` on, round and round; now and then it takes its time. */
async function * stream (size: number, offset: number, below: (n: number) => number): AsyncGenerator<Batch> {
  for (let at = 0; at < size;) {
    const from = (at + offset) % noise.length
    const length = Math.min(size - at, noise.length - from, 1 + below(below(8) === 0 ? 2000 : 300_000))
    yield [noise.subarray(from, from + length)]
    at += length
    if (below(100) === 0) for (let turns = below(10); turns > 0; turns--) await turn()
  }
}

/** Reads, now and then slowly, and compares. Resolves with the bytes that were right, up to the first that is not. */
async function compare (source: AsyncIterable<Batch>, offset: number, below: (n: number) => number): Promise<number> {
  let at = 0
  for await (const batch of source) {
    for (const bytes of batch) {
      for (let done = 0; done < bytes.length;) {
        const from = (at + offset) % noise.length
        const length = Math.min(bytes.length - done, noise.length - from)
        if (noise.compare(bytes, done, done + length, from, from + length) !== 0) return at
        at += length
        done += length
      }
    }
    if (below(30) === 0) for (let turns = below(30); turns > 0; turns--) await turn()
  }
  return at
}

const size = 12 << 20

for (const [user, service] of [['tcp', 'tcp'], ['tcp', 'tls'], ['tls', 'tcp'], ['tcp', 'memory'], ['memory', 'tcp']]) {
  t.test(`${user} and ${service}, four bridges, both ways`, async (t) => {
    const arrived = await Promise.all([0, 1, 2, 3].map(async (i) => {
      const [client, a] = await over[user](t)
      const [server, b] = await over[service](t)
      const carrying = bridge(a, b)
      const all = await Promise.all([
        compare(server.source, i << 20, random(i)),
        compare(client.source, (i << 20) + (4 << 20), random(i + 10)),
        client.sink(stream(size, i << 20, random(i + 20))),
        server.sink(stream(size, (i << 20) + (4 << 20), random(i + 30)))
      ])
      await carrying
      return all.slice(0, 2)
    }))
    t.same(arrived.flat(), Array(8).fill(size))
  })
}

t.test('into a WebSocket, which keeps no half of a connection', async (t) => {
  const [client, a] = await over.tcp(t)
  const [server, b] = await over.websocket(t)
  const carrying = bridge(a, b).catch(() => {})
  const [right] = await Promise.all([compare(server.source, 5, random(1)), client.sink(stream(size, 5, random(2)))])
  t.equal(right, size)
  client.abort(new Error('enough'))
  await carrying
})
