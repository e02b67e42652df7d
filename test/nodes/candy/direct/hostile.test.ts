/** Members that lie and flood, and outsiders that know nothing: what two honest members have goes on. */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { address } from '../../../helpers/candy/vectors.ts'
import { delay, echoRequest, heartbeat, Kind, keyOf, seal } from '../../../helpers/candy/direct.ts'
import { joinOriginal, type OriginalMember } from '../../../helpers/candy/simulated-original.ts'
import { PASSWORD, World, type Member } from '../../../helpers/candy/simulated-direct.ts'
import type { TappedSocket } from '../../../helpers/candy/tapped-socket.ts'
import type { CandyNetworkInit } from '../../../../src/nodes/candy/index.ts'
import type { Endpoint } from '../../../../src/types.ts'

const CONE = { kind: 'port-restricted-cone' } as const
const MALLORY = '10.77.0.66'
const CAROL = '10.77.0.50'

const bytesOf = (text: string): Buffer => Buffer.from(text.split('.').map(Number))
const short = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])

interface Scene {
  world: World
  alice: Member
  bob: Member
  /** Of alice. */
  socket: TappedSocket
  /** Where alice's packets to bob go. */
  ways: Array<Endpoint | undefined>
}

async function scene (t: Test, init: { peer?: object, relay?: Partial<CandyNetworkInit>, dhcp?: string } = {}): Promise<Scene> {
  const { peer = {}, ...rest } = init
  const world = new World(t, rest)
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: CONE, isTapped: true, peer })
  const bob = await world.join({ name: 'bob', nat: CONE, isTapped: true, peer })
  await world.ping(alice, bob)
  await world.clock.pass(8000)
  const ways: Array<Endpoint | undefined> = []
  alice.peer.on('path', (member, endpoint) => { if (member === bob.address) ways.push(endpoint) })
  return { world, alice, bob, socket: alice.socket!, ways }
}

async function mallory ({ world }: Scene): Promise<OriginalMember> {
  return await joinOriginal(world, { name: 'mallory', nat: CONE, address: MALLORY })
}

/** Pings of alice over UDP while something happens ten times, 100 ms apart. */
async function undisturbed (t: Test, { world, alice, bob, ways }: Scene, happens: (round: number) => void, rounds = 10): Promise<void> {
  const before = alice.peer.stats
  const roundTrips: Array<number | undefined> = []
  for (let i = 0; i < rounds; i++) {
    happens(i)
    roundTrips.push(await world.ping(alice, bob, 1000))
    await world.clock.pass(56)
  }
  t.same(roundTrips, Array(rounds).fill(44), 'all pings are answered over UDP')
  t.ok(alice.peer.stats.directPacketsOut - before.directPacketsOut >= rounds)
  await world.clock.pass(15_000)
  t.same(ways, [], 'the path stays')
  t.equal(await world.ping(alice, bob), 44)
}

t.test('an outsider floods, from one address and from many', async (t) => {
  for (const isFromOne of [true, false]) {
    const all = await scene(t)
    const { alice, socket } = all
    const { drops } = alice.peer.stats
    let sent = 0
    let longer = 0
    await undisturbed(t, all, () => {
      for (let i = 0; i < 1000; i++, sent++) {
        const data = randomBytes(i % 200)
        if (data.length > 28) longer++
        socket.inject({ data, host: isFromOne ? '203.0.113.200' : `198.18.${i >> 8}.${i & 0xff}`, port: isFromOne ? 5000 : 1024 + i })
      }
    })
    const { short, sealed, flood } = alice.peer.stats.drops
    t.equal(short - drops.short + sealed - drops.sealed + flood - drops.flood, sent, 'each is counted')
    t.equal(sealed - drops.sealed + flood - drops.flood, longer)
    t.ok(sealed - drops.sealed <= 500 + 2000 * 1.1, `${sealed} of ${longer} were tried`)
  }
})

t.test('an outsider who has seen datagrams replays, changes and moves them', async (t) => {
  const all = await scene(t)
  const { world, alice, bob, socket } = all
  await world.ping(alice, bob)
  const seen = socket.received.filter(({ host }) => host === bob.nat!.address).slice(-50)
  const { drops, packetsIn } = alice.peer.stats
  await undisturbed(t, all, (round) => {
    for (const datagram of seen) {
      socket.inject(datagram) // once more
      socket.inject({ ...datagram, host: '203.0.113.200', port: 7 }) // from elsewhere
      const data = Uint8Array.from(datagram.data)
      data[8] = 0x01 // a number that has not come yet
      data[data.length - 1 - round] ^= 1
      socket.inject({ ...datagram, data })
    }
  })
  const { replayed, sealed } = alice.peer.stats.drops
  t.equal(replayed - drops.replayed, 2 * 10 * seen.length)
  t.equal(sealed - drops.sealed, 10 * seen.length)
  t.equal(alice.peer.stats.packetsIn - packetsIn, 11, 'only answers to pings')
})

t.test('a datagram on its way that is overtaken by a copy from elsewhere moves no path', async (t) => {
  const all = await scene(t)
  const { world, alice, bob, socket, ways } = all
  const { send } = bob.socket!.port
  bob.socket!.port.send = (batch) => { // somebody between them is faster than the network
    for (const { data } of batch) socket.inject({ data, host: '203.0.113.200', port: 7 })
    return send(batch)
  }
  for (let i = 0; i < 100; i++) {
    await world.ping(alice, bob, 1000)
    await world.clock.pass(100)
  }
  t.notOk(ways.some((endpoint) => endpoint?.host === '203.0.113.200'), 'it answers no heartbeat of alice, which would have to go there')
})

t.test('a member claims the address of one that has introduced itself', async (t) => {
  const all = await scene(t)
  const { alice, bob, socket } = all
  await mallory(all)
  const { drops, packetsIn } = alice.peer.stats
  const key = keyOf(PASSWORD, alice.address)
  const from = { host: '203.0.113.200', port: 7 }
  const near = { host: bob.nat!.address, port: 1 }
  await undisturbed(t, all, () => {
    for (const at of [from, near]) {
      for (const acknowledge of [0, 1]) socket.inject({ data: seal(key, heartbeat(bob.address, acknowledge)), ...at })
      socket.inject({ data: seal(key, echoRequest(bob.address, alice.address).fill(0, 0, 0)), ...at })
    }
  })
  t.equal(alice.peer.stats.drops.heartbeat - drops.heartbeat, 40)
  t.equal(alice.peer.stats.drops.source - drops.source, 20)
  t.equal(alice.peer.stats.packetsIn - packetsIn, 11)
})

t.test('a member claims the address of one with the original client', async (t) => {
  const all = await scene(t)
  const { world, alice, socket } = all
  const carol = await joinOriginal(world, { name: 'carol', nat: CONE, address: CAROL })
  carol.discover(alice.address)
  await world.clock.pass(6000)
  t.equal(carol.stateOf(alice.address), 'CONNECTED')
  carol.packets.length = 0
  const key = keyOf(PASSWORD, alice.address)
  await undisturbed(t, all, () => {
    socket.inject({ data: seal(key, heartbeat(CAROL, 1)), host: '203.0.113.200', port: 7 })
    alice.tun.ping(CAROL).catch(() => {})
  })
  t.equal(carol.packets.filter(({ packet, way }) => packet[20] === 8 && way === 'udp').length, 10, 'her packets go to her')
  t.equal(alice.peer.stats.drops.heartbeat, 10)
})

t.test('a member with a path of its own sends in the name of another one', async (t) => {
  const all = await scene(t)
  const { world, alice, bob } = all
  const evil = await mallory(all)
  evil.discover(alice.address)
  await world.clock.pass(6000)
  t.equal(evil.stateOf(alice.address), 'CONNECTED')
  const used = evil.remotes.get(alice.address)!.used!
  const seen: string[] = []
  alice.peer.tap((packets, direction) => { if (direction === 'in') for (const packet of packets) seen.push(packet.subarray(12, 16).join('.')) })
  evil.tell(alice.address, echoRequest(bob.address, alice.address), used)
  evil.tell(alice.address, echoRequest('192.0.2.1', alice.address), used)
  evil.tell(alice.address, echoRequest(MALLORY, bob.address), used) // through alice, who carries nothing
  evil.tell(alice.address, echoRequest(MALLORY, alice.address), used)
  await world.clock.pass(1000)
  t.same(seen, [MALLORY])
  t.match(alice.peer.stats.drops, { source: 2, destination: 1 })
})

const MAGIC = Buffer.from('tunp')

/** CONN with an introduction of a new key, which nobody has. */
function conn (to: string, { host, port }: { host: string, port: number }, candidates: number): Buffer {
  const head = Buffer.concat([Buffer.from([3]), bytesOf(MALLORY), bytesOf(to), bytesOf(host), short(port)])
  const others = Array.from({ length: candidates }, (_, i) => Buffer.concat([Buffer.from([1]), bytesOf(host), short(port + 1 + i)]))
  return Buffer.concat([head, MAGIC, Buffer.from([1, 0, 0, candidates]), randomBytes(4), randomBytes(32), randomBytes(8), ...others])
}

t.test('a flood of CONN with new keys: a bounded number of attempts', async (t) => {
  const all = await scene(t)
  const { world, alice } = all
  const evil = await mallory(all)
  let sent = 0
  await undisturbed(t, all, () => {
    for (let i = 0; i < 200; i++, sent++) evil.say(conn(alice.address, { host: '203.0.113.201', port: 7 }, 0))
  })
  const keys = new Set(evil.messages.filter((message) => message[0] === 3).map((message) => message.toString('hex', 27, 59)))
  t.ok(keys.size <= 10, `${keys.size} keys of alice for ${sent} CONN`)
  await world.clock.pass(1000)
})

t.test('CONN names an endpoint of somebody else: what comes there is bounded', async (t) => {
  const all = await scene(t)
  const { world, alice } = all
  const evil = await mallory(all)
  const { host } = world.place({ name: 'victim' })
  const victim = host.addresses[0]
  for (const candidates of [0, 8]) {
    const { sent } = alice.socket!
    const before = sent.length
    const start = world.clock.now()
    evil.say(conn(alice.address, { host: victim, port: 4000 }, candidates))
    await world.clock.pass(60_000)
    const to = sent.slice(before).filter(({ host }) => host === victim)
    t.ok(to.length > 0 && to.length <= (1 + candidates) * 4 * 11, `${to.length} datagrams to the victim in ${world.clock.now() - start} ms`)
    t.ok(to.every(({ data }) => data.length <= 56))
  }
  const before = alice.socket!.sent.length
  evil.say(conn(alice.address, { host: victim, port: 4000 }, 0).subarray(0, 15))
  await world.clock.pass(60_000)
  const to = alice.socket!.sent.slice(before).filter(({ host }) => host === victim)
  t.ok(to.length > 0 && to.length <= 11, `${to.length} datagrams to the victim for a CONN of the original`)
})

t.test('CONN after CONN with endpoints of somebody else: what comes there does not grow with them', async (t) => {
  const all = await scene(t)
  const { world, alice } = all
  const evil = await mallory(all)
  const [victim] = world.place({ name: 'victim' }).host.addresses
  const counts: number[] = []
  for (let minute = 0; minute < 4; minute++) {
    const before = alice.socket!.sent.length
    for (let second = 0; second < 60; second++) {
      evil.say(conn(alice.address, { host: victim, port: 4000 }, 8))
      await world.clock.pass(1000)
    }
    counts.push(alice.socket!.sent.slice(before).filter(({ host }) => host === victim).length)
  }
  t.ok(counts[0] > 0 && counts[0] <= 400, `${counts[0]} datagrams in the first minute`)
  for (const count of counts.slice(1)) t.ok(count <= 250, `${count} in another one`)
})

t.test('floods of GENERAL and DISCOVERY: bounded answers', async (t) => {
  const all = await scene(t)
  const { alice } = all
  const evil = await mallory(all)
  evil.messages.length = 0
  await undisturbed(t, all, (round) => {
    for (let i = 0; i < 200; i++) {
      evil.discover()
      evil.say(Buffer.concat([Buffer.from([255, 0, 0, 0]), bytesOf(MALLORY), bytesOf(alice.address), bytesOf('203.0.113.201'), short(round * 200 + i)]))
      evil.say(Buffer.concat([Buffer.from([255, 9, 0, 0]), bytesOf(MALLORY), bytesOf(alice.address), randomBytes(i)]))
    }
  })
  const answers = evil.messages.filter((message) => message[0] === 5 && message.subarray(1, 5).equals(bytesOf(alice.address))).length
  t.ok(answers > 0 && answers <= 200 + 50 * 2, `${answers} answers of alice to 2000 questions`)
})

t.test('lying ROUTEs attract nothing of a direct path, and are bounded', async (t) => {
  const all = await scene(t, { peer: { route: 5 }, dhcp: '10.77.0.0/16' })
  const { world, alice, bob } = all
  const evil = await joinOriginal(world, { name: 'mallory', nat: CONE, address: MALLORY, cost: 5 })
  evil.discover(alice.address)
  await world.clock.pass(10_000)
  const used = evil.remotes.get(alice.address)!.used!
  t.equal(evil.stateOf(alice.address), 'CONNECTED')
  evil.plaintexts.length = 0
  await undisturbed(t, all, (round) => {
    for (let i = 0; i < 200; i++) {
      const text = Buffer.alloc(13)
      text[0] = Kind.ROUTE
      text.writeUInt32BE(i === 0 ? address(bob.address) : address('10.77.1.0') + round * 200 + i, 1)
      text.writeUInt32BE(address(MALLORY), 5)
      text.writeInt32BE(i % 7 === 6 ? -5 : 0, 9)
      evil.tell(alice.address, text, used)
    }
    evil.tell(alice.address, delay(bob.address, alice.address, 1), used)
  })
  t.notOk(evil.plaintexts.some(({ text }) => text[0] === Kind.FORWARD), 'mallory carries nothing')
  t.ok(alice.peer.stats.drops.memberRoute > 0)
})

t.test('case 30: 10,000 spoofed sources through the server', async (t) => {
  const all = await scene(t, { relay: { sourceCheck: 'off' }, dhcp: '10.77.0.0/16' })
  const { world, alice } = all
  const evil = await mallory(all)
  const { drops } = world.relay.stats
  await undisturbed(t, all, (round) => {
    for (let i = 0; i < 1000; i++) evil.say(echoRequest(`10.77.${10 + round * 4 + (i >> 8)}.${1 + (i & 0xff) % 254}`, alice.address))
  })
  t.ok(alice.peer.stats.packetsIn > 9000)
  const { length } = alice.peer.status().members
  t.ok(length > 10 && length < 80, `${length} members: few of those that only sent a packet are kept`)
  const answered = world.relay.stats.drops.destination - drops.destination
  t.ok(answered > 0, `${answered} messages to nobody`)
})
