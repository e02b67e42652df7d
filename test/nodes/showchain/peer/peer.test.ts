/** Peers: TCP through direct paths, NATs and proxies, in a simulated network (SHOW CHAIN protocol, sections 5 to 8). */
import t from 'tap'
import { sample } from '../../../helpers/sample.ts'
import { bytesOf, digest, exchange, NUMBERS, online, pathOf, SERVICE, stage, T, TABLE, user, USERS } from '../../../helpers/showchain/stage.ts'
import { World } from '../../../helpers/showchain/world.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { encodeMessage, readMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { hashOf } from '../../../../src/nodes/showchain/protocol/signatures.ts'
import { idText } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { silent } from '../../../../src/log.ts'
import { acceptEach } from '../../../../src/transports/acceptor.ts'
import type { Datagram, DatagramSocket, Link, PacketPort } from '../../../../src/types.ts'

t.test('all 16 pairs of kinds: data intact both ways (row 7)', { timeout: 3_600_000 }, async (t) => {
  const seeds = sample('seeds', { short: 1, long: 50 })
  for (let seed = 1; seed <= seeds; seed++) {
    for (const near of NUMBERS) {
      for (const far of NUMBERS) {
        const made = await stage({ nats: [T[near], T[far]], seed, loss: 0.02, reorder: 0.02 })
        await online(made)
        await exchange(t, made, await user(made), 50_000)
        await made.world.clock.until(() => pathOf(made) === TABLE[near - 1][far - 1], { within: 600_000 })
        await made.world.close()
      }
    }
  }
})

t.test('half-close, many users, status and explain', async (t) => {
  const made = await stage({ nats: [T[3], undefined] })
  t.teardown(() => made.world.close())
  await online(made)
  const pairs = [await user(made), await user(made), await user(made)]
  await made.world.clock.pass(30_000)
  t.match(made.client.peer.status(), { remotes: [{ state: 'online', users: 3, accepted: 3, url: 'tcp://127.0.0.1:2222' }], helpers: [{ state: 'registered' }, { state: 'registered' }] })
  t.match(made.server.peer.status(), { served: [{ id: idText(made.client.id), isOpen: true, users: 3 }], kind: 1 })
  for (const pair of pairs) await exchange(t, made, pair, 10_000)
  await made.world.clock.pass(1000)
  t.match(made.client.peer.status(), { remotes: [{ users: 0, accepted: 3 }] })
  const explained = made.client.peer.explain(idText(made.server.id))
  t.match(explained, { isRemote: true, isServed: false, remote: { state: 'online' } })
  t.match(explained?.history.map(({ text }) => text).join('\n'), 'packets go by the path direct')
  t.match(made.server.peer.explain(idText(made.client.id)), { isRemote: false, isServed: true, isAllowed: true })
  t.equal(made.client.peer.explain('nobody'), undefined)
})

t.test('a proxy dies in the middle of a transfer: the other one goes on with it (row 9)', async (t) => {
  const made = await stage({ nats: [T[4], T[4]] })
  t.teardown(() => made.world.close())
  await online(made)
  t.equal(pathOf(made), 'proxy')
  const used = made.client.peer.status().remotes[0].paths.find(({ isChosen }) => isChosen)?.endpoint
  let isKilled = false
  await exchange(t, made, await user(made), 300_000, {
    onBytes: (bytes) => {
      if (isKilled || bytes < 50_000) return
      isKilled = true
      void made.world.relays[made.world.bootstrap.findIndex(({ host, port }) => `${host}:${port}` === used)].close()
    }
  })
  t.ok(isKilled)
  t.not(made.client.peer.status().remotes[0].paths.find(({ isChosen }) => isChosen)?.endpoint, used)
})

t.test('from a proxy to a nat path in the middle of a transfer', async (t) => {
  const made = await stage({ nats: [T[3], T[3]] })
  t.teardown(() => made.world.close())
  const { world, client, server } = made
  const heal = world.network.partition([client.host], [server.host])
  await online(made)
  t.equal(pathOf(made), 'proxy')
  let isHealed = false
  const pair = await user(made)
  await exchange(t, made, pair, 3_000_000, {
    onBytes: (bytes) => {
      if (isHealed || bytes < 50_000) return
      isHealed = true
      heal()
    }
  })
  await world.clock.until(() => pathOf(made) === 'nat', { within: 600_000 })
  t.ok(isHealed)
})

/** A socket of a relay that alters the data that it passes on, once it is told to, with a hash that fits. */
function altering (socket: DatagramSocket, isOn: () => boolean): DatagramSocket {
  const altered = (datagram: Datagram): Datagram => {
    const message = readMessage(datagram.data)
    if (typeof message === 'string' || message.op !== Op.passData || message.data === undefined || message.data[0] !== 0xc1) return datagram
    const data = Buffer.from(message.data)
    data[data.length - 20] ^= 1
    return { ...datagram, data: encodeMessage({ ...message, data, dataHash: hashOf(data) }) }
  }
  const { port } = socket
  const other: PacketPort<Datagram> = {
    get queued () { return port.queued },
    get limit () { return port.limit },
    send: (batch) => port.send(isOn() ? batch.map(altered) : batch),
    drained: () => port.drained?.() ?? Promise.resolve()
  }
  return new Proxy(socket, { get: (target, name) => name === 'port' ? other : typeof target[name as keyof DatagramSocket] === 'function' ? (target[name as 'close']).bind(target) : target[name as keyof DatagramSocket] })
}

t.test('a proxy that alters data: the connection fails with a named error, and the next one goes by another proxy (row 14)', async (t) => {
  for (const others of [1, 0]) {
    const world = new World()
    let isAltering = false
    for (const key of ['rsa2056', 'h'] as const) {
      if (key === 'h' && others === 0) break
      const host = '192.0.2.' + (world.relayHosts.length + 1)
      await world.relay(key, { bind: async (init) => altering(await world.relayHosts.find(({ addresses }) => addresses[0] === host)?.bindUdp(init) as DatagramSocket, () => isAltering && host === '192.0.2.1') })
    }
    const server = await world.peer('b', { to: SERVICE, allow: 'any', nat: T[4] })
    const services: Link[] = []
    acceptEach(server.host.transport().listen(SERVICE), (link) => { services.push(link) }, () => {}).catch(() => {})
    await world.clock.pass(15_000)
    const client = await world.peer('a', { connect: [{ id: idText(server.id), listen: USERS }], nat: T[4] })
    const made = { world, server, client, services }
    const failures: Error[] = []
    client.peer.on('offline', (_id, err) => { failures.push(err) })
    await online(made)
    const by = (): string | undefined => client.peer.status().remotes[0].paths.find(({ isChosen }) => isChosen)?.endpoint
    const pair = await user(made)
    const isFirst = by() === '192.0.2.1:7700'
    isAltering = true
    void pair[0].sink(bytesOf(10_000, 1)).catch(() => {})
    await world.clock.until(() => failures.length > 0, { within: 60_000 })
    t.match(failures[0], { code: 'ERR_PATH_ALTERED' })
    t.ok(isFirst)
    if (others === 1) {
      await online(made)
      t.equal(by(), '192.0.2.2:7700')
      await exchange(t, made, await user(made), 100_000)
      t.equal(failures.length, 1)
    } else {
      await world.clock.pass(60_000)
      t.notOk(client.peer.isOnline)
    }
    await world.close()
  }
})

t.test('a peer that is closed says so', async (t) => {
  for (const nat of [T[3], T[4]]) {
    const made = await stage({ nats: [nat, T[4]] })
    await online(made)
    await user(made)
    await made.client.peer.close()
    await made.world.clock.pass(1000)
    t.not(made.server.peer.status().served.at(0)?.isOpen, true)
    await made.world.close()
  }
})

t.test('who is not allowed any more is disconnected at once', async (t) => {
  const made = await stage({ nats: [T[2], T[2]] })
  t.teardown(() => made.world.close())
  await online(made)
  const [link] = await user(made)
  const ended = digest(link.source).then(() => 'ended', () => 'broken')
  made.server.peer.configure({ to: SERVICE, allow: [identity('c').id] })
  t.ok(['ended', 'broken'].includes(await made.world.clock.until(ended, { within: 5000 })))
  t.same(made.server.peer.status().served, [])
  await made.world.clock.pass(60_000)
  t.not(made.client.peer.status().remotes[0].state, 'online')
  t.match(made.client.peer.status().remotes[0], { failures: Number })
  made.server.peer.configure({ to: SERVICE, allow: 'any' })
  await online(made)
  await exchange(t, made, await user(made), 1000)
})

t.test('a node that goes without a word is forgotten, whatever was on its way', async (t) => {
  for (const time of [40, 100, 150, 300]) {
    const made = await stage({ nats: [T[4], T[4]] })
    await online(made)
    const [here, there] = await user(made)
    void here.sink(bytesOf(1_000_000, 1)).catch(() => {})
    void digest(there.source).catch(() => {})
    await made.world.clock.pass(time)
    made.world.network.partition([made.client.host])
    await made.world.clock.pass(180_000)
    t.same(made.server.peer.status().served, [], `after ${time} ms`)
    await made.world.close()
  }
})

t.test('no path: users are told why, and the next one is looked for at once', async (t) => {
  const made = await stage({ nats: [T[3], T[3]] })
  const { world, server, client, services } = made
  t.teardown(() => world.close())
  await server.peer.close()
  await client.peer.close()
  const again = await world.peer('a', { connect: [{ id: idText(server.id), listen: USERS }], nat: T[3], bootstrap: world.bootstrap })
  await world.clock.pass(300_000)
  t.match(again.peer.status().remotes, [{ state: 'connecting', reason: /^no path: the node is not registered with the same relays, or does not let this one connect/ }])
  const back = await world.peer('b', { to: SERVICE, allow: 'any', nat: T[3] })
  acceptEach(back.host.transport().listen(SERVICE), (link) => { services.push(link) }, () => {}).catch(() => {})
  await world.clock.until(() => back.peer.status().helpers[0].state === 'registered')
  const before = world.clock.now()
  await exchange(t, { ...made, client: again }, await user({ ...made, client: again }), 1000)
  t.ok(world.clock.now() - before < 10_000, `after ${world.clock.now() - before} ms`)
  const nobody = await world.peer('c', { connect: [{ id: idText(server.id), listen: USERS }], bootstrap: [{ host: '192.0.2.99', port: 1 }] })
  await world.clock.pass(30_000)
  t.match(nobody.peer.status().remotes, [{ reason: 'no path: no relay that may be used has registered this node' }])
})

t.test('a service that does not answer: both ends say so', async (t) => {
  const said: unknown[] = []
  const log = { ...silent, warn: (_fields: object, text?: string) => { said.push(text) } } as typeof silent
  const made = await stage({ nats: [T[1], T[1]], serve: { to: { host: '127.0.0.1', port: 23 }, log }, connect: { log } })
  t.teardown(() => made.world.close())
  await online(made)
  const link = await made.world.clock.until(made.client.host.transport().dial(USERS))
  await t.rejects(made.world.clock.until(digest(link.source)))
  t.same(said, ['the service has not answered', 'user refused'])
})

t.test('a node whose endpoint is known by a name', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await world.relay('h')
  const server = await world.peer('b', { to: SERVICE, allow: 'any', port: 4000 })
  const [address] = server.host.addresses
  const client = await world.peer('a', {
    bootstrap: [{ host: '192.0.2.99', port: 1 }],
    connect: [{ id: `${idText(server.id)}@b.example:4000`, listen: USERS }],
    lookup: async (name) => {
      if (name.endsWith('.example') && world.clock.now() < 20_000) throw new Error('no such name')
      return name === 'b.example' ? address : name
    }
  })
  await world.clock.pass(10_000)
  t.match(client.peer.explain(idText(server.id))?.history.map(({ text }) => text).join(), 'b.example:4000: no such name')
  await world.clock.until(() => client.peer.isOnline || client.peer.status().remotes[0].state === 'online', { within: 60_000 })
})

t.test('a peer that restarts is found again', async (t) => {
  const made = await stage({ nats: [T[4], T[3]] })
  t.teardown(() => made.world.close())
  await online(made)
  await made.server.peer.close()
  await made.world.clock.pass(2000)
  const again = await made.world.peer('b', { to: SERVICE, allow: 'any', nat: T[3] })
  acceptEach(again.host.transport().listen(SERVICE), (link) => { made.services.push(link) }, () => {}).catch(() => {})
  await made.world.clock.pass(5000)
  await made.world.clock.until(() => made.client.peer.isOnline && made.client.peer.status().remotes[0].failures > 0, { within: 120_000 })
  await exchange(t, made, await user(made), 20_000)
})

t.test('both serve and connect to each other, at once', async (t) => {
  const made = await stage({ nats: [T[3], T[3]], connect: { to: SERVICE, allow: 'any' }, serve: { connect: [{ id: idText(identity('a').id), listen: USERS }] } })
  t.teardown(() => made.world.close())
  await online(made)
  await made.world.clock.until(() => made.server.peer.isOnline, { within: 120_000 })
  const services: Link[] = []
  acceptEach(made.client.host.transport().listen(SERVICE), (link) => { services.push(link) }, () => {}).catch(() => {})
  await exchange(t, made, await user(made), 20_000)
  await exchange(t, made, await user({ ...made, client: made.server, services }), 20_000)
})

t.test('what cannot work is said at once', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await t.rejects(world.peer('a', { to: SERVICE }), { code: 'ERR_OPTION', option: 'bootstrap' })
  await world.relay('h')
  await t.rejects(world.peer('a', {}), { code: 'ERR_OPTION', option: 'to' })
  await t.rejects(world.peer('a', { connect: [{ id: 'me', listen: USERS }] }), { code: 'ERR_OPTION', option: 'connect.0.id' })
})
