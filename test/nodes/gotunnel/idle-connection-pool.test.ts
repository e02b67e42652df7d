/** Strict mode: data connections that serve one user after the other, with a scripted client at their end. */
import t, { type Test } from 'tap'
import { freePort } from '../../helpers/free-ports.ts'
import { until } from '../../helpers/ends.ts'
import { later, ScriptedClient, startRelay, type StartedRelay } from '../../helpers/gotunnel/scripted-client.ts'
import { StrictData } from '../../helpers/gotunnel/strict-data.ts'
import { dialSoon, Wire } from '../../helpers/gotunnel/wire.ts'

interface Resting {
  server: StartedRelay
  client: ScriptedClient
  /** A data connection that has served one user and is still there. */
  wire: Wire
}

async function resting (t: Test): Promise<Resting> {
  const server = await startRelay(t)
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true, acknowledge: true })
  const wire = await client.dialData({ ...await asked(client), local_port: 22 })
  await served(t, client, wire)
  return { server, client, wire }
}

let user: Wire

/** A user comes, and the client is asked for a data connection. */
async function asked (client: ScriptedClient): Promise<Record<string, unknown>> {
  user = await dialSoon(client.remotePort)
  return await client.asked()
}

/** The user is served over this connection, which stays. */
async function served (t: Test, client: ScriptedClient, wire: Wire, how: 'end' | 'reset' = 'end'): Promise<void> {
  const data = new StrictData(wire, { mayFollow: true, acknowledge: true })
  t.same(await data.opening, { source: `127.0.0.1:${user.socket.localPort ?? 0}`, destination: `127.0.0.1:${client.remotePort}` }, 'with its own address')
  user.write('request')
  t.equal(await data.text(7), 'request')
  data.write('answer')
  t.equal(await user.text(6), 'answer')
  if (how === 'reset') data.reset()
  else data.end()
  await user.ended
  user.end()
  await data.ended
}

t.test('the next user comes over the same connection, and nothing is asked for', async (t) => {
  const { server: { relay }, client, wire } = await resting(t)
  for (const how of ['end', 'reset', 'end'] as const) {
    await until(() => relay.stats.users === 0)
    user = await Wire.dial(client.remotePort)
    await served(t, client, wire, how)
  }
  t.ok(await client.ping())
  t.same(client.inbox, [])
  t.match(relay.stats, { accepted: 4, users: 0, waiting: 0 })
})

t.test('while it is in use, others are asked for', async (t) => {
  const { client, wire, server: { relay } } = await resting(t)
  await until(() => relay.stats.users === 0)
  const first = await Wire.dial(client.remotePort)
  first.write('first')
  const data = new StrictData(wire, { acknowledge: true })
  t.equal(await data.text(5), 'first')
  await client.talk(t)
  first.write('still')
  t.equal(await data.text(5), 'still')
  first.reset()
})

t.test('a connection that the client has ended is not taken', async (t) => {
  for (const how of ['end', 'reset', 'chatter'] as const) {
    const { client, wire, server: { relay } } = await resting(t)
    await until(() => relay.stats.users === 0)
    if (how === 'chatter') wire.write('a link that nobody has begun')
    else wire[how]()
    await wire.ended
    wire.end()
    t.ok(await client.ping())
    await client.talk(t)
  }
})

t.test('it ends with its rest of 15 s, when its port goes offline, and with its client', async (t) => {
  for (const how of ['rest', 'offline', 'replaced', 'left', 'closed'] as const) {
    const { client, wire, server } = await resting(t)
    await until(() => server.relay.stats.users === 0)
    if (how === 'rest') {
      later(server.relay, 14_000)
      t.ok(await client.ping())
      later(server.relay, 17_000)
    } else if (how === 'offline') {
      client.offline()
    } else if (how === 'replaced') {
      await ScriptedClient.registered(t, server.port, { remotePort: client.remotePort, strict: true, acknowledge: true })
    } else if (how === 'left') {
      client.control.socket.destroy()
    } else {
      void server.close()
    }
    t.equal((await wire.all()).length, 0, how)
    wire.end()
  }
})

t.test('a client that says what makes no sense on it loses it, and its user', async (t) => {
  for (const bytes of ['00000005' + '61', 'ffffffff', '00000000' + '00000000']) { // a chunk that is cut, a reset, and an end twice
    const { client, wire, server: { relay } } = await resting(t)
    await until(() => relay.stats.users === 0)
    user = await Wire.dial(client.remotePort)
    await new StrictData(wire, { mayFollow: true, acknowledge: true }).opening
    wire.write(Buffer.from(bytes, 'hex'))
    wire.end()
    user.end()
    await user.ended
    await until(() => relay.stats.users === 0)
    t.ok(await client.ping())
    await client.talk(t)
  }
})

t.test('a relay that stops does not wait for a client that is silent', async (t) => {
  const { server: { relay }, client, wire } = await resting(t)
  await until(() => relay.stats.users === 0)
  user = await dialSoon(client.remotePort)
  const data = new StrictData(wire, { mayFollow: true, acknowledge: true })
  await data.opening
  user.write('is anybody there')
  t.equal(await data.text(16), 'is anybody there')
  await relay.close()
  await Promise.all([user.ended, wire.ended])
  t.equal(relay.stats.users, 0)
})
