/** Which path comes about between two peers, by the NATs before them, in a simulated network (RustDesk protocol, section 6). */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { collect } from '../../../helpers/links.ts'
import { PORT, SERVER_IPV6, USER_PORT, World, type Place } from '../../../helpers/rustdesk/world.ts'
import type { RustdeskPeer } from '../../../../src/nodes/rustdesk/peer/peer.ts'
import type { Link, Listener } from '../../../../src/types.ts'

const ID = '123456789'
const BYTES = 100_000

interface Pair {
  world: World
  b: RustdeskPeer
  a: RustdeskPeer
  transfer (): Promise<boolean>
}

/** B serves an echo, A connects to it. */
async function pair (t: Test, places: [b: Place, a: Place], { isTogether = false, alwaysUseRelay = false } = {}): Promise<Pair> {
  const world = await World.open(t, { alwaysUseRelay })
  const hostOfB = world.host(places[0], 'site b')
  const hostOfA = world.host(places[1], isTogether ? 'site b' : 'site a')
  const b = await world.echo(t, hostOfB, { id: ID })
  await world.clock.until(() => b.isOnline)
  const a = await world.peer(t, hostOfA, { connect: [{ id: ID, listen: `127.0.0.1:${USER_PORT}` }] })
  return {
    world,
    b,
    a,
    async transfer () {
      const sent = randomBytes(BYTES)
      const exchange = async (): Promise<Uint8Array[]> => {
        const user = await world.user(hostOfA)
        const [got] = await Promise.all([collect<Uint8Array>(user.source), user.sink((async function * () { yield [sent] })())])
        return got
      }
      return Buffer.compare(Buffer.concat(await world.clock.until(exchange(), { within: 60_000 })), sent) === 0
    }
  }
}

const cases: Array<[b: Place, a: Place, path: string]> = [
  ['none', 'none', 'direct'],
  ['none', 'port-restricted-cone', 'direct'],
  ['port-restricted-cone', 'none', 'direct'],
  ['port-restricted-cone', 'port-restricted-cone', 'direct'],
  ['full-cone', 'restricted-cone', 'direct'],
  ['symmetric', 'port-restricted-cone', 'relay'],
  ['port-restricted-cone', 'symmetric', 'relay'],
  ['symmetric', 'symmetric', 'relay']
]

for (const [placeOfB, placeOfA, path] of cases) {
  t.test(`${placeOfB} to ${placeOfA}: ${path}`, async (t) => {
    const { world, a, b, transfer } = await pair(t, [placeOfB, placeOfA])
    await world.clock.until(() => a.isOnline)
    t.match(a.status(), { nat: placeOfA === 'symmetric' ? 'symmetric' : 'asymmetric', remotes: [{ state: 'online', path }] })
    t.match(b.status().served, [{ path }])
    t.ok(await transfer())
    t.comment(a.explain(ID).history.map(({ text }) => text).join('; '))
  })
}

t.test('behind one NAT', async (t) => {
  const { world, a, b, transfer } = await pair(t, ['port-restricted-cone', 'port-restricted-cone'], { isTogether: true })
  await world.clock.until(() => a.isOnline)
  t.match(a.status(), { remotes: [{ state: 'online', path: 'local' }] })
  t.match(b.status().served, [{ path: 'local' }])
  t.ok(await transfer())
})

t.test('the server wants a relay', async (t) => {
  const { world, a, transfer } = await pair(t, ['none', 'none'], { alwaysUseRelay: true })
  await world.clock.until(() => a.isOnline)
  t.match(a.status(), { remotes: [{ state: 'online', path: 'relay' }] })
  t.ok(await transfer())
})

t.test('IPv6', async (t) => {
  const world = await World.open(t)
  const server = `[${SERVER_IPV6}]:${PORT}`
  const b = await world.echo(t, world.host('ipv6'), { id: ID, server })
  await world.clock.until(() => b.isOnline)
  const a = await world.peer(t, world.host('ipv6'), { server, connect: [{ id: ID, listen: `127.0.0.1:${USER_PORT}` }] })
  await world.clock.until(() => a.isOnline)
  t.match(a.status(), { nat: 'asymmetric', remotes: [{ path: 'direct', endpoint: /^\[2001:db8::/ }] })
  t.match(b.status().served, [{ path: 'direct' }])
})

t.test('a direct path that leads to somebody else, then the relay', async (t) => {
  const world = await World.open(t)
  const hostOfB = world.host('none')
  const b = await world.echo(t, hostOfB, { id: ID, direct: true })
  await world.clock.until(() => b.isOnline)
  // whoever connects to B, but for the server, comes out at a stranger who says what a peer does not
  const stranger = { ...hostOfB.transport() }
  const { listen } = stranger
  const c = await world.peer(t, hostOfB, {
    id: '222222222',
    to: '127.0.0.1:7',
    allow: 'any',
    transport: { ...stranger, listen: (at) => impostors(listen(at)) }
  })
  await world.clock.until(() => c.isOnline)
  const a = await world.peer(t, world.host('none'), { connect: [{ id: '222222222', listen: `127.0.0.1:${USER_PORT}` }] })
  await world.clock.until(() => a.isOnline, { within: 120_000 })
  t.match(a.status().remotes, [{ path: 'relay', why: /no direct path/ }])
})

/** Each link that comes says something else than the peer would. */
function impostors<L extends Link> (listener: Listener<L>): Listener<L> {
  return {
    port: () => listener.port(),
    close: () => { listener.close() },
    async * [Symbol.asyncIterator] () {
      for await (const link of listener) link.port.send([Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')])
      yield * []
    }
  }
}
