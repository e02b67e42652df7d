/** What those who have a token, or answer to one, can do to a relay and to a peer: nothing lasts, and nobody else is hurt. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { freePort } from '../../helpers/free-ports.ts'
import { standstill, until } from '../../helpers/ends.ts'
import { failed, later, OK, ScriptedClient, startRelay, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { Listening, ScriptedServer, startPeer } from '../../helpers/gotunnel/scripted-server.ts'
import { dialSoon, frame, Wire } from '../../helpers/gotunnel/wire.ts'

/** The garbage collector; it is there for tests alone. */
function collector (): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

t.test('the time for an answer ends also when memory is collected in between', async (t) => {
  const collect = collector()
  const silent = await Listening.start(t)
  const { peer } = startPeer(t, silent, { port: 1 }, { dialTimeout: 200 })
  await silent.connections.next()
  for (let i = 0; i < 5; i++) {
    collect()
    await new Promise(setImmediate)
  }
  const [, err] = await once(peer, 'offline') as [unknown, Error]
  t.match(err.message, /no answer in time/)
})

t.test('a client that reads nothing and ends its user keeps no data connection, and the relay can stop', async (t) => {
  const server = await startRelay(t)
  const { relay } = server
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true })
  const user = await Wire.dial(client.remotePort)
  const { id } = await client.asked()
  const data = connect({ port: server.port, host: '127.0.0.1' }).pause().on('error', () => {})
  const ended = new Promise((resolve) => { data.once('close', resolve) })
  data.write(frame({ type: 'data_channel', local_port: 22, remote_port: client.remotePort, protocol: '', token: '', name: '', id }))
  user.write(Buffer.alloc(16 * 1024 * 1024))
  await until(() => relay.stats.bytesIn > 0)
  await standstill(() => relay.stats.bytesIn)
  data.write(Buffer.alloc(4, 0xff))
  user.reset()
  client.offline()
  t.ok(await client.ping())
  t.equal(relay.stats.users, 1, 'its user counts until all is gone')
  await server.close()
  t.equal(relay.stats.users, 0)
  data.resume()
  await ended
})

t.test('an address that has tried too many tokens is not told by a data connection that one is right', async (t) => {
  const from = (host: string): Buffer => Buffer.from(`PROXY TCP4 ${host} 127.0.0.1 1 2\r\n`)
  for (const strict of [false, true]) {
    const { port } = await startRelay(t, { authFailures: 2, trustedProxies: ['127.0.0.1'] })
    const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict, header: from('192.0.2.1') })
    const guess = async (token: string, host: string): Promise<unknown> => {
      const wire = await Wire.dial(port)
      t.teardown(() => { wire.socket.destroy() })
      wire.write(from(host))
      wire.send({ type: 'data_channel', local_port: 22, remote_port: owner.remotePort, protocol: '', token, name: 'x' })
      return await wire.message()
    }
    for (let i = 0; i < 2; i++) t.same(await guess('wrong', '192.0.2.66'), failed('authentication failed'))
    t.same(await guess('wrong', '192.0.2.66'), failed('too many attempts from your address'))
    t.same(await guess(TOKEN, '192.0.2.66'), failed('too many attempts from your address'), 'the same for the right one')
    t.same(await guess(TOKEN, '192.0.2.1'), strict ? failed('strict mode required') : OK, 'where the client is')
  }
})

t.test('a token of yesterday brings data connections only from where its client is', async (t) => {
  const identities = [{ name: 'home', token: TOKEN }]
  const server = await startRelay(t, { identities, trustedProxies: ['127.0.0.1'] })
  const from = (host: string): Buffer => Buffer.from(`PROXY TCP4 ${host} 127.0.0.1 1 2\r\n`)
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), header: from('192.0.2.1') })
  server.relay.configure({ identities: [{ name: 'home', token: 'the token of today, as long as that' }] })
  const answers = []
  for (const host of ['192.0.2.9', '192.0.2.1']) {
    const wire = await Wire.dial(server.port)
    t.teardown(() => { wire.socket.destroy() })
    wire.write(from(host))
    wire.send({ type: 'data_channel', local_port: 22, remote_port: client.remotePort, protocol: '', token: TOKEN, name: 'x' })
    answers.push(await wire.message())
  }
  t.same(answers, [failed('authentication failed'), OK])
})

for (const strict of [false, true]) {
  t.test(`users who leave while they wait make room, ${strict ? 'strict' : 'compatible'}`, async (t) => {
    const { port, relay } = await startRelay(t, { maxWaiting: 2 })
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    for (let i = 0; i < 6; i++) {
      const user = await Wire.dial(client.remotePort)
      await until(() => relay.stats.accepted === i + 1)
      user.reset()
      await until(() => relay.stats.users === 0)
    }
    t.match(relay.stats, { waiting: 0, drops: { left: 6, waiting: 0 } })
    const user = await Wire.dial(client.remotePort)
    user.write('hello')
    await until(() => relay.stats.waiting === 1)
    for (let i = 0; i < 6; i++) await client.asked()
    const asked = await client.asked()
    if (strict) t.equal(await (await client.data({ id: asked.id })).text(5), 'hello')
    user.reset()
  })
}

t.test('a client that says that it cannot serve its users is not unresponsive', async (t) => {
  const { port, relay } = await startRelay(t, { dropAfter: 600_000 })
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true })
  const users = [await Wire.dial(client.remotePort), await Wire.dial(client.remotePort)]
  await client.asked()
  const { id } = await client.asked()
  client.control.send({ type: 'data_channel_failed', id, reason: 'no connection to the service' })
  await until(() => relay.stats.users === 1)
  later(relay, 60_000)
  await Promise.all(users.map((user) => user.ended))
  t.match(relay.stats, { drops: { failed: 1, timeout: 1 }, refused: { unresponsive: 0 } })
  later(relay, 0)
  t.ok(await client.ping())
})

t.test('a strict server that takes a data connection and says nothing holds no service', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  const service = await Listening.start(t)
  const { peer } = startPeer(t, server, service, { dialTimeout: 100, maxConnections: 2 })
  const client = await server.next()
  client.ask()
  t.match(await client.next(), { type: 'data_channel_failed', reason: 'no data connection' })
  await (await service.connections.next()).ended
  await until(() => peer.stats[0].users === 0)
  t.match(peer.stats, [{ drops: { data: 1 } }])
})

t.test('a data connection that is reset before its user has come is told, one that ends is none of interest', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  const service = await Listening.start(t)
  const { peer } = startPeer(t, server, service)
  const client = await server.next()
  client.ask()
  ;(await server.datas.next()).wire.reset()
  t.match(await client.next(), { type: 'data_channel_failed', reason: 'no data connection' })
  t.match(peer.stats, [{ drops: { data: 1 } }])
  client.ask()
  ;(await server.datas.next()).wire.end()
  t.match(await client.next(), { type: 'data_channel_failed', reason: 'the data connection has ended' })
  t.match(peer.stats, [{ drops: { data: 1 } }])
})

t.test('without looks at the service nobody is told that it is down', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  const port = await freePort()
  const { events } = startPeer(t, server, { port }, { probeInterval: 0 })
  const client = await server.next()
  for (let i = 0; i < 4; i++) {
    client.ask(undefined, `id${i}`)
    t.match(await client.next(), { type: 'data_channel_failed' })
  }
  const service = await Listening.start(t, port)
  const user = await server.user(client)
  user.write('hello')
  t.equal(await (await service.connections.next()).text(5), 'hello')
  t.same(events, ['online strict'])
  user.reset()
})

t.test('the service is looked at as soon as there is a connection', async (t) => {
  const server = await ScriptedServer.start(t)
  const service = await Listening.start(t)
  startPeer(t, server, service, { probeInterval: 3_600_000 })
  await service.connections.next()
  t.pass('long before the first interval is over')
})

for (const strict of [false, true]) {
  const mode = strict ? 'strict' : 'compatible'
  t.test(`what is cut off arrives cut off, at the user, ${mode}`, async (t) => {
    const { port } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const user = connect({ port: client.remotePort, host: '127.0.0.1' })
    const failure = once(user, 'error')
    user.write('question')
    const data = await client.serve()
    t.equal(await data.text(8), 'question')
    data.write('half of the ')
    await once(user, 'data')
    data.reset()
    const [err] = await failure as [NodeJS.ErrnoException]
    t.equal(err.code, 'ECONNRESET')
  })

  t.test(`what is cut off arrives cut off, at the service, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const service = await Listening.start(t)
    startPeer(t, server, service)
    const user = await server.user(await server.next())
    user.write('half of the ')
    const there = await service.connections.next()
    const failure = once(there.socket, 'error')
    await there.text(5)
    user.reset()
    const [err] = await failure as [NodeJS.ErrnoException]
    t.equal(err.code, 'ECONNRESET')
  })
}

t.test('offline from a client that waits for its port holds when it gets it', async (t) => {
  const { port, relay } = await startRelay(t)
  const blocker = await Listening.start(t)
  const client = await ScriptedClient.register(t, port, { remotePort: blocker.port })
  t.same(await client.answer(), OK)
  client.offline()
  t.ok(await client.ping())
  await blocker.stop()
  for (let i = 0; i < 5; i++) later(relay, 0)
  await until(() => relay.stats.ports === 1)
  await t.rejects(Wire.dial(blocker.port), { code: 'ECONNREFUSED' })
  client.online()
  await (await dialSoon(blocker.port)).socket.destroy()
})
