/** Everything that may come to the UDP socket: random and damaged datagrams, of members of both kinds and of nobody. */
import t from 'tap'
import { mutate, random } from '../../../helpers/bytes.ts'
import { delay, echoRequest, heartbeat, Kind, keyOf, seal } from '../../../helpers/candy/direct.ts'
import { mutations } from '../../../helpers/sample.ts'
import { joinOriginal } from '../../../helpers/candy/simulated-original.ts'
import { PASSWORD, World } from '../../../helpers/candy/simulated-direct.ts'

const CONE = { kind: 'port-restricted-cone' } as const
const CAROL = '10.77.0.50'

/** Datagrams at once, and milliseconds until the next ones: fewer than strangers may send. */
const AT_ONCE = 100
const PAUSE = 100

for (const cost of [0, 5]) {
  t.test(`route ${cost}`, async (t) => {
    const world = new World(t)
    await world.stun()
    const alice = await world.join({ name: 'alice', nat: CONE, isTapped: true, peer: { route: cost } })
    const bob = await world.join({ name: 'bob', nat: CONE, peer: { route: cost } })
    const carol = await joinOriginal(world, { name: 'carol', nat: CONE, address: CAROL, cost })
    await world.ping(alice, bob)
    carol.discover(alice.address)
    await world.clock.pass(8000)
    for (let i = 0; i < 10; i++) await world.ping(alice, bob)
    const socket = alice.socket!
    const key = keyOf(PASSWORD, alice.address)
    const from = { host: carol.nat!.address, port: carol.remotes.get(alice.address)!.used!.port }
    const route = Buffer.from('040a4d00630a4d003200000010', 'hex')
    const plaintexts = [heartbeat(CAROL, 1), delay(CAROL, alice.address, 1), delay(alice.address, CAROL, 1), route, echoRequest(CAROL, alice.address), echoRequest(CAROL, bob.address), Buffer.concat([Buffer.from([Kind.FORWARD]), Buffer.alloc(40)])]
    const genuine = socket.received.slice()

    const below = random(28 + cost)
    const { drops } = alice.peer.stats
    const count = mutations()
    let short = 0
    let lost = 0
    for (let i = 0; i < count;) {
      for (let n = 0; n < AT_ONCE; n++, i++) {
        const sample = genuine[below(genuine.length)]
        let datagram = { ...sample, data: mutate(sample.data, below) }
        const choice = below(4)
        if (choice === 0) datagram = { ...from, data: seal(key, Buffer.from([...mutate(plaintexts[below(plaintexts.length)], below)])) }
        else if (choice === 1) datagram = { host: `198.18.0.${below(256)}`, port: below(65_536), data: Uint8Array.from({ length: below(2001) }, () => below(256)) }
        else if (choice === 2) datagram = { ...datagram, host: ['0.0.0.0', '127.0.0.1', '255.255.255.255', '10.77.0.2', '::1', from.host][below(6)] }
        if (datagram.data.length <= 28) short++
        socket.inject(datagram)
      }
      await world.clock.pass(PAUSE)
      if (i % 1000 === 0 && await world.ping(alice, bob, 1000) === undefined) lost++
    }
    t.equal(lost, 0, 'the members reach each other all the time')
    const after = alice.peer.stats.drops
    t.ok(after.short - drops.short > short * 0.9 && after.short - drops.short <= short, 'short ones are counted, but for answers of STUN')
    t.ok(after.sealed - drops.sealed > count / 4, 'so are others')
    t.equal(alice.peer.state, 'online')
    t.equal(await world.ping(alice, bob), 44)

    for (const length of [0, 1, 27, 28]) { // case 26
      const { short } = alice.peer.stats.drops
      socket.inject({ ...from, data: new Uint8Array(length) })
      t.equal(alice.peer.stats.drops.short, short + 1, `${length} bytes`)
    }
  })
}
