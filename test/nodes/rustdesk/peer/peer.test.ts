/** A peer and its life: who may connect, what goes wrong, silence, restarts; in a simulated network (RustDesk protocol, sections 6 and 11). */
import t, { type Test } from 'tap'
import { PORT, USER_PORT, World, type Place } from '../../../helpers/rustdesk/world.ts'
import { collect } from '../../../helpers/links.ts'
import { loadNacl } from '../../../../src/crypto/nacl/index.ts'
import { over } from '../../../../src/layer.ts'
import { keyText } from '../../../../src/nodes/rustdesk/keys/key-text.ts'
import type { ConnectError } from '../../../../src/nodes/rustdesk/peer/errors.ts'
import { newIdentity } from '../../../../src/nodes/rustdesk/peer/identity.ts'
import type { RustdeskPeer } from '../../../../src/nodes/rustdesk/peer/peer.ts'
import type { RustdeskPeerInit } from '../../../../src/nodes/rustdesk/peer/settings.ts'
import { mangleAddress } from '../../../../src/nodes/rustdesk/protocol/mangled-address.ts'
import { framedMessages, idPk, type RendezvousInit, type RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { acceptEach } from '../../../../src/transports/acceptor.ts'
import { printable } from '../../../../src/text/printable.ts'
import type { SimulatedHost } from '../../../../src/transports/memory/index.ts'

const ID = '123456789'
const OTHER = '987654321'
const CONNECT = { connect: [{ id: ID, listen: `127.0.0.1:${USER_PORT}` }] }

const nacl = await loadNacl()
const IDENTITY = newIdentity(nacl)

/** B with its host; it is registered. */
async function served (t: Test, world: World, init: Partial<RustdeskPeerInit> = {}, place: Place = 'none'): Promise<{ b: RustdeskPeer, host: SimulatedHost }> {
  const host = world.host(place)
  const b = await world.echo(t, host, { id: ID, ...init })
  await world.clock.until(() => b.isOnline)
  return { b, host }
}

/** The first error of an attempt to connect. */
async function failure (t: Test, world: World, init: Partial<RustdeskPeerInit> = {}): Promise<ConnectError> {
  const host = world.host('none')
  let failed: Error | undefined
  const a = await world.peer(t, host, { ...CONNECT, ...init })
  a.once('offline', (_id, err) => { failed = err })
  await world.clock.until(() => failed !== undefined, { within: 120_000 })
  await a.close()
  return failed as ConnectError
}

/** Sends bytes by a user, and gets back what comes. */
async function echo (world: World, host: SimulatedHost, text: string): Promise<string> {
  const exchange = async (): Promise<string> => {
    const user = await world.user(host)
    const [got] = await Promise.all([collect<Uint8Array>(user.source), user.sink((async function * () { yield [Buffer.from(text)] })())])
    return Buffer.concat(got).toString()
  }
  return await world.clock.until(exchange(), { within: 60_000 })
}

t.test('what the server says', async (t) => {
  const world = await World.open(t)
  t.match(await failure(t, world), { reason: 'unknown-id', message: /no peer with the id 123456789/ })
  const { b } = await served(t, world)
  await b.close()
  await world.clock.pass(31_000)
  t.match(await failure(t, world), { reason: 'offline', message: /offline/ })
  t.match(await failure(t, world, { key: keyText(nacl.signKeys().publicKey) }), { reason: 'wrong-key', message: /another key/ })
})

t.test('a server that asks for a text, and signs with a key', async (t) => {
  const world = await World.open(t, { key: 'a text' })
  t.match(await failure(t, world), { reason: 'wrong-key' })
})

t.test('who may connect, by key', async (t) => {
  const world = await World.open(t)
  const identity = newIdentity(nacl)
  const { b } = await served(t, world, { allow: [{ publicKey: identity.pair.publicKey }] })
  t.match(await failure(t, world), { reason: 'refused', message: /not on the list/ })
  await world.clock.until(() => b.status().refused === 1)
  const host = world.host('none')
  const a = await world.peer(t, host, { ...CONNECT, identity })
  await world.clock.until(() => a.isOnline)
  t.match(b.status().served, [{ key: keyText(identity.pair.publicKey), name: `key ${keyText(identity.pair.publicKey)}` }])
  t.equal(await echo(world, host, 'hello'), 'hello')
  b.configure({ to: '127.0.0.1:7', allow: [] })
  await world.clock.until(() => !a.isOnline)
  t.same(b.status().served, [])
})

t.test('who may connect, by the id that the server has signed', async (t) => {
  const world = await World.open(t)
  const { b } = await served(t, world, { allow: [{ id: OTHER }] })
  t.match(await failure(t, world), { reason: 'refused' }, 'it has no id')
  t.match(await failure(t, world, { id: '555555555' }), { reason: 'refused' }, 'it has another one')
  for (const place of ['none', 'symmetric', 'port-restricted-cone'] as const) {
    const host = world.host(place)
    const a = await world.peer(t, host, { ...CONNECT, id: OTHER, identity: IDENTITY })
    await world.clock.until(() => a.isOnline)
    t.match(b.status().served, [{ name: OTHER, key: keyText(IDENTITY.pair.publicKey) }], place)
    await a.close()
    await world.clock.until(() => b.status().served.length === 0)
  }
})

t.test('an id of another machine', async (t) => {
  const world = await World.open(t)
  await served(t, world)
  let failed: unknown
  const other = await world.echo(t, world.host('none'), { id: ID })
  other.once('failed', (err) => { failed = err })
  await world.clock.until(() => failed !== undefined)
  t.match(failed, { reason: 'id-taken', message: /belongs to another machine/ })
})

t.test('silence by a relay, and directly', async (t) => {
  for (const place of ['symmetric', 'none'] as const) {
    const world = await World.open(t)
    await served(t, world, {}, place)
    const host = world.host('none')
    const a = await world.peer(t, host, CONNECT)
    await world.clock.until(() => a.isOnline)
    await world.clock.pass(600_000)
    t.match(a.status().remotes, [{ state: 'online', failures: 0, path: place === 'none' ? 'direct' : 'relay' }])
    t.equal(await echo(world, host, 'still there'), 'still there')
  }
})

t.test('the other peer vanishes, and comes back', async (t) => {
  const world = await World.open(t)
  const identity = newIdentity(nacl)
  const { b, host: hostOfB } = await served(t, world, { identity })
  const host = world.host('none')
  const a = await world.peer(t, host, CONNECT)
  await world.clock.until(() => a.isOnline)
  const [attached] = hostOfB.interfaces
  hostOfB.leave(attached) // no word of it
  await world.clock.until(() => !a.isOnline, { within: 60_000 })
  t.match(a.status().remotes, [{ reason: /nothing has come of the other peer for 35 s/ }])
  hostOfB.join({ on: world.internet, address: '203.0.113.77' })
  await world.clock.until(() => b.isOnline && a.isOnline, { within: 240_000 })
  t.equal(await echo(world, host, 'back'), 'back')
})

t.test('the server restarts', async (t) => {
  const world = await World.open(t)
  const { b } = await served(t, world, {}, 'port-restricted-cone')
  const host = world.host('port-restricted-cone')
  const a = await world.peer(t, host, CONNECT)
  await world.clock.until(() => a.isOnline)
  await world.stop()
  await world.clock.pass(40_000)
  t.equal(await echo(world, host, 'directly'), 'directly', 'sessions stay')
  t.notOk(b.isOnline)
  t.match(b.status(), { isRegistered: false })
  await world.serve()
  await world.clock.until(() => b.isOnline, { within: 120_000 })
  t.equal(a.status().remotes[0].failures, 0)
})

/** A server of TCP alone, in place of that of the world, that answers as it is told. */
async function falseServer (world: World, answer: (message: RendezvousMessage) => RendezvousInit | undefined): Promise<void> {
  await world.stop()
  for (const port of [PORT, PORT - 1]) {
    acceptEach(world.server.transport().listen({ host: '::', port }), (lower) => {
      const link = over(lower, framedMessages)
      const answers = async function * (): AsyncGenerator<RendezvousInit[]> {
        for await (const batch of link.source) yield batch.flatMap((message) => answer(message) ?? [])
      }
      link.sink(answers()).catch(() => {})
    }, () => {}).catch(() => {})
  }
}

t.test('texts of the server are shown without control characters', async (t) => {
  const evil = '\u001b]0;title\u0007\u001b[2J'
  const cases: Array<[name: string, answer: (world: World) => RendezvousInit]> = [
    ['a failure', () => ({ punch_hole_response: { other_failure: evil } })],
    ['a refusal', () => ({ relay_response: { refuse_reason: evil } })],
    ['a relay', ({ pair }) => ({ relay_response: { relay_server: evil, uuid: 'x', pk: nacl.sign(idPk.encode({ id: ID, pk: IDENTITY.pair.publicKey }), pair.secretKey) } })]
  ]
  for (const [name, answer] of cases) {
    const world = await World.open(t)
    await falseServer(world, ({ union }) => union === 'punch_hole_request' ? answer(world) : undefined)
    let failed: Error | undefined
    const a = await world.peer(t, world.host('none'), CONNECT)
    a.once('offline', (_id, err) => { failed = err })
    await world.clock.until(() => failed !== undefined, { within: 120_000 })
    for (const text of [failed?.message ?? '', ...a.explain(ID).history.map(({ text }) => text)]) t.equal(text, printable(text, 1000), name)
    await a.close()
  }
})

t.test('a peer that goes offline while a path is looked for', async (t) => {
  const world = await World.open(t)
  await falseServer(world, ({ union }) => {
    if (union === 'request_relay') return { relay_response: { refuse_reason: 'Remote desktop is offline' } }
    return union === 'punch_hole_request' ? { punch_hole_response: { socket_addr: mangleAddress({ host: '203.0.113.250', port: 9 }, 0), pk: nacl.sign(idPk.encode({ id: ID, pk: IDENTITY.pair.publicKey }), world.pair.secretKey) } } : undefined
  })
  t.match(await failure(t, world), { reason: 'offline', message: /123456789 is offline/ })
})

t.test('users who come again and again while the other peer is not there', async (t) => {
  const world = await World.open(t)
  const host = world.host('none')
  const a = await world.peer(t, host, CONNECT)
  const end = world.clock.now() + 10_000
  const users = (async () => {
    while (world.clock.now() < end) await collect((await world.user(host)).source).catch(() => {})
  })()
  await world.clock.until(users)
  const [{ failures }] = a.status().remotes
  t.ok(failures >= 2 && failures <= 12, `${failures} attempts in ten seconds`)
})

t.test('many peers to connect to, with an id', async (t) => {
  const world = await World.open(t)
  await world.stop()
  const warnings: string[] = []
  const warned = (warning: Error): void => { warnings.push(warning.message) }
  process.on('warning', warned)
  t.teardown(() => { process.off('warning', warned) })
  await world.peer(t, world.host('none'), { id: OTHER, connect: Array.from({ length: 20 }, (_, i) => ({ id: `peer-${100 + i}`, listen: `127.0.0.1:${USER_PORT + i}` })) })
  await world.clock.pass(30_000)
  t.same(warnings, [])
})

t.test('the type of the NAT where a peer has moved to', async (t) => {
  for (const away of [100_000, 1000]) { // the server has missed it, or not
    const world = await World.open(t)
    const { b, host } = await served(t, world, {}, 'symmetric')
    await world.clock.until(() => b.status().nat === 'symmetric')
    await world.clock.pass(40_000)
    const [attached] = host.interfaces
    host.leave(attached)
    await world.clock.pass(away)
    host.join({ on: world.internet, address: '203.0.113.88' })
    await world.clock.until(() => b.isOnline && b.status().nat === 'asymmetric', { within: 240_000 })
    t.pass(`away for ${away} ms`)
  }
})

t.test('users that all come at once', async (t) => {
  const world = await World.open(t)
  const { b } = await served(t, world)
  const host = world.host('none')
  const a = await world.peer(t, host, CONNECT)
  await world.clock.until(() => a.isOnline)
  for (let i = 0; i < 300; i++) await world.clock.until(world.user(host))
  await world.clock.until(() => a.status().remotes[0].users >= 256)
  await world.clock.pass(1000)
  t.match([a.status().remotes[0], b.status().served[0]], [{ users: 256 }, { users: 256 }], 'as many as a session takes, the others are refused')
})
