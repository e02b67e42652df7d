/** A gotunnel relay whose settings change while it runs. */
import t from 'tap'
import { OptionError } from '../../../src/index.ts'
import type { IdentityInit } from '../../../src/nodes/gotunnel/index.ts'
import { freePort, freePorts } from '../../helpers/free-ports.ts'
import { failureOf, until } from '../../helpers/ends.ts'
import { failed, IDENTITIES, MODES, OTHER_TOKEN, ScriptedClient, startRelay, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { isRefused, Wire } from '../../helpers/gotunnel/wire.ts'

const HOME: IdentityInit = { name: 'home', token: TOKEN }
const [, OFFICE] = IDENTITIES
const AT = { listen: '127.0.0.1:0', bind: '127.0.0.1' }

for (const { mode, strict } of MODES) {
  t.test(`an identity that is removed goes with its clients and users, those of others stay, ${mode}`, async (t) => {
    const server = await startRelay(t)
    const gone = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict })
    const stays = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), token: OTHER_TOKEN, name: 'stays', strict })
    const users = [await Wire.dial(gone.remotePort), await Wire.dial(stays.remotePort), await Wire.dial(gone.remotePort)]
    const datas = [await gone.serve(), await stays.serve()]
    await gone.asked() // of one who waits
    t.same(await server.configure({ ...AT, identities: [OFFICE] }), { ended: 1 })
    t.same(await gone.next('unregistered'), strict ? { type: 'unregistered', reason: 'authentication failed' } : undefined)
    await Promise.all([gone.ended, users[0].ended, users[2].ended, datas[0].ended])
    gone.control.end()
    t.ok(await isRefused(gone.remotePort))
    users[1].write('x')
    t.equal(await datas[1].text(1), 'x')
    t.ok(await stays.ping())
    t.same(await (await ScriptedClient.register(t, server.port, { remotePort: gone.remotePort, strict })).answer(), failed('authentication failed'))
    t.same([...server.relay.identities].map(({ name }) => name), ['office'])
    await until(() => server.relay.stats.clients === 1 && server.relay.stats.users === 1)
    t.equal(server.relay.stats.refused.removed, 1)
    for (const user of users) user.reset()
  })

  t.test(`also with users whose client has left before, ${mode}`, async (t) => {
    const server = await startRelay(t)
    const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict })
    const user = await Wire.dial(client.remotePort)
    const data = await client.serve()
    client.control.socket.destroy()
    await until(() => server.relay.stats.clients === 0)
    user.write('x')
    t.equal(await data.text(1), 'x', 'which they have outlived')
    await server.configure({ ...AT, identities: [OFFICE] })
    await Promise.all([user.ended, data.ended])
    t.equal(server.relay.stats.users, 0)
  })

  t.test(`with another token who is in stays, also for users that come later, ${mode}`, async (t) => {
    const server = await startRelay(t, { identities: [HOME] })
    const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict })
    const user = await Wire.dial(client.remotePort)
    const data = await client.serve()
    t.same(await server.configure({ ...AT, identities: [{ ...HOME, token: OTHER_TOKEN }] }), { ended: 0 })
    user.write('x')
    t.equal(await data.text(1), 'x')
    await client.talk(t)
    t.same(await (await ScriptedClient.register(t, server.port, { remotePort: await freePort(), strict })).answer(), failed('authentication failed'))
    const next = await ScriptedClient.registered(t, server.port, { remotePort: client.remotePort, token: OTHER_TOKEN, strict })
    await client.ended
    await next.talk(t)
    user.reset()
  })

  t.test(`a port that is not allowed any more: its client goes, its users stay, ${mode}`, async (t) => {
    const [kept, lost] = await freePorts(2)
    const server = await startRelay(t, { identities: [HOME] })
    const stays = await ScriptedClient.registered(t, server.port, { remotePort: kept, strict })
    const gone = await ScriptedClient.registered(t, server.port, { remotePort: lost, strict })
    const user = await Wire.dial(lost)
    const data = await gone.serve()
    const waits = await Wire.dial(lost)
    await gone.asked()
    t.same(await server.configure({ ...AT, identities: [{ ...HOME, ports: String(kept) }] }), { ended: 1 })
    t.same(await gone.next('unregistered'), strict ? { type: 'unregistered', reason: 'port not allowed' } : undefined)
    await Promise.all([gone.ended, waits.ended])
    t.ok(await isRefused(lost))
    user.write('request')
    t.equal(await data.text(7), 'request')
    data.write('answer')
    t.equal(await user.text(6), 'answer')
    t.same(await (await ScriptedClient.register(t, server.port, { remotePort: lost, strict })).answer(), failed('port not allowed'))
    await stays.talk(t)
    user.reset()
    waits.reset()
  })

  t.test(`fewer ports and users than there are: who is in stays, ${mode}`, async (t) => {
    const server = await startRelay(t, { identities: [HOME] })
    const clients = [await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict }), await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict })]
    const users: Wire[] = []
    const datas = []
    for (const client of clients) {
      users.push(await Wire.dial(client.remotePort))
      datas.push(await client.serve())
    }
    t.same(await server.configure({ ...AT, identities: [{ ...HOME, maxPorts: 1, maxUsers: 1 }] }), { ended: 0 })
    for (const [i, user] of users.entries()) {
      user.write('x')
      t.equal(await datas[i].text(1), 'x')
    }
    t.equal((await (await Wire.dial(clients[0].remotePort)).all()).length, 0)
    t.same(await (await ScriptedClient.register(t, server.port, { remotePort: await freePort(), strict })).answer(), failed('too many ports'))
    for (const user of users) user.reset()
  })
}

t.test('a relay that wants strict mode from now on ends the others', async (t) => {
  const server = await startRelay(t)
  const old = await ScriptedClient.registered(t, server.port, { remotePort: await freePort() })
  const ours = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true })
  const user = await Wire.dial(old.remotePort)
  const data = await old.serve()
  t.same(await server.configure({ ...AT, identities: IDENTITIES, mode: 'strict' }), { ended: 1 })
  await old.ended
  t.same([old.inbox, old.faults], [[], []], 'without a message that it would not know')
  t.ok(await isRefused(old.remotePort))
  user.write('x')
  t.equal(await data.text(1), 'x', 'its users stay')
  await ours.talk(t)
  t.same(await (await ScriptedClient.register(t, server.port, { remotePort: old.remotePort })).answer(), failed('strict mode required'))
  user.reset()
})

t.test('a port that waits is not excepted from what changes', async (t) => {
  const server = await startRelay(t)
  const owner = await ScriptedClient.registered(t, server.port, { remotePort: await freePort() })
  const waits = await ScriptedClient.registered(t, server.port, { remotePort: owner.remotePort, token: OTHER_TOKEN })
  const impossible = await ScriptedClient.registered(t, server.port, { remotePort: 0, token: OTHER_TOKEN })
  t.same(await server.configure({ ...AT, identities: [HOME] }), { ended: 2 })
  await Promise.all([waits.ended, impossible.ended])
  await owner.talk(t)
})

t.test('the rate of an identity holds for users who are in', async (t) => {
  const server = await startRelay(t, { identities: [HOME] })
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort() })
  t.equal([...server.relay.identities][0].shaper, undefined)
  await server.configure({ ...AT, identities: [{ ...HOME, byteRate: 1_000_000 }] })
  t.match([...server.relay.identities][0].shaper, { forward: { rate: 1_000_000 }, backward: { rate: 1_000_000 } })
  await client.talk(t)
})

t.test('settings that cannot be change nothing', async (t) => {
  const server = await startRelay(t)
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort() })
  const busy = await ScriptedClient.registered(t, server.port, { remotePort: await freePort() })
  for (const wrong of [
    { identities: [] }, { identities: [HOME, HOME] }, { identities: [{ ...HOME, ports: '0' }] }, { identities: [{ ...HOME, name: '' }] }, { mode: 'other' as any }, { maxPortsTotal: 0 },
    { maxPerSource: 0 }, { listen: 'nowhere' }, { identities: [{ ...HOME, byteRate: 0 }] }
  ]) t.ok(await failureOf(server.configure({ ...AT, identities: IDENTITIES, ...wrong })) instanceof OptionError, JSON.stringify(wrong))
  t.match(await failureOf(server.configure({ identities: [OFFICE], listen: `127.0.0.1:${busy.remotePort}` })), { code: 'EADDRINUSE' })
  t.equal(server.url, `tcp://127.0.0.1:${server.port}`)
  await client.talk(t)
})

t.test('it may listen elsewhere; who is in stays', async (t) => {
  const server = await startRelay(t)
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true })
  const user = await Wire.dial(client.remotePort)
  const data = await client.serve()
  const port = await freePort()
  t.same(await server.configure({ ...AT, listen: `127.0.0.1:${port}`, identities: IDENTITIES }), { ended: 0 })
  t.equal(server.url, `tcp://127.0.0.1:${port}`)
  t.ok(await isRefused(server.port))
  user.write('x')
  t.equal(await data.text(1), 'x')
  t.ok(await client.ping())
  await (await ScriptedClient.registered(t, port, { remotePort: await freePort() })).talk(t)
  user.reset()
})

t.test('an identity with another name and the same token: its clients are to come again', async (t) => {
  const server = await startRelay(t)
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict: true })
  t.same(await server.configure({ ...AT, identities: [{ ...HOME, name: 'house' }] }), { ended: 1 })
  t.same(await client.next('unregistered'), { type: 'unregistered', reason: 'the settings have changed' }, 'which no peer takes for a refusal for good')
  client.control.end()
  await client.ended
  await ScriptedClient.registered(t, server.port, { remotePort: client.remotePort, strict: true })
})

t.test('how many unknown tokens a source may try', async (t) => {
  const server = await startRelay(t, { authFailures: 100, trustedProxies: ['127.0.0.1'] })
  await server.configure({ ...AT, identities: [HOME], authFailures: 1, trustedProxies: ['127.0.0.1'] })
  const answers = []
  for (const token of ['wrong', 'as wrong']) answers.push(await (await ScriptedClient.register(t, server.port, { remotePort: 1234, token, header: Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n') })).answer())
  t.same(answers, [failed('authentication failed'), failed('too many attempts from your address')])
})
