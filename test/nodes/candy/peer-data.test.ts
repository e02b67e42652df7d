/** Packets through a peer: all of them, in order, once, and only so many when the server does not take them. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { serveCandy } from '../../../src/nodes/candy/index.ts'
import { MessageType } from '../../../src/nodes/candy/protocol/messages.ts'
import type { UdpSocket } from '../../../src/tun/udp.ts'
import { random, toHex } from '../../helpers/bytes.ts'
import { PASSWORD } from '../../helpers/candy/client.ts'
import { turn, until } from '../../helpers/ends.ts'
import { actAsCandy, BINARY, memoryInUse, scriptedServer, startPeer, type Started, type Visitor } from '../../helpers/candy/scripted-server.ts'

const LIMIT = 1 << 20

async function pair (t: Test, mtu?: number): Promise<[Started, Started]> {
  const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24' })
  t.teardown(() => server.close())
  const [a, b] = [1, 2].map((host) => startPeer(t, { url: server.url }, { address: `10.77.0.${host}/24`, mtu }))
  await Promise.all([once(a.peer, 'online'), once(b.peer, 'online')])
  t.teardown(() => Promise.all([a.peer.close(), b.peer.close()]))
  return [a, b]
}

/** Keeps what a socket gets. */
function listen (socket: UdpSocket): string[] {
  const heard: string[] = []
  void (async () => {
    for await (const batch of socket) heard.push(...batch.map(({ data }) => toHex(data)))
  })()
  return heard
}

t.test('1000 packets each way arrive once, in order and intact', async (t) => {
  const ends = await pair(t)
  const below = random(1)
  const sent: string[][] = [[], []]
  const sockets = ends.map(({ tun }) => tun.udp(7))
  const heard = sockets.map(listen)
  for (let i = 0; i < 1000; i++) {
    sockets.forEach((socket, from) => {
      const data = Uint8Array.from({ length: 4 + below(150) }, () => below(256))
      new DataView(data.buffer).setUint32(0, i)
      sent[from].push(toHex(data))
      if (!socket.send({ address: `10.77.0.${2 - from}`, port: 7, data })) t.fail('the queue of the host is full')
    })
    if (below(40) === 0) await turn()
  }
  await until(() => heard.every(({ length }) => length >= 1000))
  await ends[0].tun.ping('10.77.0.2')
  t.same(heard[1], sent[0])
  t.same(heard[0], sent[1])
  for (const { peer, reasons } of ends) {
    t.match(peer.stats, { packetsIn: 1001, packetsOut: 1001, failures: 0, drops: { offline: 0, queue: 0, malformed: 0, interface: 0 } })
    t.same(reasons, [])
  }
  t.equal(ends[0].peer.stats.bytesIn, ends[1].peer.stats.bytesOut)
})

t.test('the longest packet has 1499 bytes', async (t) => {
  const [a, b] = await pair(t, 1500)
  const socket = a.tun.udp()
  const heard = listen(b.tun.udp(7))
  socket.send({ address: '10.77.0.2', port: 7, data: new Uint8Array(1472) })
  socket.send({ address: '10.77.0.2', port: 7, data: new Uint8Array(1471).fill(1) })
  await until(() => heard.length > 0)
  await a.tun.ping('10.77.0.2')
  t.same(heard, ['01'.repeat(1471)])
  t.equal(a.peer.stats.drops.malformed, 1)
  t.equal(a.peer.state, 'online')
})

t.test('a server that does not read: the interface is held up, memory is bounded, and nothing else happens', async (t) => {
  const received: Buffer[] = []
  const server = await scriptedServer(t, {
    serve: (visitor) => actAsCandy(visitor, {
      password: PASSWORD,
      offer: '10.77.0.2/24',
      onFrame: ({ opcode, payload }) => { if (opcode === BINARY && payload[0] === MessageType.FORWARD) received.push(payload.subarray(29, 33)) }
    })
  })
  const { peer, tun, reasons } = startPeer(t, server)
  await once(peer, 'online')
  const { socket } = (await server.next()) as Visitor
  socket.pause()
  const sender = tun.udp(9)
  let number = 0
  const pushed = async (batches: number): Promise<void> => {
    for (let i = 0; i < batches; i++) {
      for (let count = 0; count < 64; count++) {
        const data = Buffer.alloc(1000)
        data.writeUInt32BE(number++)
        sender.send({ address: '10.77.0.3', port: 9, data })
      }
      await turn()
    }
  }
  while (tun.counters.droppedIn === 0) await pushed(1)
  await pushed(1)
  const { packetsOut, drops: { queue } } = peer.stats // while the server still took a little, programs were perhaps told to slow down
  const before = await memoryInUse()
  await pushed(500)
  const grown = await memoryInUse() - before
  t.ok(grown < 2 * LIMIT, `32 MB of packets later: ${grown} bytes more`)
  t.equal(peer.stats.packetsOut, packetsOut, 'none was taken from the interface, which lets its sender know')
  t.equal(peer.stats.drops.queue, queue, 'and none was dropped')
  t.equal(peer.state, 'online')

  socket.resume()
  await until(() => received.length + peer.stats.drops.queue === tun.counters.packetsIn)
  const numbers = received.map((bytes) => bytes.readUInt32BE(0))
  t.ok(numbers.every((value, i) => i === 0 || value > numbers[i - 1]), 'what the interface has taken has come, in order')
  await pushed(1)
  await until(() => received.length + peer.stats.drops.queue === tun.counters.packetsIn)
  t.equal(received.at(-1)?.readUInt32BE(0), number - 1, 'and it goes on')
  t.same(reasons, [])
  t.match(peer.stats.drops, { offline: 0, malformed: 0, interface: 0, route: 0 })
})

t.test('a closed interface is counted', async (t) => {
  const [a, b] = await pair(t)
  b.tun.port.send = () => 0
  a.tun.udp().send({ address: '10.77.0.2', port: 7, data: new Uint8Array(8) })
  await until(() => b.peer.stats.drops.interface > 0)
  t.match(b.peer.stats, { packetsIn: 1, drops: { interface: 1 } })
})
