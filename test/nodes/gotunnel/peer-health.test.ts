/** How a peer looks after its service, by the numbers of the table of conformance cases (gotunnel protocol, section 11), against a scripted server. */
import t from 'tap'
import { ManualClock } from '../../helpers/clock.ts'
import { turn, until } from '../../helpers/ends.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { MODES } from '../../helpers/gotunnel/scripted-client.ts'
import { Listening, ScriptedServer, startPeer } from '../../helpers/gotunnel/scripted-server.ts'

const OFFLINE = { type: 'offline_port', port: 10_022 }
const ONLINE = { type: 'online_port', port: 10_022 }

for (const { mode, strict } of MODES) {
  t.test(`T24: a service that goes and comes back is told of in one message each, ${mode}`, async (t) => {
    const server = await ScriptedServer.start(t, { strict })
    let service = await Listening.start(t)
    const { peer, events } = startPeer(t, server, service, { probeInterval: 5, pingInterval: 20 })
    let client = await server.next()
    await until(() => service.connections.all.length >= 3)
    t.same(client.inbox, [], 'nothing to tell')
    for (let i = 0; i < 3; i++) {
      await service.stop()
      t.same(await client.next(), OFFLINE)
      t.match(peer.status().maps, [{ state: 'online', service: 'down' }])
      await client.pinged(client.pings + 3) // a dozen looks later
      service = await Listening.start(t, service.port)
      if (strict) {
        t.same(await client.next(), ONLINE)
      } else {
        t.equal(await client.next(), undefined, 'an original server would never serve the port again if it were told')
        client = await server.next()
        await until(() => peer.isOnline)
      }
      t.match(peer.status().maps, [{ state: 'online', service: 'up' }])
      await until(() => service.connections.all.length >= 4)
    }
    t.same(client.inbox, [])
    const anew = strict ? [] : ['offline: the service is back, and the port is registered anew', 'online compatible']
    t.same(events, [`online ${mode}`, ...Array.from({ length: 3 }, () => ['service down', 'service up', ...anew]).flat()])
  })
}

t.test('T24: users of a service that is gone count as looks, and so do those of one that is there', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  const port = await freePort()
  const clock = new ManualClock({ date: Date.now() })
  const { events } = startPeer(t, server, { port }, { probeInterval: 3_600_000, clock })
  const client = await server.next()
  for (let i = 0; i < 5; i++) {
    client.ask(undefined, `id${i}`)
    t.match(await client.next(), { type: 'data_channel_failed' }, 'users that fail at once count as one')
  }
  while (events.length === 1) {
    await clock.whenSet(1000)
    clock.advance(1000)
    await turn()
  }
  t.same(await client.next(), OFFLINE, 'as the looks that follow see nothing either')
  const service = await Listening.start(t, port)
  for (let i = 0; i < 2; i++) {
    const user = await server.user(client)
    await service.connections.next()
    user.reset()
  }
  t.same(await client.next(), ONLINE)
  t.same(events, ['online strict', 'service down', 'service up'])
})

t.test('T24: a server is told anew after each connection, for it takes the service for up', async (t) => {
  const server = await ScriptedServer.start(t)
  const { peer, events } = startPeer(t, server, { port: await freePort() }, { probeInterval: 5 })
  for (let i = 0; i < 3; i++) {
    const client = await server.next()
    t.same(await client.next(), OFFLINE)
    t.same(client.inbox, [])
    client.wire.reset()
  }
  await until(() => events.filter((event) => event === 'online compatible').length === 4)
  t.match(peer.status().maps, [{ service: 'down' }])
})

t.test('T24: a probe connects and says nothing', async (t) => {
  const server = await ScriptedServer.start(t)
  const service = await Listening.start(t)
  startPeer(t, server, service, { probeInterval: 5 })
  for (let i = 0; i < 3; i++) t.equal((await (await service.connections.next()).all()).length, 0)
})
