/** Data connections that rest between two users, and whose way is gone when the next one comes, while control connections are well. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { ManualClock } from '../../helpers/clock.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { until } from '../../helpers/ends.ts'
import { later, ScriptedClient, startRelay, TOKEN, type StartedRelay } from '../../helpers/gotunnel/scripted-client.ts'
import { GotunnelPeer } from '../../../src/nodes/gotunnel/index.ts'
import { StrictData } from '../../helpers/gotunnel/strict-data.ts'
import { Listening } from '../../helpers/gotunnel/scripted-server.ts'
import { dialSoon, Wire } from '../../helpers/gotunnel/wire.ts'

/** Long enough for this machine, and short enough for a test. */
const PATIENCE = 300

/** A user is served over a data connection of a scripted client, and leaves; the connection stays. */
async function serveOnce (client: ScriptedClient): Promise<Wire> {
  const user = await dialSoon(client.remotePort)
  const wire = await client.dialData({ ...await client.asked(), local_port: 22 })
  const data = new StrictData(wire, { mayFollow: true, acknowledge: client.init.acknowledge })
  await data.opening
  user.end()
  data.end()
  await Promise.all([user.ended, data.ended])
  return wire
}

async function rested (t: Test, server: StartedRelay, acknowledge = true): Promise<{ client: ScriptedClient, wire: Wire }> {
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true, acknowledge })
  const wire = await serveOnce(client)
  await until(() => server.relay.stats.users === 0)
  return { client, wire }
}

t.test('nothing of a user goes to a data connection that has rested and does not answer, and it is served over a fresh one', async (t) => {
  const server = await startRelay(t, { acknowledgeTimeout: PATIENCE })
  const { client, wire } = await rested(t, server)
  later(server.relay, 2000)
  const user = await Wire.dial(client.remotePort)
  user.write('request')
  const opening = await wire.frame()
  t.match(JSON.parse(opening?.toString('utf8', 4) ?? ''), { destination: `127.0.0.1:${client.remotePort}` })
  const data = await client.serve()
  t.equal(await data.text(7), 'request')
  t.equal((await wire.all()).length, 0, 'and the first one has got none of it')
  data.write('answer')
  t.equal(await user.text(6), 'answer')
  t.match(server.relay.stats, { users: 1, accepted: 2, drops: { silent: 0 } })
  user.end()
  data.end()
  await until(() => server.relay.stats.users === 0)
})

t.test('once one does not answer, the others that rest are given to nobody', async (t) => {
  const server = await startRelay(t, { acknowledgeTimeout: PATIENCE })
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true, acknowledge: true })
  const users = [await dialSoon(client.remotePort), await dialSoon(client.remotePort)]
  const wires: Wire[] = []
  for (const user of users) {
    const wire = await client.dialData({ ...await client.asked(), local_port: 22 })
    wires.push(wire)
    const data = new StrictData(wire, { mayFollow: true, acknowledge: true })
    await data.opening
    void data.ended.then(() => { data.end() })
    void user
  }
  for (const user of users) user.end()
  await until(() => server.relay.stats.users === 0)
  later(server.relay, 2000)
  const user = await Wire.dial(client.remotePort)
  const data = await client.serve()
  await Promise.all(wires.map((wire) => wire.ended))
  user.write('request')
  t.equal(await data.text(7), 'request')
  await client.talk(t)
})

t.test('a user of one that was in use a moment ago is let go when it does not answer', async (t) => {
  const clock = new ManualClock() // which stands still: a tick in between would make it one that has rested
  const server = await startRelay(t, { acknowledgeTimeout: PATIENCE, clock })
  const { client, wire } = await rested(t, server)
  const user = await Wire.dial(client.remotePort)
  user.write('request')
  await wire.frame()
  clock.advance(PATIENCE)
  await user.ended
  user.end()
  await until(() => server.relay.stats.users === 0)
  t.match(server.relay.stats, { drops: { silent: 1 } })
  await client.talk(t)
})

t.test('the user of a fresh one is let go as well when it does not answer', async (t) => {
  const server = await startRelay(t, { acknowledgeTimeout: PATIENCE })
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true, acknowledge: true })
  const user = await dialSoon(client.remotePort)
  const wire = await client.dialData({ ...await client.asked(), local_port: 22 })
  t.not(await wire.frame(), undefined)
  await user.ended
  await until(() => server.relay.stats.users === 0)
  t.match(server.relay.stats, { drops: { silent: 1 } })
})

t.test('a user that leaves while a data connection does not answer is not announced', async (t) => {
  const server = await startRelay(t, { acknowledgeTimeout: PATIENCE })
  const { client, wire } = await rested(t, server)
  later(server.relay, 2000)
  const user = await Wire.dial(client.remotePort)
  await wire.frame()
  user.reset()
  await until(() => server.relay.stats.users === 0)
  t.ok(await client.ping())
  t.same(client.inbox, [])
  t.match(server.relay.stats, { drops: { left: 1 } })
})

t.test('data connections of a client that does not acknowledge are not used again', async (t) => {
  const server = await startRelay(t)
  const { client, wire } = await rested(t, server, false)
  await wire.ended
  wire.end()
  await client.talk(t)
})

/** Between a peer and its relay; whatever is connected at that time goes dark: nothing passes, and nothing ends. */
async function darkening (t: Test, port: number): Promise<{ port: number, darken: (but: number) => void, count: () => number }> {
  const pairs: Array<[Socket, Socket]> = []
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    pairs.push([near, far])
    for (const [from, to] of [[near, far], [far, near]]) from.on('error', () => { to.destroy() }).pipe(to)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of pairs.flat()) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    count: () => pairs.filter(([near]) => !near.destroyed).length,
    darken: (but) => {
      for (const [near, far] of pairs.slice(but)) {
        near.unpipe(far).resume()
        far.unpipe(near).resume()
      }
    }
  }
}

t.test('a real peer behind a way that forgets data connections: its next user is served over a fresh one', async (t) => {
  const server = await startRelay(t, { acknowledgeTimeout: PATIENCE })
  const way = await darkening(t, server.port)
  const service = await Listening.start(t)
  const remotePort = await freePort()
  const peer = new GotunnelPeer({ server: { host: '127.0.0.1', port: way.port }, token: TOKEN, name: 'laptop', maps: [{ remotePort, local: { host: '127.0.0.1', port: service.port } }], probeInterval: 0 })
  t.teardown(() => peer.close())
  peer.start()
  const talk = async (): Promise<void> => {
    const user = await dialSoon(remotePort)
    user.write('request')
    const at = await service.connections.next()
    t.equal(await at.text(7), 'request')
    at.write('answer')
    t.equal(await user.text(6), 'answer')
    user.end()
    at.end()
    await Promise.all([user.ended, at.ended])
    await until(() => server.relay.stats.users === 0)
  }
  await talk()
  await talk()
  t.equal(way.count(), 2, 'one data connection for both, beside the control connection')
  later(server.relay, 2000)
  way.darken(1)
  await talk()
  t.equal(service.connections.all.length, 3, 'the service has seen each user once')
  t.match(server.relay.stats, { accepted: 3, drops: { silent: 0, timeout: 0 } })
})
