/** Packets that are larger than a direct path takes. */
import t from 'tap'
import { World, type Member } from '../../../helpers/candy/simulated-direct.ts'
import type { Batch } from '../../../../src/types.ts'

const CONE = { kind: 'port-restricted-cone' } as const

/** Bytes in front of the payload of a ping. */
const HEADERS = 28

/** What a datagram has more than the packet in it: IPv4, UDP, IV, tag and kind. */
const OVERHEAD = 28 + 29

async function pair (world: World): Promise<[Member, Member]> {
  await world.stun()
  const [alice, bob] = [await world.join({ name: 'alice', nat: CONE }), await world.join({ name: 'bob', nat: CONE })]
  await world.ping(alice, bob)
  return [alice, bob]
}

/** Round trip of a ping whose packet has that many bytes. */
const ping = async (world: World, from: Member, to: Member, bytes: number): Promise<number | undefined> =>
  await world.clock.until(from.tun.ping(to.address, { size: bytes - HEADERS, timeout: 1000 }).catch(() => undefined))

t.test('1500 bytes: the largest packets go directly within a second after the path is there', async (t) => {
  const world = new World(t)
  const [alice, bob] = await pair(world)
  await world.clock.until(new Promise<void>((resolve) => { alice.peer.once('path', () => { resolve() }) }))
  await world.clock.pass(1000)
  for (let i = 0; i < 5; i++) t.equal(await ping(world, alice, bob, 1400), 44)
  t.match(alice.peer.stats, { directPacketsOut: 5, directPacketsIn: 5 })
})

t.test('1300 bytes: the sender of a packet with DF is told the size, and packets of that size go directly', async (t) => {
  const world = new World(t, { mtu: 1300 })
  const [alice, bob] = await pair(world)
  await world.clock.pass(10_000)
  const told: number[] = []
  alice.tun.port.send = new Proxy(alice.tun.port.send, {
    apply: (send, port, [packets]: [Batch]) => {
      for (const packet of packets) if (packet[9] === 1 && packet[20] === 3 && packet[21] === 4) told.push(packet[26] << 8 | packet[27])
      return Reflect.apply(send, port, [packets])
    }
  })
  t.equal(await ping(world, alice, bob, 1400), undefined)
  t.equal(alice.peer.stats.drops.tooBig, 1)
  t.equal(told.length, 1)
  const [size] = told
  t.ok(size > 1300 - OVERHEAD - 20 && size <= 1300 - OVERHEAD, `${size} bytes`)
  const { directPacketsOut } = alice.peer.stats
  for (let i = 0; i < 5; i++) t.equal(await ping(world, alice, bob, size), 44)
  t.equal(alice.peer.stats.directPacketsOut, directPacketsOut + 5)
  t.equal(await ping(world, alice, bob, size + 1), undefined)
})

t.test('1300 bytes: until the size is known, packets that may not arrive go through the server', async (t) => {
  const world = new World(t, { mtu: 1300 })
  const [alice, bob] = await pair(world)
  await world.clock.until(new Promise<void>((resolve) => { alice.peer.once('path', () => { resolve() }) }))
  t.equal(await ping(world, alice, bob, 1400), 84)
  t.equal(alice.peer.stats.drops.tooBig, 0)
})

t.test('1100 bytes: too little for a direct path, and `explain` says so', async (t) => {
  const world = new World(t, { mtu: 1100 })
  const [alice, bob] = await pair(world)
  await world.clock.pass(20_000)
  t.equal(await ping(world, alice, bob, 1000), 84, 'through the server')
  t.match(alice.peer.explain(bob.address), { path: 'relay', state: 'connected', reason: 'narrow', text: /1200 bytes/ })
})
