/** Who has a port of a relay, by the numbers of the table of conformance cases (gotunnel protocol, section 11), against a scripted client. */
import t from 'tap'
import { freePort } from '../../helpers/free-ports.ts'
import { until } from '../../helpers/ends.ts'
import { failed, MODES, OK, OTHER_TOKEN, ScriptedClient, startRelay } from '../../helpers/gotunnel/scripted-client.ts'
import { dialSoon, isRefused, Wire, type Json } from '../../helpers/gotunnel/wire.ts'

/** Sockets and listeners of this process, the test's own included. */
const handles = (): number => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length

for (const { mode, strict } of MODES) {
  t.test(`T14: a port that is registered again goes over with the users that wait, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const remotePort = await freePort()
    const old = await ScriptedClient.registered(t, port, { remotePort, strict })
    const [served, ...waiting] = await Promise.all([1, 2, 3].map(() => Wire.dial(remotePort)))
    const opens: Json[] = [await old.asked(), await old.asked(), await old.asked()]
    served.write('served')
    for (const [i, user] of waiting.entries()) user.write(`waits${i}`)
    const data = await old.data(opens[0])
    const heard = await data.text(6) // of whichever came first

    const client = await ScriptedClient.registered(t, port, { remotePort, strict })
    t.same(await old.next('unregistered'), strict ? { type: 'unregistered', reason: 'replaced by another client with this token' } : undefined)
    await old.ended
    const datas = [await client.serve(), await client.serve()]
    const all = [heard, ...await Promise.all(datas.map((end) => end.text(6)))]
    t.same(all.sort(), ['served', 'waits0', 'waits1'], 'those that wait are asked for again')
    old.control.end()
    await until(() => relay.stats.clients === 1)
    t.match(relay.stats, { ports: 1, users: 3, waiting: 0, refused: { replaced: 1 } })
    t.ok(await client.ping(), 'the end of the old one leaves the new one alone')
    for (const user of [served, ...waiting]) user.reset()
    await until(() => relay.stats.users === 0)
    await client.talk(t)
  })

  t.test(`T14: taken over many times at once, a port works for the one that has it, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const remotePort = await freePort()
    const clients = await Promise.all(Array.from({ length: 10 }, () => ScriptedClient.register(t, port, { remotePort, strict })))
    const answers = await Promise.all(clients.map((client) => client.answer()))
    t.ok(answers.every((answer) => answer?.status === 'ok'))
    for (const { control, ended } of clients) void ended.then(() => { control.end() })
    await until(() => relay.stats.clients === 1)
    t.match(relay.stats, { ports: 1, refused: { replaced: 9 } })
    const pings = clients.map((client) => client.ping())
    const owner = clients[(await Promise.all(pings)).indexOf(true)]
    await owner.talk(t)
  })

  t.test(`T14: another identity cannot take a port over, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const user = await Wire.dial(owner.remotePort)
    const open = await owner.asked()
    for (let i = 0; i < 5; i++) {
      const thief = await ScriptedClient.register(t, port, { remotePort: owner.remotePort, token: OTHER_TOKEN, name: 'thief', strict })
      t.same(await thief.answer(), strict ? failed('port in use') : OK)
      if (!strict) t.ok(await thief.ping(), 'it waits')
      thief.leave()
      t.same(thief.inbox, [])
    }
    await until(() => relay.stats.clients === 1)
    user.write('request')
    t.equal(await (await owner.data(open)).text(7), 'request')
    user.reset()
    await until(() => relay.stats.users === 0)
    await owner.talk(t)
  })

  t.test(`T15: a hundred times offline and online, and users are served after each, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    await client.talk(t)
    await until(() => relay.stats.users === 0)
    const before = handles()
    for (let i = 0; i < 100; i++) {
      client.offline()
      t.ok(await client.ping())
      if (!await isRefused(client.remotePort)) t.fail('offline, and it still listens')
      client.online()
      await client.talk(t)
    }
    await until(() => relay.stats.users === 0 && handles() <= before)
    t.match(relay.stats, { clients: 1, ports: 1, waiting: 0 })
  })

  t.test(`T15: offline lets go who waits and leaves who is served, and repeating either is harmless, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const served = await Wire.dial(client.remotePort)
    const data = await client.serve()
    const waits = await Wire.dial(client.remotePort)
    await client.asked()
    client.offline()
    client.offline()
    t.equal((await waits.all()).length, 0)
    waits.end()
    t.ok(await isRefused(client.remotePort))
    served.write('x')
    t.equal(await data.text(1), 'x')
    t.match(relay.stats, { users: 1, waiting: 0, drops: { offline: 1 } })
    for (let i = 0; i < 3; i++) client.online()
    for (let i = 0; i < 3; i++) {
      client.offline()
      client.online()
    }
    served.reset()
    await client.talk(t)
    client.control.end()
    await until(() => relay.stats.clients === 0)
    t.ok(await isRefused(client.remotePort), 'and no listener outlives its client')
  })

  t.test(`T17: nobody switches the port of another off or on, or serves its users, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const sibling = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const other = await ScriptedClient.registered(t, port, { remotePort: await freePort(), token: OTHER_TOKEN, name: 'other', strict })
    for (const client of [sibling, other]) {
      client.offline(owner.remotePort)
      t.ok(await client.ping())
      await owner.talk(t)
    }
    owner.offline()
    t.ok(await owner.ping())
    for (const client of [sibling, other]) {
      client.online(owner.remotePort)
      t.ok(await client.ping())
    }
    t.ok(await isRefused(owner.remotePort))
    owner.online()
    t.equal(relay.stats.refused.not_owner, 4)

    const user = await dialSoon(owner.remotePort)
    user.write('secret')
    const open = await owner.asked()
    const forged = await Wire.dial(port)
    forged.send(other.opening({ local_port: 22 }, { ...other.init, remotePort: owner.remotePort }))
    t.same(await forged.message(), strict ? failed('not your port') : OK)
    t.equal((await forged.all()).length, 0, 'nothing of the user')
    forged.end()
    if (strict) { // not even with the owner's token, without the id
      const replay = await Wire.dial(port)
      replay.send(owner.opening({ local_port: 22 }))
      t.same(await replay.message(), failed('strict mode required'))
      replay.end()
    }
    t.equal(await (await owner.data(open)).text(6), 'secret')
    user.reset()
  })
}

t.test('T17: an id is good for its own port only', async (t) => {
  const { port } = await startRelay(t)
  const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true })
  const sibling = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true })
  const user = await Wire.dial(owner.remotePort)
  user.write('secret')
  const open = await owner.asked()
  t.equal((await (await sibling.dialData(open)).all()).length, 0)
  sibling.control.send({ type: 'data_channel_failed', id: open.id, reason: 'not mine' })
  t.ok(await sibling.ping())
  t.equal(await (await owner.data(open)).text(6), 'secret')
  user.reset()
})

for (const { mode, strict } of MODES) {
  t.test(`T22: a relay that stops lets go who waits, waits for who is served, and tells its clients, ${mode}`, async (t) => {
    const server = await startRelay(t)
    const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort(), strict })
    const served = await Wire.dial(client.remotePort)
    const data = await client.serve()
    const waits = await Wire.dial(client.remotePort)
    await client.asked()
    let isClosed = false
    const closing = server.close().then(() => { isClosed = true })
    t.equal((await waits.all()).length, 0)
    waits.end()
    t.same(await client.next('unregistered'), strict ? { type: 'unregistered', reason: 'the relay is stopping' } : undefined)
    await client.ended
    client.control.end()
    t.same([await isRefused(client.remotePort), await isRefused(server.port)], [true, true])
    data.write('answer')
    t.equal(await served.text(6), 'answer')
    t.notOk(isClosed)
    served.end()
    data.end()
    await closing
    t.match(server.relay.stats, { clients: 0, users: 0, waiting: 0, ports: 0 })
  })
}

t.test('T22: a relay that stops does not wait for ever', async (t) => {
  const server = await startRelay(t)
  const client = await ScriptedClient.registered(t, server.port, { remotePort: await freePort() })
  const user = await Wire.dial(client.remotePort)
  const data = await client.serve()
  const left = await ScriptedClient.registered(t, server.port, { remotePort: await freePort() })
  const outlives = await Wire.dial(left.remotePort)
  const its = await left.serve()
  left.control.socket.destroy()
  await until(() => server.relay.stats.clients === 1)
  await server.close()
  await Promise.all([user, data, outlives, its].map((end) => end.ended))
  t.equal(server.relay.stats.users, 0, 'nor for those whose client has left before')
})
