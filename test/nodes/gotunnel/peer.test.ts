/** How a peer gets to its server and stays there, by the numbers of the table of conformance cases (gotunnel protocol, section 11), against a scripted server. */
import { once } from 'node:events'
import t from 'tap'
import { silent } from '../../../src/log.ts'
import { CONNECT_FAILED, AUTHENTICATION_FAILED, ConnectError, GotunnelPeer, mapPorts, RefusedError } from '../../../src/nodes/gotunnel/index.ts'
import { failureOf, until } from '../../helpers/ends.ts'
import { freePort, freePorts } from '../../helpers/free-ports.ts'
import { failed, MODES, OK, ScriptedClient, startRelay, STRICT_OK, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { Listening, ScriptedServer, startPeer } from '../../helpers/gotunnel/scripted-server.ts'
import { Wire } from '../../helpers/gotunnel/wire.ts'

/** Nothing is ever connected to it. */
const NO_SERVICE = { port: 9 }

t.test('in compatible mode a peer registers with the very bytes of the original', async (t) => {
  const listening = await Listening.start(t)
  const { peer } = startPeer(t, listening, { port: 22 }, { mode: 'compatible', token: 'your-token', name: 'client-name' })
  const wire = await listening.connections.next()
  const body = '{"type":"register","local_port":22,"remote_port":10022,"protocol":"tcp","token":"your-token","name":"client-name"}'
  t.equal((await wire.frame())?.toString('latin1'), `\0\0\0\x72${body}`)
  wire.send(OK)
  await once(peer, 'online')
})

t.test('what a peer says of modes, and which one comes of it', async (t) => {
  for (const [mode, strict, proxyProtocol, keys, becomes] of [
    ['auto', false, false, { tunpipe: 1, acknowledge: 1 }, 'compatible'], ['auto', true, false, { tunpipe: 1, acknowledge: 1 }, 'strict'], ['auto', true, true, { tunpipe: 1, acknowledge: 1, addresses: 1 }, 'strict'],
    ['strict', true, false, { tunpipe: 1, acknowledge: 1 }, 'strict'], ['compatible', true, true, {}, 'compatible']
  ] as const) {
    const server = await ScriptedServer.start(t, { strict })
    const { peer, map } = startPeer(t, server, NO_SERVICE, { mode, proxyProtocol })
    const { first } = await server.next()
    t.same(first, { type: 'register', local_port: 9, remote_port: 10_022, protocol: 'tcp', token: TOKEN, name: 'laptop', ...keys })
    await until(() => peer.isOnline)
    t.match(peer.status(), { server: `127.0.0.1:${server.port}`, name: 'laptop', maps: [{ remotePort: map.remotePort, local: '127.0.0.1:9', state: 'online', mode: becomes, service: 'up', connected: 0 }] })
    await peer.close()
    t.equal(peer.status().maps[0].state, 'stopped')
  }
})

for (const { mode, strict } of MODES) {
  t.test(`T23: a peer comes back after each loss, by itself, and registers again, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const { peer, events } = startPeer(t, server, NO_SERVICE)
    for (const lose of ['end', 'reset', 'garbage'] as const) {
      const client = await server.next()
      if (lose === 'garbage') client.wire.write(Buffer.from('ffffffff', 'hex'))
      else client.wire[lose]()
    }
    await server.next()
    await until(() => peer.isOnline)
    const online = `online ${mode}`
    t.match(events, [online, /^offline: the server has ended/, online, /^offline: /, online, /^offline: /, online])
    t.match(peer.status().maps[0], { failures: 3, reason: undefined })
  })

  t.test(`T26: three pings without an answer, and the peer comes anew, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const { events } = startPeer(t, server, NO_SERVICE, { pingInterval: 10 })
    const client = await server.next()
    await client.pinged(6)
    t.equal(server.clients.all.length, 1, 'answered pings end nothing')
    client.isMute = true
    const before = client.pings
    await client.wire.ended
    t.equal(client.pings - before, 3)
    const next = await server.next()
    await next.pinged(1)
    t.match(events, [`online ${mode}`, 'offline: no answer to 3 pings', `online ${mode}`])
  })
}

t.test('T23: the waits between attempts grow, are never the same for long, and have a limit', async (t) => {
  const { peer } = startPeer(t, { port: await freePort() }, NO_SERVICE, { backoff: { first: 2, longest: 16 } })
  const waits: number[] = []
  const errors: Error[] = []
  while (waits.length < 12) {
    const [, err, wait] = await once(peer, 'offline') as [unknown, Error, number]
    errors.push(err)
    waits.push(wait)
  }
  t.ok(errors.every((err) => err instanceof ConnectError && err.number === CONNECT_FAILED && err.code === 'ERR_GOTUNNEL_CONNECT'))
  for (const [i, wait] of waits.entries()) {
    const full = Math.min(16, 2 * 2 ** i)
    t.ok(wait >= full / 2 && wait <= full, `${wait} of ${full} ms`)
  }
  t.ok(new Set(waits).size > 6)
})

t.test('T23: a server that does not answer is no server', async (t) => {
  const server = await ScriptedServer.start(t, { answer: () => undefined })
  const silent = await Listening.start(t)
  for (const at of [server, silent]) {
    const { peer } = startPeer(t, at, NO_SERVICE, { dialTimeout: 30 })
    for (let i = 0; i < 3; i++) {
      const [, err] = await once(peer, 'offline') as [unknown, Error]
      t.match(err.message, at === server ? /without an answer/ : /no answer in time/)
    }
    await peer.close()
  }
})

t.test('T23: an answer that says no for now is tried again', async (t) => {
  for (const answer of [failed('port in use'), failed('too many ports'), failed('something new'), failed(''), { type: 'register_resp' }, { any: 'thing' }]) {
    let attempts = 0
    const server = await ScriptedServer.start(t, { answer: () => attempts++ < 2 ? answer : OK })
    const { events } = startPeer(t, server, NO_SERVICE)
    await server.next()
    await until(() => events.length === 3)
    const reason = answer.reason === '' || answer.reason === undefined ? 'the server gives no reason' : String(answer.reason)
    t.same(events, [`offline: ${reason}`, `offline: ${reason}`, 'online compatible'])
  }
})

t.test('one that has been online does not end when the server will not have its only port any more: it tries again', async (t) => {
  const answers = [STRICT_OK, failed('port not allowed'), failed('port not allowed'), STRICT_OK]
  const server = await ScriptedServer.start(t, { strict: true, answer: () => answers.shift() ?? STRICT_OK })
  const { peer, events } = startPeer(t, server, NO_SERVICE, { refusedBackoff: { first: 1, longest: 5 } })
  const first = await server.next()
  await until(() => peer.isOnline)
  first.wire.reset()
  await until(() => events.filter((event) => event === 'online strict').length === 2)
  t.ok(events.includes('refused 10022: port not allowed'))
  t.notOk(events.some((event) => event.startsWith('failed')))
})

t.test('a refusal for good at the start ends the peer: nothing follows', async (t) => {
  for (const [code, reason] of [['token', 'authentication failed'], ['port', 'port not allowed'], ['name', 'name taken'], ['mode', 'strict mode required'], ['replaced', 'replaced by another client with this token']]) {
    let attempts = 0
    const server = await ScriptedServer.start(t, { answer: () => { attempts++; return failed(reason) } })
    const { peer, events } = startPeer(t, server, NO_SERVICE)
    const [err] = await once(peer, 'failed') as [RefusedError]
    t.ok(err instanceof RefusedError)
    t.match(err, { message: reason, code: 'ERR_GOTUNNEL_REFUSED', reason: code, number: code === 'token' ? AUTHENTICATION_FAILED : undefined, isPermanent: true })
    t.same(events, [`refused 10022: ${reason}`, `failed: ${reason}`])
    t.match(peer.status().maps, [{ state: 'degraded', reason }])
    await peer.close()
    t.equal(attempts, 1)
  }
})

t.test('a lost connection is logged only when no listener takes the event', async (t) => {
  for (const listens of [false, true]) {
    const lines: string[] = []
    const log = { ...silent, warn: (_fields: object, message: string) => { lines.push(message) } }
    const peer = new GotunnelPeer({ server: { host: '127.0.0.1', port: await freePort() }, token: 'x', name: 'a', maps: [{ remotePort: 10_022, local: { host: '127.0.0.1', port: 9 } }], probeInterval: 0, backoff: { first: 1, longest: 2 }, log })
    t.teardown(() => peer.close())
    let heard = 0
    if (listens) peer.on('offline', () => { heard++ })
    peer.start()
    await until(() => peer.stats[0].failures >= 2)
    const { failures } = peer.stats[0]
    t.equal(heard, listens ? failures : 0)
    t.same(lines, listens ? [] : Array(failures).fill('offline'))
  }
})

t.test('what a server says reaches status and log without controls of terminals, and short', async (t) => {
  const hostile = '\x1b[2J\x9b31m\u202e' + 'x'.repeat(60_000)
  const server = await ScriptedServer.start(t, { answer: () => failed(hostile) })
  const { peer, events } = startPeer(t, server, NO_SERVICE)
  await until(() => events.length > 0)
  const shown = /\\x1b\[2J\\x9b31m\\u202ex{50,123}\.\.\.$/
  t.match(events[0], shown)
  t.match(peer.status().maps[0].reason, shown)
})

t.test('a port that the server would not have is tried again seldom, told once, and online when it will', async (t) => {
  let attempts = 0
  const server = await ScriptedServer.start(t, { strict: true, answer: ({ remote_port: port }) => port === 2 && ++attempts < 4 ? failed('port not allowed') : STRICT_OK })
  const maps = [1, 2].map((remotePort) => ({ remotePort, local: { host: '127.0.0.1', port: 9 } }))
  const { peer, events } = startPeer(t, server, NO_SERVICE, { maps, refusedBackoff: { first: 1, longest: 5 } })
  await until(() => peer.isOnline)
  t.same(events.sort(), ['online strict', 'online strict', 'refused 2: port not allowed'])
  t.equal(peer.isDegraded, false)
})

t.test('a port that was taken over by another client comes back with the next relay, at once', async (t) => {
  const remotePorts = await freePorts(2)
  const first = await startRelay(t)
  const maps = remotePorts.map((remotePort) => ({ remotePort, local: { host: '127.0.0.1', port: 9 } }))
  const { peer, events } = startPeer(t, first, NO_SERVICE, { maps, refusedBackoff: { first: 2 ** 30, longest: 2 ** 30 } })
  await until(() => peer.isOnline)
  const other = await ScriptedClient.registered(t, first.port, { remotePort: remotePorts[1], strict: true })
  await until(() => events.includes(`refused ${remotePorts[1]}: replaced by another client with this token`))
  t.same(peer.status().maps.map(({ state }) => state), ['online', 'degraded'])
  t.ok(peer.isDegraded)
  other.leave()
  await first.close()
  await startRelay(t, { listen: `127.0.0.1:${first.port}` })
  await until(() => peer.isOnline)
  t.notOk(peer.isDegraded)
})

t.test('a peer that wants strict mode takes nothing less', async (t) => {
  const server = await ScriptedServer.start(t)
  const { peer, events } = startPeer(t, server, NO_SERVICE, { mode: 'strict' })
  await once(peer, 'failed')
  t.same(events, ['refused 10022: the server does not offer strict mode', 'failed: the server does not offer strict mode'])
  await (await server.next()).wire.ended
})

t.test('one map that is refused leaves the others', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true, answer: ({ remote_port: port }) => port === 2 ? failed('port not allowed') : STRICT_OK })
  const maps = [1, 2, 3].map((remotePort) => ({ remotePort, local: { host: '127.0.0.1', port: 9 } }))
  const { peer, events } = startPeer(t, server, NO_SERVICE, { maps })
  await until(() => events.length === 3)
  t.same(events.sort(), ['online strict', 'online strict', 'refused 2: port not allowed'])
  await until(() => peer.isDegraded) // not while it is tried again
  t.same(peer.status().maps.map(({ state }) => state), ['online', 'degraded', 'online'])
  const ports = [(await server.next()), (await server.next())].map((client) => {
    client.wire.end()
    return client.first.remote_port
  })
  const again = [(await server.next()), (await server.next())].map(({ first }) => first.remote_port)
  t.same([ports.sort(), again.sort()], [[1, 3], [1, 3]], 'those come back, the other is refused again')
})

t.test('a server of strict mode says why it ends a connection, and whether for good', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  const { peer, events } = startPeer(t, server, NO_SERVICE)
  for (const reason of ['the relay is stopping', 'no ping', 'replaced by another client with this token']) (await server.next()).wire.send({ type: 'unregistered', reason })
  await once(peer, 'refused')
  t.same(events.filter((event) => event !== 'online strict'), ['offline: the relay is stopping', 'offline: no ping', 'refused 10022: replaced by another client with this token'])
  t.match(peer.status().maps, [{ state: 'degraded' }], 'it tries again, minutes later')
})

t.test('messages that a peer does not know, or that are wrong, end nothing', async (t) => {
  const server = await ScriptedServer.start(t)
  startPeer(t, server, NO_SERVICE, { pingInterval: 10 })
  const client = await server.next()
  client.wire.send({ type: 'unknown', data: 'test' }, OK, { type: 'pong', time: 'x' }, { type: 'open_data_channel', local_port: '9' }, { type: 'ping', time: 1 }, { type: 'offline_port', port: 1 })
  client.wire.write(Buffer.from('00000000' + '00000007' + '696e76616c6964', 'hex'))
  await client.pinged(client.pings + 5)
  t.same([server.clients.all.length, server.datas.all.length, client.inbox], [1, 0, []])
})

t.test('mapPorts settles when all ports are there, or when one is refused for good, or given up', async (t) => {
  const init = { token: TOKEN, name: 'laptop', probeInterval: 0, backoff: { first: 1, longest: 20 }, maps: [1, 2].map((remotePort) => ({ remotePort, local: { host: '127.0.0.1', port: 9 } })) }
  let attempts = 0
  const slow = await ScriptedServer.start(t, { answer: () => attempts++ < 4 ? failed('port in use') : OK })
  const peer = await mapPorts({ ...init, server: { host: '127.0.0.1', port: slow.port } })
  t.ok(peer.isOnline)
  await peer.close()

  const refusing = await ScriptedServer.start(t, { answer: ({ remote_port: port }) => port === 2 ? failed('port not allowed') : OK })
  t.match(await failureOf(mapPorts({ ...init, server: { host: '127.0.0.1', port: refusing.port } })), { code: 'ERR_GOTUNNEL_REFUSED', message: 'port not allowed' })
  await Promise.all(refusing.clients.all.map(({ wire }) => wire.ended))

  const nowhere = { host: '127.0.0.1', port: await freePort() }
  const stop = new AbortController()
  const given = mapPorts({ ...init, server: nowhere, signal: stop.signal })
  stop.abort(new Error('given up'))
  t.equal((await failureOf(given)).message, 'given up')
  t.equal((await failureOf(mapPorts({ ...init, server: nowhere, signal: stop.signal }))).message, 'given up')
})

t.test('a peer that is closed while it connects leaves nothing behind', async (t) => {
  const silent = await Listening.start(t)
  const { peer, events } = startPeer(t, silent, NO_SERVICE)
  const wire: Wire = await silent.connections.next()
  await wire.frame()
  await peer.close()
  await wire.ended
  t.same(events, [])
  peer.start()
  t.equal(silent.connections.all.length, 1, 'and does not start again')
})
