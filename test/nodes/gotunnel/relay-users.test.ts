/** How a relay joins users and data connections, by the numbers of the table of conformance cases (gotunnel protocol, section 11), against a scripted client. */
import t from 'tap'
import { freePort } from '../../helpers/free-ports.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { until } from '../../helpers/ends.ts'
import { later, MODES, OK, ScriptedClient, startRelay, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { StrictData } from '../../helpers/gotunnel/strict-data.ts'
import { vector } from '../../helpers/gotunnel/vectors.ts'
import { dialSoon, frame, isRefused, Wire, type Json } from '../../helpers/gotunnel/wire.ts'

t.test('T10: open_data_channel is the very bytes of the original', async (t) => {
  const { port } = await startRelay(t)
  const remotePort = await freePort()
  const control = await Wire.dial(port)
  t.teardown(() => { control.socket.destroy() })
  control.send({ type: 'register', local_port: 22, remote_port: remotePort, protocol: 'tcp', token: TOKEN, name: 'x' })
  await control.frame()
  const user = await Wire.dial(remotePort)
  t.equal(toHex(await control.frame() ?? hex('')), vector('open_data_channel').hex)
  user.socket.destroy()
})

t.test('T10: in strict mode it holds an id that nobody can guess, behind the six keys of the original', async (t) => {
  const { port } = await startRelay(t)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true })
  const users = await Promise.all(Array.from({ length: 20 }, () => Wire.dial(client.remotePort)))
  const ids = new Set<unknown>()
  for (const { socket } of users) {
    const { id, ...six } = await client.asked()
    t.same(Object.entries(six), Object.entries({ type: 'open_data_channel', local_port: 22, remote_port: 0, protocol: '', token: '', name: '' }), 'also their order')
    t.match(id, /^[\w-]{22}$/, '128 bits')
    ids.add(id)
    socket.destroy()
  }
  t.equal(ids.size, 20)
})

t.test('T10: in strict mode a data connection says who its user is', async (t) => {
  const { port } = await startRelay(t)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true })
  const user = await Wire.dial(client.remotePort)
  const data = await client.serve() as StrictData
  t.same(await data.opening, { source: `127.0.0.1:${user.socket.localPort ?? 0}`, destination: `127.0.0.1:${client.remotePort}` })
  user.socket.destroy()
})

for (const { mode, strict } of MODES) {
  t.test(`T10: what a user sends before there is a data connection arrives in order, ${mode}`, async (t) => {
    const { port } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const user = await Wire.dial(client.remotePort)
    const early = Buffer.from(Array.from({ length: 20_000 }, (_, i) => i & 0xff))
    for (let at = 0; at < early.length; at += 1000) user.write(early.subarray(at, at + 1000))
    const open = await client.asked()
    user.write('and later')
    t.ok(await client.ping(), 'the control connection is not held up by it')
    const data = await client.data(open)
    t.ok((await data.bytes(early.length)).equals(early))
    t.equal(await data.text(9), 'and later')
    user.socket.destroy()
  })

  t.test(`T11: bytes in one segment with a data_channel reach the user, ${mode}`, async (t) => {
    const { port } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const greeting = Buffer.from('SSH-2.0-x\r\n')
    const chunk = Buffer.concat([hex('0000000b'), greeting])
    for (const cut of [0, 1, 4, 50, 3]) { // bytes of the first frame that come in a segment of their own
      const user = await dialSoon(client.remotePort)
      const opening = frame(client.opening(await client.asked()))
      const wire = await Wire.dial(port)
      wire.write(opening.subarray(0, cut))
      t.ok(await client.ping())
      wire.write(Buffer.concat([opening.subarray(cut), strict ? chunk : greeting]))
      t.equal(await user.text(11), 'SSH-2.0-x\r\n')
      user.end()
      wire.socket.destroy()
      await user.ended
    }
  })

  t.test(`T11: bytes of a user in one segment with the answer reach the client, ${mode}`, async (t) => {
    const { port } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const user = await Wire.dial(client.remotePort)
    user.write('early')
    const wire = await client.dialData(await client.asked())
    if (!strict) t.equal(toHex(await wire.bytes(42)), vector('register_resp_ok').hex, 'it says ok, and nothing between that and the user')
    const data = strict ? new StrictData(wire) : wire
    t.equal(await data.text(5), 'early', 'and in strict mode no ok at all')
    user.socket.destroy()
  })

  t.test(`T12: the data connection of a user who has left is not given to the next one, ${mode}`, async (t) => {
    const { port } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    for (const leave of ['reset', 'end'] as const) {
      const gone = await dialSoon(client.remotePort)
      const first = await client.asked()
      gone.write('of the first')
      gone[leave]()
      if (leave === 'reset') await new Promise((resolve) => { gone.socket.once('close', resolve) })
      const stays = await dialSoon(client.remotePort)
      const second = await client.asked()
      stays.write('of the second')
      const stale = await client.data(first)
      const data = await client.data(second)
      t.equal(await data.text(13), 'of the second')
      data.write('answer')
      t.equal(await stays.text(6), 'answer')
      t.ok('of the first'.startsWith((await stale.all()).toString()), `${leave}: nothing of the second`)
      stale.end()
      stays.end()
      data.end()
      await stays.ended
      gone.socket.destroy()
    }
  })

  t.test(`T13: a user without a data connection is let go after 60 s, and a late one is dropped, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t, { dropAfter: 3_600_000 })
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const [served, waits] = [await Wire.dial(client.remotePort), await Wire.dial(client.remotePort)]
    const [open, late] = [await client.asked(), await client.asked()]
    later(relay, 1000)
    const data = await client.data(open)
    later(relay, 58_000)
    t.equal(relay.stats.waiting, 1)
    later(relay, 60_001)
    t.equal((await waits.all()).length, 0)
    t.match(relay.stats, { waiting: 0, users: 1, drops: { timeout: 1, waiting: 0, limit: 0, failed: 0, offline: 0 } })
    waits.end()

    const dropped = await client.dialData(late)
    if (!strict) t.same(await dropped.message(), OK)
    t.equal((await dropped.all()).length, 0, 'too late')
    dropped.end()
    const next = await Wire.dial(client.remotePort)
    next.write('next')
    t.equal(await (await client.serve()).text(4), 'next', 'the next user gets a data connection of its own')
    served.write('x')
    t.equal(await data.text(1), 'x', 'whoever was served still is')
    t.ok(await client.ping())
    next.socket.destroy()
    served.socket.destroy()
  })

  t.test(`T13: a client from which no data connection comes at all is ended, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t, { dropAfter: 3_600_000 })
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const user = await Wire.dial(client.remotePort)
    await client.asked()
    t.ok(await client.ping(), 'its pings are well')
    later(relay, 61_000)
    await Promise.all([user.ended, client.ended])
    user.end()
    client.control.end()
    t.same(await client.next('unregistered'), strict ? { type: 'unregistered', reason: 'no data connections come from you' } : undefined)
    await until(() => relay.stats.clients === 0)
    t.match(relay.stats, { ports: 0, refused: { unresponsive: 1 } })
    t.ok(await isRefused(client.remotePort))
  })

  t.test(`T18: 200 users at once while pings run: every frame parses, ${mode}`, async (t) => {
    const { port } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const opens: Json[] = []
    const users = Array.from({ length: 200 }, () => Wire.dial(client.remotePort))
    for (let i = 0; i < 200; i++) {
      client.control.send({ type: 'ping', time: i })
      opens.push(await client.asked())
    }
    for (let i = 0; i < 200; i++) await client.next('pong')
    t.same([client.faults, client.inbox], [[], []])
    for (const [i, user] of (await Promise.all(users)).entries()) user.write(String(i).padStart(3))
    const heard = await Promise.all(opens.map(async (open) => {
      const data = await client.data(open)
      const text = await data.text(3)
      data.write(text)
      return text
    }))
    t.equal(new Set(heard).size, 200, 'each has its own')
    for (const [i, user] of (await Promise.all(users)).entries()) {
      if (await user.text(3) !== String(i).padStart(3)) t.fail('a user got what is not its own')
      user.socket.destroy()
    }
  })

  t.test(`T19: a request with its end gets its whole answer, either way, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const answer = Buffer.alloc(300_000, 'answer')
    for (const [asks, answers] of [[0, 1], [1, 0]]) {
      const user = await dialSoon(client.remotePort)
      const ends = [user, await client.serve()]
      ends[asks].write('request')
      ends[asks].end()
      t.equal((await ends[answers].all()).toString(), 'request', 'the end has come as an end')
      ends[answers].write(answer.subarray(0, 100))
      t.ok(await client.ping())
      ends[answers].write(answer.subarray(100))
      ends[answers].end()
      t.ok((await ends[asks].all()).equals(answer))
    }
    await until(() => relay.stats.users === 0)
  })
}

t.test('T21: no data connection is kept that nobody waits for, neither the eleventh nor the first', async (t) => {
  const { port, relay } = await startRelay(t)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  for (let i = 0; i < 11; i++) {
    const wire = await client.dialData({ local_port: 22 })
    t.same([await wire.message(), (await wire.all()).length], [OK, 0])
    wire.end()
  }
  t.equal(relay.stats.refused.unclaimed, 11)
  await client.talk(t)
  const strict = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true, name: 'strict' })
  for (let i = 0; i < 11; i++) {
    const wire = await strict.dialData({ local_port: 22, id: 'AAAAAAAAAAAAAAAAAAAAAA' })
    t.equal((await wire.all()).length, 0, 'without an answer in strict mode')
  }
  t.equal(relay.stats.refused.unclaimed, 22)
  await strict.talk(t)
})

for (const { mode, strict } of MODES) {
  t.test(`a client that serves others is not taken for unresponsive when one user gets no data connection, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t, { dropAfter: 3_600_000 })
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    const [served, left] = [await Wire.dial(client.remotePort), await Wire.dial(client.remotePort)]
    await client.serve()
    await client.asked()
    later(relay, 61_000)
    await left.ended
    later(relay, 0)
    t.ok(await client.ping())
    t.match(relay.stats, { users: 1, drops: { timeout: 1 }, refused: { unresponsive: 0 } })
    served.reset()
  })
}
