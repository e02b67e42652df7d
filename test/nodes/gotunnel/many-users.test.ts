/** Many users at one time through relay and peers: each gets its own bytes, all of them, and nobody else's. */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { freePort } from '../../helpers/free-ports.ts'
import { until } from '../../helpers/ends.ts'
import { MODES, OTHER_TOKEN, startRelay, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { startPeer } from '../../helpers/gotunnel/scripted-server.ts'
import { Wire } from '../../helpers/gotunnel/wire.ts'
import { sample } from '../../helpers/sample.ts'

const USERS = sample('users at one time', { short: 200, long: 1000 })
const ROUNDS = sample('rounds of users that come and go', { short: 5, long: 25 })
const LARGEST = 60_000

/** What the service of that name answers: a digest of its name and the request, and the request with all its bits turned over. */
function answerTo (name: string, request: Uint8Array): Buffer {
  return Buffer.concat([createHash('sha256').update(name).update(request).digest(), Buffer.from(request.map((byte) => byte ^ 0xff))])
}

/** It answers when the request has ended. */
async function service (t: Test, name: string): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const parts: Buffer[] = []
    socket.on('error', () => {}).on('data', (bytes) => { parts.push(bytes) })
    socket.on('end', () => { socket.end(answerTo(name, Buffer.concat(parts))) })
  }).listen({ port: 0, host: '127.0.0.1', backlog: 1024 })
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

for (const { mode } of MODES) {
  t.test(`many users over two ports of two identities, ${mode}`, { timeout: 60_000 }, async (t) => {
    const { port, relay } = await startRelay(t)
    const ways = await Promise.all([['home', TOKEN], ['office', OTHER_TOKEN]].map(async ([name, token]) => {
      const [local, remotePort] = [await service(t, name), await freePort()]
      const { peer } = startPeer(t, { port }, { port: local }, { token, name, mode, maps: [{ remotePort, local: { host: '127.0.0.1', port: local } }] })
      await until(() => peer.isOnline)
      return { name, remotePort, peer }
    }))
    const wrong: string[] = []
    let connected = 0
    let all: () => void = () => {}
    const everybody = new Promise<void>((resolve) => { all = resolve })
    const sizes = await Promise.all(Array.from({ length: USERS }, async (_, i) => {
      const { name, remotePort } = ways[i % 2]
      const request = randomBytes(i < 4 ? i >> 1 : randomInt(LARGEST)) // also none, and one byte
      const half = request.length >> 1
      const user = await Wire.dial(remotePort)
      user.write(request.subarray(0, half))
      if (++connected === USERS) void until(() => relay.stats.users === USERS && relay.stats.waiting === 0).then(all)
      await everybody // nobody goes before the last one is served
      user.write(request.subarray(half))
      user.end()
      if (!answerTo(name, request).equals(await user.all())) wrong.push(`user ${i} of ${name}, ${request.length} bytes`)
      return request.length
    }))
    t.same(wrong, [])
    await until(() => relay.stats.users === 0)
    const total = sizes.reduce((sum, size) => sum + size, 0)
    t.match(relay.stats, { accepted: USERS, bytesIn: total, bytesOut: total + 32 * USERS, drops: { waiting: 0, limit: 0, timeout: 0, failed: 0, offline: 0 } })
    t.same([...relay.identities].map(({ name, traffic: { accepted } }) => [name, accepted]), [['home', USERS / 2], ['office', USERS / 2]])
    for (const { peer, name } of ways) t.match(peer.stats, [{ accepted: USERS / 2, failures: 0, drops: { local: 0, data: 0, not_owner: 0, limit: 0 } }], name)
  })
}

t.test('users that come and go without a pause, one connection after the other, strict and compatible beside each other', { timeout: 60_000 }, async (t) => {
  const { port, relay } = await startRelay(t)
  const ways = await Promise.all(MODES.map(async ({ mode }, i) => {
    const [local, remotePort] = [await service(t, mode), await freePort()]
    const { peer } = startPeer(t, { port }, { port: local }, { token: [TOKEN, OTHER_TOKEN][i], name: mode, mode, maps: [{ remotePort, local: { host: '127.0.0.1', port: local } }] })
    await until(() => peer.isOnline)
    return { mode, remotePort }
  }))
  const wrong: string[] = []
  await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const { mode, remotePort } = ways[i % 2]
    for (let round = 0; round < ROUNDS; round++) {
      const request = randomBytes(randomInt(20_000))
      const user = await Wire.dial(remotePort)
      user.write(request)
      user.end()
      if (!answerTo(mode, request).equals(await user.all())) wrong.push(`user ${i}.${round}, ${mode}, ${request.length} bytes`)
    }
  }))
  t.same(wrong, [])
  t.match(relay.stats, { accepted: 40 * ROUNDS, drops: { waiting: 0, limit: 0, timeout: 0, failed: 0, offline: 0 } })
})
