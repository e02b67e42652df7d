/**
 * What the original programs do wrong, by the numbers of the protocol's list (section 10): each with what triggers it there, and
 * what ours do instead.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { OptionError } from '../../../src/index.ts'
import { GotunnelPeer, GotunnelRelay, type GotunnelRelayStats } from '../../../src/nodes/gotunnel/index.ts'
import { ManualClock } from '../../helpers/clock.ts'
import { ca, cert, key } from '../../helpers/certificates.ts'
import { standstill, until } from '../../helpers/ends.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { later, MODES, OTHER_TOKEN, ScriptedClient, startRelay, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { Listening, ScriptedServer, startPeer } from '../../helpers/gotunnel/scripted-server.ts'
import { dialSoon, isRefused, Wire } from '../../helpers/gotunnel/wire.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { spawnGroup } from '../../helpers/programs/reaper.ts'

const listeners = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length

t.test('D1: the old owner of a port takes nothing from the new one when it goes', async (t) => {
  const { port, relay } = await startRelay(t)
  const remotePort = await freePort()
  for (let i = 0; i < 10; i++) {
    const old = await ScriptedClient.registered(t, port, { remotePort })
    const client = await ScriptedClient.registered(t, port, { remotePort })
    await old.ended
    old.control.end()
    await until(() => relay.stats.clients === 1)
    await client.talk(t)
    client.leave()
    await until(() => relay.stats.clients === 0)
  }
  t.ok(await isRefused(remotePort))
})

t.test('D2: offline and then online: users are served again, and the listener goes with its client', async (t) => {
  const { port, relay } = await startRelay(t)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  client.offline()
  client.online()
  t.ok(await client.ping())
  await until(() => [...relay.ports][0].isListening)
  await client.talk(t)
  client.leave()
  await until(() => relay.stats.clients === 0)
  t.ok(await isRefused(client.remotePort))
  await (await ScriptedClient.registered(t, port, { remotePort: client.remotePort })).talk(t)
})

t.test('D3: a client that has fallen silent leaves no listener behind', async (t) => {
  const { port, relay } = await startRelay(t)
  await standstill(listeners) // those of the start are gone
  const before = listeners()
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const user = await Wire.dial(client.remotePort)
  later(relay, 31_000)
  t.equal((await user.all()).length, 0)
  await until(() => listeners() === before)
  await (await ScriptedClient.registered(t, port, { remotePort: client.remotePort })).talk(t)
})

t.test('D4: listeners that were stopped are gone, and the relay has nothing to do', async (t) => {
  const { port, relay } = await startRelay(t)
  await standstill(listeners) // those of the start are gone
  const before = listeners()
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  for (let i = 0; i < 50; i++) {
    client.offline()
    t.ok(await client.ping())
    client.online()
    await until(() => [...relay.ports][0].isListening)
  }
  t.equal(listeners(), before + 1)
  client.leave()
  await until(() => listeners() === before)
  t.notOk(process.getActiveResourcesInfo().includes('Immediate'), 'no loop that asks again and again')
})

t.test('D5: frames of many writers do not get between each other, from the relay', async (t) => {
  const { port } = await startRelay(t)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  for (let round = 0; round < 5; round++) {
    const users = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      client.control.send({ type: 'ping', time: i })
      return await Wire.dial(client.remotePort)
    }))
    for (const user of users) {
      await client.asked()
      user.reset()
    }
    for (let i = 0; i < 50; i++) await client.next('pong')
  }
  t.same([client.faults, client.inbox], [[], []])
})

t.test('D5: nor from a peer', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  startPeer(t, server, { port: await freePort() }, { pingInterval: 1, probeInterval: 1 })
  const client = await server.next()
  for (let i = 0; i < 300; i++) client.ask(undefined, `id${i}`)
  const heard = new Set<unknown>()
  while (heard.size < 300) heard.add((await client.next())?.id ?? 'offline')
  await client.pinged(client.pings + 3)
  t.equal(server.clients.all.length, 1, 'and every frame was checked')
})

t.test('D6: a user who waits while its port goes over, goes offline, or the relay stops, harms nobody', async (t) => {
  const server = await startRelay(t)
  const remotePort = await freePort()
  const old = await ScriptedClient.registered(t, server.port, { remotePort })
  const user = await Wire.dial(remotePort)
  await old.asked()
  const client = await ScriptedClient.registered(t, server.port, { remotePort })
  user.write('request')
  t.equal(await (await client.serve()).text(7), 'request')
  user.reset()

  for (const stop of [() => { client.offline() }, () => { void server.close() }]) {
    const waits = await dialSoon(remotePort)
    await client.asked()
    stop()
    t.equal((await waits.all()).length, 0)
    waits.end()
    client.online()
  }
  await client.ended
})

t.test('D7: a token holder has no power over the port of another', async (t) => {
  const { port, relay } = await startRelay(t)
  const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const thief = await ScriptedClient.registered(t, port, { remotePort: await freePort(), token: OTHER_TOKEN })
  thief.offline(owner.remotePort)
  thief.online(owner.remotePort)
  const hijack = await ScriptedClient.register(t, port, { remotePort: owner.remotePort, token: OTHER_TOKEN })
  const injected = await Wire.dial(port)
  injected.send(owner.opening({ local_port: 22 }, { ...thief.init, remotePort: owner.remotePort })) // for the next user to receive
  await injected.message()
  await Promise.all([thief.ping(), hijack.ping()])
  await owner.talk(t)
  t.equal((await injected.all()).length, 0)
  injected.end()
  t.match(relay.stats.refused, { not_owner: 3, replaced: 0 })
})

for (const { mode, strict } of MODES) {
  t.test(`D8: a server reaches no port but the one that was meant for it, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const [service, secret] = [await Listening.start(t), await Listening.start(t)]
    startPeer(t, server, service)
    const client = await server.next()
    client.ask(secret.port)
    client.wire.send({ type: 'open_data_channel', local_port: service.port, LOCAL_PORT: secret.port, remote_port: secret.port, protocol: 'tcp', token: '', name: '127.0.0.1' })
    const user = await server.user(client)
    const there = await service.connections.next()
    t.same([secret.connections.all.length, server.datas.all.length], [0, 1])
    user.end()
    there.end()
  })
}

t.test('D9: strangers get neither memory nor time', async (t) => {
  const clock = new ManualClock()
  const { port, relay } = await startRelay(t, { firstFrameTimeout: 5000, clock })
  const greedy = await Wire.dial(port)
  greedy.write(Buffer.from('ffffffff' + '7b'.repeat(1000), 'hex'))
  t.equal((await greedy.all()).length, 0)
  const silent = await Wire.dial(port)
  await clock.whenSet(5000)
  clock.advance(5000)
  t.equal((await silent.all()).length, 0)
  t.match(relay.stats, { halfOpen: 0, refused: { malformed: 1, timeout: 1 } })
})

t.test('D10: a data connection that comes too late, or that nobody has asked for, is not kept for the next user', async (t) => {
  const { port, relay } = await startRelay(t, { dropAfter: 3_600_000 })
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const [served, late] = [await Wire.dial(client.remotePort), await Wire.dial(client.remotePort)]
  const opens = [await client.asked(), await client.asked()]
  later(relay, 1000)
  await client.data(opens[0])
  later(relay, 60_001)
  await late.ended
  const stale = [await client.data(opens[1]), await client.data({ local_port: 22 })]
  for (let i = 0; i < 3; i++) {
    const user = await Wire.dial(client.remotePort)
    user.write(`user ${i}`)
    t.equal(await (await client.serve()).text(6), `user ${i}`, 'its own, and the pairs do not shift')
    user.reset()
  }
  for (const data of stale) t.equal((await data.all()).length, 0)
  for (const user of [served, late]) user.reset()
})

/** A relay, and a peer in front of a service. */
async function chain (t: Test, mode: 'strict' | 'compatible'): Promise<{ remotePort: number, service: Listening }> {
  const { port } = await startRelay(t)
  const service = await Listening.start(t)
  const remotePort = await freePort()
  const { peer } = startPeer(t, { port }, service, { mode, maps: [{ remotePort, local: { host: '127.0.0.1', port: service.port } }] })
  await until(() => peer.isOnline)
  return { remotePort, service }
}

for (const { mode } of MODES) {
  t.test(`D11: request, end, and the answer still comes, through relay and peer, ${mode}`, async (t) => {
    const { remotePort, service } = await chain(t, mode)
    const user = await Wire.dial(remotePort)
    user.write('request')
    user.end()
    const there = await service.connections.next()
    t.equal((await there.all()).toString(), 'request')
    there.write(Buffer.alloc(1_000_000, 'answer'))
    there.end()
    t.equal((await user.all()).length, 1_000_000)
  })
}

t.test('D12: a peer that was away ten times has one probe, and tells of its service once', async (t) => {
  const server = await ScriptedServer.start(t)
  const service = await Listening.start(t)
  let most = 0
  service.server.on('connection', (socket) => {
    socket.once('end', () => { socket.end() })
    service.server.getConnections((_err, count) => { most = Math.max(most, count) })
  })
  const { events } = startPeer(t, server, service, { probeInterval: 20 })
  for (let i = 0; i < 10; i++) (await server.next()).wire.reset()
  const client = await server.next()
  const before = service.connections.all.length
  await until(() => service.connections.all.length >= before + 5)
  t.ok(most <= 1, `${most} probes at a time`)
  await service.stop()
  t.same(await client.next(), { type: 'offline_port', port: 10_022 })
  await client.wire.bytes(0)
  t.same([client.inbox, events.filter((event) => event.startsWith('service'))], [[], ['service down']])
})

t.test('D13: there is no token by default, and TLS keeps it and the bytes of users from who listens', async (t) => {
  t.throws(() => new GotunnelRelay({ identities: [] }), OptionError)
  t.throws(() => new GotunnelRelay({ identities: [{ name: 'home', token: '' }] }), OptionError)
  t.throws(() => new GotunnelPeer({ server: { host: '127.0.0.1', port: 1 }, name: 'x', token: TOKEN, maps: [] }), OptionError)

  const lines: string[] = []
  const log = Object.fromEntries(['debug', 'info', 'warn', 'error'].map((level) => [level, (fields: object, message: string) => { lines.push(JSON.stringify([fields, message])) }])) as any
  const { port } = await startRelay(t, { tls: { cert, key }, log })
  const seen: Buffer[] = []
  const spy = createServer((socket) => {
    const onward = connect(port, '127.0.0.1')
    for (const [from, to] of [[socket, onward], [onward, socket]]) {
      from.on('error', () => {}).on('close', () => { to.destroy() }).on('data', (bytes) => { seen.push(bytes) }).pipe(to)
    }
  }).listen(0, '127.0.0.1')
  t.teardown(() => { spy.close() })
  await once(spy, 'listening')
  const service = await Listening.start(t)
  const remotePort = await freePort()
  const { peer } = startPeer(t, spy.address() as AddressInfo, service, { tls: true, ca, log, maps: [{ remotePort, local: { host: '127.0.0.1', port: service.port } }] })
  await until(() => peer.isOnline)
  const user = await Wire.dial(remotePort)
  user.write('what nobody shall read')
  t.equal(await (await service.connections.next()).text(22), 'what nobody shall read')
  user.reset()
  const wiretap = Buffer.concat(seen)
  t.ok(wiretap.length > 1000)
  for (const secret of [TOKEN, 'what nobody', 'register', 'data_channel']) t.notOk(wiretap.includes(secret), secret)
  t.ok(lines.length > 0)
  t.notMatch(lines.join('\n'), TOKEN)
})

t.test('D13: in strict mode the first frame of a data connection is good once, and holds no token', async (t) => {
  const { port } = await startRelay(t)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true })
  const [user, next] = [await Wire.dial(client.remotePort), await Wire.dial(client.remotePort)]
  const open = await client.asked()
  t.notMatch(JSON.stringify(client.opening(open)), TOKEN)
  await client.data(open)
  for (let i = 0; i < 3; i++) t.equal((await (await client.dialData(open)).all()).length, 0, 'a replay')
  for (const { socket } of [user, next]) socket.destroy()
})

t.test('D14: a relay that may not open more files goes on when it may again', { skip: process.platform === 'win32' }, async (t) => {
  const program = fileURLToPath(new URL('../../helpers/gotunnel/relay-process.ts', import.meta.url))
  const child = spawnGroup('sh', ['-c', 'ulimit -n 250 && exec "$0" "$@"', process.execPath, ...STRIP_TYPES, program, TOKEN], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const [url] = await once(child, 'message') as [string]
  const client = await ScriptedClient.registered(t, Number(new URL(url).port), { remotePort: await freePort() })
  const users = await Promise.all(Array.from({ length: 350 }, () => Wire.dial(client.remotePort)))
  await Promise.any(users.map((user) => user.ended)) // for want of files
  t.ok(await client.ping(), 'whoever is in is served')
  for (const user of users) user.reset()
  const stats = async (): Promise<GotunnelRelayStats> => {
    child.send('stats')
    return (await once(child, 'message') as [GotunnelRelayStats])[0]
  }
  while ((await stats()).users > 0);
  await client.ping()
  for (const { type } of [...client.inbox]) if (type === 'open_data_channel') await client.serve() // in vain, and that is soon known
  await client.talk(t)
})
