/** What a relay bounds, by identity, port and source, against a scripted client. */
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { freePort, freePorts } from '../../helpers/free-ports.ts'
import { proxyV1 } from '../../helpers/proxy-headers.ts'
import { until } from '../../helpers/ends.ts'
import { failed, MODES, OK, OTHER_TOKEN, ScriptedClient, startRelay, STRICT_OK, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { dialSoon, Wire, type End, type Json } from '../../helpers/gotunnel/wire.ts'

/** An address of this machine that is not the loopback, which has no bound. */
const outside = Object.values(networkInterfaces()).flat().find((address) => address !== undefined && address.family === 'IPv4' && !address.internal)?.address

const from = (host: string): Buffer => proxyV1({ host, port: 5000 }, { host: '192.0.2.200', port: 17_000 })

for (const { mode, strict } of MODES) {
  t.test(`ports of an identity, ${mode}`, async (t) => {
    const [first, second, third] = (await freePorts(3)).sort((a, b) => a - b)
    const { port, relay } = await startRelay(t, { identities: [{ name: 'home', token: TOKEN, ports: `${first}-${second},${third}` }, { name: 'office', token: OTHER_TOKEN, ports: String(third) }] })
    const ok = strict ? STRICT_OK : OK
    for (const [remotePort, token, answer] of [
      [first - 1, TOKEN, failed('port not allowed')], [first, TOKEN, ok], [second, TOKEN, ok], [third + 1, TOKEN, failed('port not allowed')],
      [second, OTHER_TOKEN, failed('port not allowed')], [third, OTHER_TOKEN, ok]
    ] as const) {
      const client = await ScriptedClient.register(t, port, { remotePort, token, name: token, strict })
      t.same(await client.answer(), answer, `${remotePort}`)
      if (answer === ok) await client.talk(t)
    }
    t.match(relay.stats, { ports: 3, refused: { port: 3 } })
  })

  t.test(`ports at one time: a limit is told, and what was freed can be had, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t, { identities: [{ name: 'home', token: TOKEN, maxPorts: 1 }] })
    const one = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const two = await ScriptedClient.register(t, port, { remotePort: await freePort(), strict })
    t.same(await two.answer(), failed('too many ports'))
    const again = await ScriptedClient.registered(t, port, { remotePort: one.remotePort, strict })
    t.equal(relay.stats.ports, 1, 'the same one is no other')
    again.leave()
    await until(() => relay.stats.ports === 0)
    await (await ScriptedClient.registered(t, port, { remotePort: two.remotePort, strict })).talk(t)
  })

  t.test(`users of an identity at one time, over all its ports, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t, { identities: [{ name: 'home', token: TOKEN, maxUsers: 3 }, { name: 'office', token: OTHER_TOKEN }] })
    const clients = [await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict }), await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })]
    const users: Wire[] = []
    for (const client of [clients[0], clients[1], clients[0]]) {
      users.push(await Wire.dial(client.remotePort))
      await client.serve()
    }
    for (const client of clients) {
      const tooMany = await Wire.dial(client.remotePort)
      t.equal((await tooMany.all()).length, 0)
    }
    t.match(relay.stats, { users: 3, drops: { limit: 2 } })
    t.same([...relay.identities].map(({ name, traffic: { users, drops } }) => [name, users, drops.limit]), [['home', 3, 2], ['office', 0, 0]])
    await (await ScriptedClient.registered(t, port, { remotePort: await freePort(), token: OTHER_TOKEN, name: 'office', strict })).talk(t)
    users[0].reset()
    clients[0].leave()
    await until(() => relay.stats.users <= 2)
    await clients[1].talk(t)
    users[1].reset()
    users[2].reset()
  })

  t.test(`users of a port that wait, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t, { maxWaiting: 2 })
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const waiting = [await Wire.dial(client.remotePort), await Wire.dial(client.remotePort)]
    const opens = [await client.asked(), await client.asked()]
    t.equal((await (await Wire.dial(client.remotePort)).all()).length, 0)
    t.match(relay.stats, { waiting: 2, drops: { waiting: 1 } })
    const datas = [await client.data(opens[0])]
    const next = await Wire.dial(client.remotePort)
    datas.push(await client.data(opens[1]), await client.serve())
    for (const user of [...waiting, next]) user.write('x')
    for (const data of datas) t.equal(await data.text(1), 'x')
    for (const user of [...waiting, next]) user.reset()
  })

  t.test(`the rate of an identity bounds what passes, each direction for itself, ${mode}`, async (t) => {
    const byteRate = 400_000
    const { port, relay } = await startRelay(t, { identities: [{ name: 'home', token: TOKEN, byteRate }] })
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const size = 150_000
    const ends: Array<[Wire, End]> = []
    for (let i = 0; i < 2; i++) ends.push([await Wire.dial(client.remotePort), await client.serve()])
    const began = performance.now()
    for (const [user, data] of ends) {
      user.write(Buffer.alloc(size))
      data.write(Buffer.alloc(size))
    }
    let most = 0
    await Promise.all(ends.flatMap(([user, data]) => [user.bytes(size), data.bytes(size)]).map(async (arrived) => {
      await arrived
      const seconds = (performance.now() - began) / 1000
      const { bytesIn, bytesOut } = relay.stats
      // What was counted has passed, or waits: at most one read of each user.
      for (const passed of [bytesIn, bytesOut]) most = Math.max(most, passed - byteRate * (seconds + 0.25) - 2 * 65_536)
    }))
    t.ok(most <= 0, `${most} bytes too many`)
    t.match(relay.stats, { bytesIn: 2 * size, bytesOut: 2 * size })
    t.match([...relay.identities][0].traffic, { bytesIn: 2 * size, bytesOut: 2 * size })
    for (const [user] of ends) user.reset()
  })
}

t.test('users at one time from one source', { skip: outside === undefined && 'no address but the loopback' }, async (t) => {
  const { port, relay } = await startRelay(t, { bind: '0.0.0.0', usersPerSource: 3 })
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const at = { host: outside, localAddress: outside }
  const users: Wire[] = []
  for (let i = 0; i < 3; i++) {
    users.push(await Wire.dial(client.remotePort, at))
    await client.serve()
  }
  await (await Wire.dial(client.remotePort, at)).ended
  t.match(relay.stats, { users: 3, accepted: 3 })
  await client.talk(t) // from another source, which is exempt besides
  t.same(relay.stats.turnedAway, { source: 1, total: 0 })
  t.same([...relay.identities].map((identity) => relay.rejectedOf(identity)), [{ source: 1, total: 0 }, { source: 0, total: 0 }])
  users[0].reset()
  await until(() => relay.stats.users === 2)
  const next = await dialSoon(client.remotePort, at)
  next.write('x')
  t.equal(await (await client.serve()).text(1), 'x')
  for (const user of [next, ...users]) user.reset()
})

t.test('users at one time of all ports', async (t) => {
  const { port, relay } = await startRelay(t, { maxUsersTotal: 2 })
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const users = [await Wire.dial(client.remotePort), await Wire.dial(client.remotePort)]
  for (const user of users) {
    user.write('x')
    await (await client.serve()).text(1)
  }
  await (await Wire.dial(client.remotePort)).ended
  t.match(relay.stats, { users: 2, accepted: 2 })
  for (const user of users) user.reset()
})

t.test('when too many wait over all ports, the one that has waited longest makes room', async (t) => {
  const { port, relay } = await startRelay(t, { maxUsersTotal: 2 })
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const users = [await Wire.dial(client.remotePort)]
  await client.asked()
  for (let i = 0; i < 3; i++) users.push(await Wire.dial(client.remotePort))
  await Promise.all([users[0].ended, users[1].ended])
  for (let i = 0; i < 3; i++) await client.asked()
  t.match(relay.stats, { users: 2, waiting: 2, drops: { waiting: 2 } })
  users[2].write('2')
  users[3].write('3')
  const heard = await Promise.allSettled(['', '', '', ''].map(async () => await (await client.data({ local_port: 22 })).text(1)))
  t.same(heard.map((end) => end.status === 'fulfilled' ? end.value : ''), ['', '', '2', '3'], 'their data connections are not given to others')
  for (const user of users) user.reset()
})

t.test('connections at one time from one source, with who is known behind a trusted proxy', async (t) => {
  const { port, relay } = await startRelay(t, { maxPerSource: 2, trustedProxies: ['127.0.0.1'] })
  const clients: ScriptedClient[] = []
  for (let i = 0; i < 2; i++) clients.push(await ScriptedClient.registered(t, port, { remotePort: await freePort(), header: from('192.0.2.1') }))
  const third = await ScriptedClient.register(t, port, { remotePort: await freePort(), header: from('192.0.2.1') })
  t.equal(await third.answer(), undefined)
  t.equal(relay.stats.refused.source, 1)
  await ScriptedClient.registered(t, port, { remotePort: await freePort(), header: from('192.0.2.2') })
  clients[0].leave()
  await until(() => relay.stats.clients === 2)
  const users = await Promise.all([1, 2, 3].map(() => Wire.dial(clients[1].remotePort)))
  for (const user of users) {
    user.write('x')
    t.equal(await (await clients[1].serve()).text(1), 'x', 'data connections count only until they have their user')
  }
  for (const user of users) user.reset()
})

t.test('wrong tokens from one source: beyond the limit nothing from there is looked at', async (t) => {
  const { port, relay } = await startRelay(t, { authFailures: 3, trustedProxies: ['127.0.0.1'] })
  const attempt = async (host: string, token: string): Promise<unknown> => {
    const client = await ScriptedClient.register(t, port, { remotePort: await freePort(), token, header: from(host) })
    const answer = await client.answer()
    client.control.end()
    return answer
  }
  const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort(), header: from('192.0.2.1') })
  for (let i = 0; i < 3; i++) t.same(await attempt('192.0.2.1', `wrong ${i}`), failed('authentication failed'))
  for (const token of ['wrong', TOKEN]) t.same(await attempt('192.0.2.1', token), failed('too many attempts from your address'))
  t.same(await attempt('192.0.2.2', TOKEN), OK, 'others are not struck by it')
  t.match(relay.stats.refused, { token: 3, rate: 2 })
  t.ok(await owner.ping(), 'nor who is in')
})

t.test('tokens tried from this machine are refused, and counted for nobody', async (t) => {
  const { port } = await startRelay(t, { authFailures: 1 })
  for (let i = 0; i < 5; i++) t.same(await (await ScriptedClient.register(t, port, { remotePort: 1, token: 'wrong' })).answer(), failed('authentication failed'))
  await ScriptedClient.registered(t, port, { remotePort: await freePort() })
})

t.test('data connections for users who have been let go are no attempts at tokens', async (t) => {
  const { port, relay } = await startRelay(t, { authFailures: 2, trustedProxies: ['127.0.0.1'] })
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true, header: from('192.0.2.1') })
  const users = await Promise.all(Array.from({ length: 5 }, () => Wire.dial(client.remotePort)))
  const opens: Json[] = []
  for (let i = 0; i < 5; i++) opens.push(await client.asked())
  client.offline()
  await Promise.all(users.map((user) => user.ended))
  for (const open of opens) t.equal((await (await client.dialData(open)).all()).length, 0)
  t.match(relay.stats.refused, { unclaimed: 5, rate: 0 })
  client.online()
  t.ok(await client.ping())
  await client.talk(t)
})

t.test('the name of an identity is that of no other\'s client, in strict mode', async (t) => {
  const { port } = await startRelay(t)
  const [one, another, third] = await freePorts(3)
  t.same(await (await ScriptedClient.register(t, port, { remotePort: one, strict: true, name: 'office' })).answer(), failed('name taken'))
  t.same(await (await ScriptedClient.register(t, port, { remotePort: one, strict: true, name: 'home' })).answer(), STRICT_OK, 'its own')
  t.same(await (await ScriptedClient.register(t, port, { remotePort: another, strict: true, name: 'laptop' })).answer(), STRICT_OK)
  t.same(await (await ScriptedClient.register(t, port, { remotePort: third, strict: true, name: 'laptop', token: OTHER_TOKEN })).answer(), STRICT_OK, 'nobody can keep another out by a name')
  t.same(await (await ScriptedClient.register(t, port, { remotePort: third, name: 'home', token: OTHER_TOKEN })).answer(), OK, 'the original gives all the same one')
})

t.test('clients that wait for a port are bounded as those that have one, and the newest waits', async (t) => {
  const { port, relay } = await startRelay(t, { identities: [{ name: 'home', token: TOKEN, maxPorts: 2 }] })
  const first = await ScriptedClient.registered(t, port, { remotePort: 0 })
  await ScriptedClient.registered(t, port, { remotePort: 70_000 })
  t.same(await (await ScriptedClient.register(t, port, { remotePort: -1 })).answer(), failed('too many ports'))
  await ScriptedClient.registered(t, port, { remotePort: 0 })
  first.control.end()
  await first.ended
  await until(() => relay.stats.clients === 2)
  t.match(relay.stats.refused, { ports: 1, replaced: 1 })
})
