/** Users that do not read, many at once, through a relay and a peer: what is kept for them is bounded, and others are served meanwhile. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { freePort } from '../../helpers/free-ports.ts'
import { standstill, until } from '../../helpers/ends.ts'
import { MODES, OTHER_TOKEN, startRelay, TOKEN, type StartedRelay } from '../../helpers/gotunnel/scripted-client.ts'
import { startPeer } from '../../helpers/gotunnel/scripted-server.ts'
import { dialSoon } from '../../helpers/gotunnel/wire.ts'
import { sample } from '../../helpers/sample.ts'
import type { GotunnelPeer } from '../../../src/nodes/gotunnel/index.ts'

const MIB = 1024 * 1024

/** What one user costs at least: a read in either direction, one that is about to come, and what Node writes ahead. */
const FLOOR = 64 * 1024

const CHUNK = Buffer.alloc(64 * 1024, 'flood')

/** Users that stand still. */
const BOUNDED = sample('users in a bounded sum', { short: 40, long: 80 })

/** The first byte of a user says what it gets: `f` a flood without an end, anything else what it sends, back. */
async function service (t: Test): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => { sockets.delete(socket) }))
    socket.once('data', (first: Buffer) => {
      socket.pause()
      const fill = (): void => { while (socket.writable && socket.write(CHUNK)); }
      if (first[0] === 'f'.charCodeAt(0)) {
        socket.on('drain', fill).resume()
        fill()
      } else {
        socket.write(first)
        socket.pipe(socket)
      }
    })
  }).listen({ port: 0, host: '127.0.0.1', backlog: 1024 })
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** A user who asks for a flood, and reads nothing of it. */
async function stalled (t: Test, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  t.teardown(() => { socket.destroy() })
  await once(socket, 'connect')
  socket.write('f')
  return socket
}

/** A user who asks for a flood, and reads a little of it at a time. */
async function slow (t: Test, port: number): Promise<Socket> {
  const socket = await stalled(t, port)
  socket.pause()
  const reading = setInterval(() => { socket.read() }, 10)
  t.teardown(() => { clearInterval(reading) })
  return socket
}

/** Milliseconds of standing still after which a user may be ended. */
const STALL_TIMEOUT = 1000

/** Sends so many bytes and gets them back. */
async function echoes (t: Test, port: number, length: number): Promise<void> {
  const sent = Buffer.concat([Buffer.from('e'), randomBytes(length)])
  const user = await dialSoon(port)
  user.write(sent)
  user.end()
  const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
  t.equal(digest(await user.all()), digest(sent), `${length} bytes and back`)
}

interface Way {
  remotePort: number
  peer: GotunnelPeer
}

async function ways (t: Test, { port }: StartedRelay, mode: 'strict' | 'compatible', bufferTotal?: number): Promise<[home: Way, office: Way]> {
  const at = await service(t)
  const [home, office] = await Promise.all([['home', TOKEN], ['office', OTHER_TOKEN]].map(async ([name, token]) => {
    const remotePort = await freePort()
    const { peer } = startPeer(t, { port }, { port: at }, { token, name, mode, bufferTotal, stallTimeout: STALL_TIMEOUT, maps: [{ remotePort, local: { host: '127.0.0.1', port: at } }] })
    await until(() => peer.isOnline)
    return { remotePort, peer }
  }))
  return [home, office]
}

const identity = ({ relay }: StartedRelay, name: string) => {
  const found = [...relay.identities].find((identity) => identity.name === name)
  if (found === undefined) throw new Error(`no identity ${name}`)
  return { ...found.traffic, bufferedBytes: relay.bufferedBy(found) }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of buffers that are in use. V8 gives collected ones back on a thread of its own, which may be late: so the least of several looks. */
async function memory (): Promise<number> {
  let least = Infinity
  for (let i = 0; i < 5; i++) {
    collectGarbage()
    least = Math.min(least, process.memoryUsage().arrayBuffers)
    await delay(20)
  }
  return least
}

for (const { mode } of MODES) {
  t.test(`users that do not read cost each side a bounded sum, and others are served byte for byte, ${mode}`, { timeout: 120_000 }, async (t) => {
    const [users, bufferTotal] = [BOUNDED, BOUNDED * MIB / 10]
    const server = await startRelay(t, { bufferTotal })
    const [home, office] = await ways(t, server, mode, bufferTotal)
    await echoes(t, home.remotePort, MIB) // what is loaded and grown once
    const before = await memory()
    const most = { relay: 0, peer: 0 }
    const look = (): void => {
      most.relay = Math.max(most.relay, server.relay.stats.bufferedBytes)
      most.peer = Math.max(most.peer, home.peer.stats[0].bufferedBytes)
    }
    const looking = setInterval(look, 5)
    t.teardown(() => { clearInterval(looking) })
    const all: Socket[] = []
    for (let i = 0; i < users; i++) all.push(await stalled(t, home.remotePort))
    await Promise.all([echoes(t, office.remotePort, 3 * MIB), echoes(t, home.remotePort, 100_000)])
    await standstill(() => server.relay.stats.bytesOut)
    await echoes(t, office.remotePort, 3 * MIB)
    look()
    clearInterval(looking)
    t.equal(server.relay.stats.users, users)
    t.ok(most.relay <= bufferTotal + users * FLOOR, `the relay kept ${most.relay} bytes`)
    t.ok(most.peer <= bufferTotal + users * FLOOR, `the peer kept ${most.peer} bytes`)
    // The users here, which Node reads a little for, and memory that waits to be used again are in it as well.
    const kept = await memory() - before
    t.ok(kept <= 2 * (bufferTotal + users * FLOOR) + users * FLOOR + 40 * MIB, `both have ${kept} bytes in memory`)
    t.match(server.relay.stats.drops, { stalled: 0 }, 'and nobody had to go')
    for (const socket of all) socket.destroy()
    await until(() => server.relay.stats.users === 0 && home.peer.stats[0].users === 0)
    t.same([server.relay.stats.bufferedBytes, home.peer.stats[0].bufferedBytes, office.peer.stats[0].bufferedBytes], [0, 0, 0])
  })

  for (const side of ['relay', 'peer'] as const) {
    t.test(`beyond the bound of the ${side} those that have stood still longest are ended, and none of another owner, ${mode}`, { timeout: 60_000 }, async (t) => {
      const lines: object[] = []
      const log = { debug: () => {}, info: () => {}, warn: (fields: object, message: string) => { if (message.startsWith('a user that stands still')) lines.push(fields) }, error: () => {} }
      const server = await startRelay(t, side === 'relay' ? { bufferTotal: MIB, stallTimeout: STALL_TIMEOUT, log } : {})
      const [home, office] = await ways(t, server, mode, side === 'peer' ? MIB : undefined)
      const patient = await stalled(t, office.remotePort)
      const reader = await slow(t, home.remotePort)
      await standstill(() => server.relay.stats.bytesOut)
      const all: Socket[] = []
      const ended: number[] = []
      for (let i = 0; i < 100; i++) {
        const socket = await stalled(t, home.remotePort)
        socket.on('close', () => { ended.push(i) })
        all.push(socket)
      }
      const drops = (): number => side === 'relay' ? server.relay.stats.drops.stalled : home.peer.stats[0].drops.stalled
      const buffered = (): number => side === 'relay' ? server.relay.stats.bufferedBytes : home.peer.stats[0].bufferedBytes
      await until(() => drops() > 0 && buffered() <= MIB)
      t.ok(drops() < 100, `${drops()} were ended`)
      await echoes(t, home.remotePort, 100_000)
      t.equal(identity(server, 'office').users, 1)
      t.notOk(patient.destroyed)
      t.notOk(reader.destroyed, 'nor one that reads slowly')
      t.match(identity(server, 'office').drops, { stalled: 0 })
      t.match(office.peer.stats[0].drops, { stalled: 0 })
      if (side === 'relay') {
        t.match(identity(server, 'home').drops, { stalled: drops() })
        t.match(lines[0], { port: home.remotePort, identity: 'home' })
        t.ok(lines.length <= drops())
      }
    })
  }
}

t.test('a reload takes another bound', async (t) => {
  const server = await startRelay(t, { stallTimeout: STALL_TIMEOUT })
  const [home] = await ways(t, server, 'strict')
  for (let i = 0; i < 10; i++) await stalled(t, home.remotePort)
  await standstill(() => server.relay.stats.bytesOut)
  t.ok(server.relay.stats.bufferedBytes > 200_000)
  server.relay.configure({ identities: [{ name: 'home', token: TOKEN }], bufferTotal: 200_000 })
  await until(() => server.relay.stats.drops.stalled > 0 && server.relay.stats.bufferedBytes <= 200_000)
  for (const bufferTotal of [0, -1, 0.5]) t.throws(() => server.relay.configure({ identities: [{ name: 'home', token: TOKEN }], bufferTotal }), { code: 'ERR_OPTION', message: /bufferTotal/ })
})
