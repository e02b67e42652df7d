/** Users of one identity, however many they are, do not keep out those of another one. */
import t, { type Test } from 'tap'
import { freePorts } from '../../helpers/free-ports.ts'
import { until } from '../../helpers/ends.ts'
import { OTHER_TOKEN, ScriptedClient, startRelay, TOKEN, type StartedRelay } from '../../helpers/gotunnel/scripted-client.ts'
import { dialSoon, type End, type Wire } from '../../helpers/gotunnel/wire.ts'

async function clients (t: Test, server: StartedRelay): Promise<{ home: ScriptedClient, office: ScriptedClient }> {
  const [one, another] = await freePorts(2)
  return {
    home: await ScriptedClient.registered(t, server.port, { remotePort: one, strict: true }),
    office: await ScriptedClient.registered(t, server.port, { remotePort: another, strict: true, token: OTHER_TOKEN })
  }
}

/** A user who is served, and goes on. */
async function served (t: Test, client: ScriptedClient): Promise<[Wire, End]> {
  const user = await dialSoon(client.remotePort)
  t.teardown(() => { user.socket.destroy() })
  const data = await client.serve()
  user.write('request')
  t.equal(await data.text(7), 'request')
  return [user, data]
}

t.test('half of all users is reserved, in equal shares; the rest goes to whoever comes first', async (t) => {
  const server = await startRelay(t, { maxUsersTotal: 8 })
  const { home, office } = await clients(t, server)
  for (let i = 0; i < 6; i++) await served(t, home)
  const one = await dialSoon(home.remotePort)
  await one.ended
  t.match(server.relay.stats, { users: 6, turnedAway: { source: 0, total: 1 } })
  const [user, data] = await served(t, office)
  await served(t, office)
  await (await dialSoon(office.remotePort)).ended
  t.match(server.relay.stats, { users: 8, turnedAway: { total: 2 } })
  user.end()
  data.end()
  await until(() => server.relay.stats.users === 7)
  await (await dialSoon(home.remotePort)).ended
  t.equal(server.relay.stats.turnedAway.total, 3, 'what an identity has reserved stays its own')
  t.same([...server.relay.identities].map((identity) => server.relay.rejectedOf(identity)), [{ source: 0, total: 2 }, { source: 0, total: 1 }], 'each is told how many of its users were not let in')
  await served(t, office)
})

t.test('an identity has what it reserves, and no more than it may', async (t) => {
  const server = await startRelay(t, { maxUsersTotal: 5, identities: [{ name: 'home', token: TOKEN }, { name: 'office', token: OTHER_TOKEN, reserveUsers: 4, maxUsers: 3 }] })
  const { home, office } = await clients(t, server)
  for (let i = 0; i < 2; i++) await served(t, home)
  await (await dialSoon(home.remotePort)).ended
  for (let i = 0; i < 3; i++) await served(t, office)
  t.equal(server.relay.stats.users, 5)
})

t.test('users that wait make room for others of their own identity only', async (t) => {
  const server = await startRelay(t, { maxUsersTotal: 4 })
  const { home, office } = await clients(t, server)
  const waits = await dialSoon(office.remotePort)
  await office.asked()
  const all: Wire[] = []
  for (let i = 0; i < 5; i++) all.push(await dialSoon(home.remotePort))
  await Promise.all(all.slice(0, 2).map((user) => user.ended))
  t.match(server.relay.stats, { users: 4, waiting: 4, drops: { waiting: 2 } })
  t.notOk(waits.socket.readableEnded)
  await until(() => home.inbox.length === 5)
  for (const user of [waits, ...all]) user.reset()
  await until(() => server.relay.stats.users === 0)
})

t.test('other settings hold at once', async (t) => {
  const server = await startRelay(t, { maxUsersTotal: 4 })
  const { home } = await clients(t, server)
  for (let i = 0; i < 3; i++) await served(t, home)
  await (await dialSoon(home.remotePort)).ended
  server.relay.configure({ identities: [{ name: 'home', token: TOKEN }, { name: 'office', token: OTHER_TOKEN, reserveUsers: 0 }], maxUsersTotal: 5 })
  for (let i = 0; i < 2; i++) await served(t, home)
  await (await dialSoon(home.remotePort)).ended
  t.throws(() => server.relay.configure({ identities: [{ name: 'home', token: TOKEN, reserveUsers: 6 }], maxUsersTotal: 5 }), { code: 'ERR_OPTION', message: /^maxUsersTotal: 5, expected at least what identities reserve/ })
})
