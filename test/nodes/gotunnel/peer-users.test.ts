/** How a peer serves users, against a scripted server and a service: conformance cases (gotunnel protocol, section 11) have their number. */
import t from 'tap'
import { until } from '../../helpers/ends.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { proxyV2Local, V2_SIGNATURE } from '../../helpers/proxy-headers.ts'
import { failed, MODES } from '../../helpers/gotunnel/scripted-client.ts'
import { Listening, ScriptedServer, startPeer } from '../../helpers/gotunnel/scripted-server.ts'
import { StrictData } from '../../helpers/gotunnel/strict-data.ts'
import { encode, frameParts } from '../../helpers/gotunnel/wire.ts'

for (const { mode, strict } of MODES) {
  t.test(`T25: a local port that is not the configured one is refused, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const [service, decoy] = [await Listening.start(t), await Listening.start(t)]
    const { peer } = startPeer(t, server, service)
    const client = await server.next()
    for (const port of [decoy.port, 0, -1, 70_000]) client.ask(port, `id-of-${port}`)
    for (const port of [decoy.port, 0, -1, 70_000]) {
      if (strict) t.same(await client.next(), { type: 'data_channel_failed', id: `id-of-${port}`, reason: 'not my port' })
      else await server.take(client, await server.datas.next()).ended // so that none of the next user is taken for it
    }
    const user = await server.user(client)
    user.write('hello')
    t.equal(await (await service.connections.next()).text(5), 'hello')
    t.same([decoy.connections.all.length, server.datas.all.length], [0, strict ? 1 : 5])
    t.match(peer.stats, [{ accepted: 1, users: 1, drops: { not_owner: 4, local: 0, data: 0, limit: 0 } }])
    user.reset()
  })

  t.test(`a request with its end gets its whole answer, either way, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const service = await Listening.start(t)
    const { peer } = startPeer(t, server, service)
    const client = await server.next()
    const answer = Buffer.alloc(300_000, 'answer')
    for (const [asks, answers] of [[0, 1], [1, 0]]) {
      const user = await server.user(client)
      const ends = [user, await service.connections.next()]
      ends[asks].write('request')
      ends[asks].end()
      t.equal((await ends[answers].all()).toString(), 'request')
      ends[answers].write(answer)
      ends[answers].end()
      t.ok((await ends[asks].all()).equals(answer))
    }
    await until(() => peer.stats[0].users === 0)
    t.match(peer.stats, [{ accepted: 2, bytesIn: 7 + answer.length, bytesOut: 7 + answer.length, drops: { local: 0, data: 0 } }])
  })

  t.test(`a service that resets ends its user, and the other way round, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const service = await Listening.start(t)
    const { peer } = startPeer(t, server, service)
    const client = await server.next()
    for (const who of ['service', 'user']) {
      const user = await server.user(client)
      const there = await service.connections.next()
      user.write('x')
      await there.text(1)
      const [gone, left] = who === 'service' ? [there, user] : [user, there]
      gone.reset()
      await left.ended
      if (left instanceof StrictData) t.notOk(left.isClean, 'not taken for its proper end')
      left.end()
    }
    await until(() => peer.stats[0].users === 0)
    t.equal(server.clients.all.length, 1)
  })

  t.test(`a service that is not there: the server learns it at once, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const { peer } = startPeer(t, server, { port: await freePort() })
    const client = await server.next()
    client.ask(undefined, 'abc')
    if (strict) {
      t.same(await client.next(), { type: 'data_channel_failed', id: 'abc', reason: 'no connection to the service' })
    } else {
      const data = server.take(client, await server.datas.next()) // it comes all the same, else another user would miss it
      t.equal((await data.all()).length, 0)
    }
    t.match(peer.stats, [{ users: 0, drops: { local: 1, data: 0 } }])
    t.ok(peer.isOnline)
  })

  t.test(`data connections that cannot be made, while the control connection is well, bring the peer back anew, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const service = await Listening.start(t)
    const { events } = startPeer(t, server, service)
    const client = await server.next()
    server.listening.close()
    client.ask()
    if (strict) t.same(await client.next(), { type: 'data_channel_failed', id: 'AAAAAAAAAAAAAAAAAAAAAA', reason: 'no data connection' })
    else await (await service.connections.next()).ended
    t.same(events, [`online ${mode}`], 'the first may be chance')
    client.ask()
    await client.wire.ended
    await until(() => events.length > 1)
    t.match(events[1], /^offline: data connections cannot be made: connect ECONNREFUSED/)
    await ScriptedServer.start(t, { strict, port: server.port })
    await until(() => events.at(-1) === `online ${mode}`)
  })

  t.test(`no more users than may be at one time, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const service = await Listening.start(t)
    const { peer } = startPeer(t, server, service, { maxConnections: 2 })
    const client = await server.next()
    const users = [await server.user(client), await server.user(client)]
    client.ask(undefined, 'third')
    if (strict) t.same(await client.next(), { type: 'data_channel_failed', id: 'third', reason: 'too many connections' })
    else await server.take(client, await server.datas.next()).ended // or the next user's would be taken for it
    await until(() => peer.stats[0].drops.limit === 1)
    users[0].end()
    ;(await service.connections.next()).end()
    await users[0].ended
    await until(() => peer.stats[0].users === 1)
    const next = await server.user(client)
    next.write('x')
    await service.connections.next()
    t.equal(await (await service.connections.next()).text(1), 'x')
    for (const user of [users[1], next]) user.reset()
  })

  t.test(`users outlive the control connection, and a peer that closes waits for them, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    const service = await Listening.start(t)
    const { peer } = startPeer(t, server, service)
    const client = await server.next()
    const user = await server.user(client)
    const there = await service.connections.next()
    client.wire.reset()
    const again = await server.next()
    user.write('still')
    t.equal(await there.text(5), 'still')
    let isClosed = false
    const closing = peer.close().then(() => { isClosed = true })
    await again.wire.ended
    there.write('answer')
    t.equal(await user.text(6), 'answer')
    t.notOk(isClosed)
    user.end()
    there.end()
    await closing
  })
}

t.test('in compatible mode bytes of a user in one segment with ok reach the service', async (t) => {
  const server = await ScriptedServer.start(t)
  const service = await Listening.start(t)
  startPeer(t, server, service)
  const client = await server.next()
  const ok = Buffer.from('000000267b2274797065223a2272656769737465725f72657370222c22737461747573223a226f6b227d', 'hex')
  for (const cut of [0, 2, 41]) {
    client.ask()
    const { wire } = await server.datas.next()
    wire.write(ok.subarray(0, cut))
    client.wire.send({ type: 'pong', time: 0 })
    wire.write(Buffer.concat([ok.subarray(cut), Buffer.from('early')]))
    t.equal(await (await service.connections.next()).text(5), 'early')
    wire.reset()
  }
})

t.test('a data connection that is refused, or not answered, ends only its own user', async (t) => {
  const server = await ScriptedServer.start(t)
  const service = await Listening.start(t)
  const { peer, events } = startPeer(t, server, service, { dialTimeout: 2000 })
  const client = await server.next()
  for (let i = 0; i < 3; i++) {
    client.ask()
    const { wire } = await server.datas.next()
    wire.send(failed('not your port'))
    wire.end()
    await (await service.connections.next()).ended
  }
  t.match(peer.stats, [{ drops: { data: 3 } }])
  const user = await server.user(client)
  user.write('x')
  t.equal(await (await service.connections.next()).text(1), 'x')
  t.same(events, ['online compatible'])
  user.reset()
})

t.test('in compatible mode data connections that are accepted and never answered bring the peer back anew as well', async (t) => {
  const server = await ScriptedServer.start(t)
  const { events } = startPeer(t, server, await Listening.start(t), { dialTimeout: 30 })
  const client = await server.next()
  client.ask()
  client.ask()
  await client.wire.ended
  await server.next()
  t.match(events, ['online compatible', /^offline: data connections cannot be made: no connection within 30 ms/])
})

t.test('in strict mode one data connection brings one user after the other', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  const service = await Listening.start(t)
  const { peer } = startPeer(t, server, service)
  const client = await server.next()
  client.ask()
  const { wire } = await server.datas.next()
  for (const how of ['end', 'reset', 'service resets', 'end'] as const) {
    const user = new StrictData(wire, { opening: {}, mayFollow: true })
    const there = await service.connections.next()
    user.write('of ', how)
    t.equal(await there.text(3 + how.length), `of ${how}`)
    there.write('answer')
    t.equal(await user.text(6), 'answer')
    if (how === 'service resets') {
      there.reset()
      await user.ended
      t.notOk(user.isClean)
      user.reset()
    } else {
      user[how]()
      await there.ended
      there.end()
      await user.ended
    }
  }
  await until(() => peer.stats[0].users === 0)
  t.match(peer.stats, [{ accepted: 4, drops: { local: 0, data: 0 } }])
  t.same([server.datas.all.length, service.connections.all.length], [1, 4])
  service.close()
  const user = new StrictData(wire, { opening: {} })
  t.equal((await user.all()).length, 0)
  t.notOk(user.isClean, 'without a service it is reset')
  wire.end()
})

t.test('the service is told who its user is, where the server says so', async (t) => {
  for (const [strict, opening, header] of [
    [true, { source: '192.0.2.1:51000', destination: '198.51.100.7:10022' }, Buffer.concat([V2_SIGNATURE, Buffer.from('2111000c' + 'c0000201' + 'c6336407' + 'c738' + '2726', 'hex')])],
    [true, { source: '[2001:db8::1]:51000', destination: '[2001:db8::7]:10022' }, Buffer.concat([V2_SIGNATURE, Buffer.from('21210024' + '20010db8000000000000000000000001' + '20010db8000000000000000000000007' + 'c738' + '2726', 'hex')])],
    [true, {}, proxyV2Local()], [true, { source: 'nonsense', destination: '198.51.100.7:10022' }, proxyV2Local()], [false, {}, proxyV2Local()]
  ] as const) {
    const server = await ScriptedServer.start(t, { strict })
    const service = await Listening.start(t)
    startPeer(t, server, service, { proxyProtocol: true })
    const user = await server.user(await server.next(), opening)
    const there = await service.connections.next()
    t.same(await there.bytes(header.length), header, 'also while the user says nothing')
    user.write('request')
    t.equal(await there.text(7), 'request')
    user.reset()
  }
})

t.test('a peer that closes does not wait for ever', async (t) => {
  const server = await ScriptedServer.start(t)
  const service = await Listening.start(t)
  const { peer } = startPeer(t, server, service)
  const user = await server.user(await server.next())
  const there = await service.connections.next()
  await peer.close()
  await Promise.all([user.ended, there.ended])
  t.equal(peer.stats[0].users, 0)
})

t.test('whatever a server puts in front of a user, nothing of it stays', async (t) => {
  const zone = encode({ source: '[fe80::1%br-lan]:5', destination: '192.0.2.1:5' })
  for (const bytes of [Buffer.alloc(4), Buffer.from('ffffffff', 'hex'), Buffer.from('00001388', 'hex'), Buffer.concat([...frameParts(encode({})), Buffer.alloc(8)]), Buffer.concat([...frameParts(zone), Buffer.alloc(4)])]) {
    const server = await ScriptedServer.start(t, { strict: true })
    const service = await Listening.start(t)
    const { peer } = startPeer(t, server, service, { proxyProtocol: true })
    const client = await server.next()
    client.ask()
    const { wire } = await server.datas.next()
    const there = await service.connections.next()
    wire.write(bytes)
    wire.end()
    there.end()
    await Promise.all([wire.ended, there.ended])
    await until(() => peer.stats[0].users === 0)
    t.equal(peer.status().maps[0].state, 'online', bytes.toString('hex'))
  }
})
