/** Endpoints that a route leads to: a datagram that goes there would come back as a packet of the interface, and go into a datagram again. */
import t from 'tap'
import { joinOriginal } from '../../../helpers/candy/simulated-original.ts'
import { PASSWORD, World, type Member } from '../../../helpers/candy/simulated-direct.ts'
import type { Datagram } from '../../../../src/types.ts'

const LAN = '192.168.1.0/24'
const NAT = { kind: 'port-restricted-cone', hairpin: true } as const

/** What this member sends from now on. */
function sentBy ({ socket }: Member): Datagram[] {
  const sent: Datagram[] = []
  const { port } = socket!
  const { send } = port
  port.send = (batch) => {
    sent.push(...batch)
    return send.call(port, batch)
  }
  return sent
}

t.test('a route to the network of a member is added while its path is there', async (t) => {
  const world = new World(t)
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: NAT, isTapped: true })
  const bob = await world.join({ name: 'bob', beside: alice })
  await world.ping(alice, bob)
  await world.clock.pass(8000)
  t.equal(await world.ping(alice, bob), 2)
  const sent = sentBy(alice)
  t.same(world.relay.configure({ password: PASSWORD, dhcp: '10.77.0.0/24', sdwan: `${alice.address}/32,${LAN},${bob.address}` }).ended, 0)
  await world.clock.pass(45)
  const before = sent.length
  t.equal(alice.peer.status().pushed.length, 1)
  for (let i = 0; i < 40; i++) {
    t.ok(await world.ping(alice, bob) !== undefined, 'nothing is lost')
    await world.clock.pass(250)
  }
  t.ok(sent.length > before)
  t.same(sent.slice(before).filter(({ host }) => host.startsWith('192.168.1.')), [], 'nothing goes there any more')
  t.equal(alice.peer.status().members[0].endpoint?.split(':')[0], alice.nat?.address, 'there is another way')
  t.match(alice.peer.explain(bob.address).history.map(({ text }) => text).join('\n'), /^a route leads to 192\.168\.1\./m)
})

t.test('the same for a member with an original client', async (t) => {
  const world = new World(t)
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: NAT, isTapped: true })
  const original = await joinOriginal(world, { name: 'original', beside: alice, address: '10.77.0.66' })
  original.echo(alice.address, 1)
  await world.clock.pass(8000)
  t.match(alice.peer.status().members[0], { address: original.address, path: 'lan' })
  const sent = sentBy(alice)
  world.relay.configure({ password: PASSWORD, dhcp: '10.77.0.0/24', sdwan: `${alice.address}/32,${LAN},${original.address}` })
  await world.clock.pass(45)
  const before = sent.length
  for (let i = 2; i < 12; i++) {
    original.echo(alice.address, i)
    await world.clock.pass(1000)
  }
  t.same(sent.slice(before).filter(({ host }) => host.startsWith('192.168.1.')), [], 'nothing goes there any more')
  t.same([...original.replies.keys()].slice(-4), [8, 9, 10, 11], 'it gives the path up by itself')
})
