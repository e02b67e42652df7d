/** How a relay takes control connections, by the numbers of the table of conformance cases (gotunnel protocol, section 11), against a scripted client. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { ManualClock } from '../../helpers/clock.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { first, until } from '../../helpers/ends.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { failed, later, MODES, OK, OTHER_TOKEN, ScriptedClient, startRelay, STRICT_OK, TOKEN } from '../../helpers/gotunnel/scripted-client.ts'
import { vector } from '../../helpers/gotunnel/vectors.ts'
import { dialSoon, encode, frame, frameParts, isRefused, Wire } from '../../helpers/gotunnel/wire.ts'

const OK_HEX = vector('register_resp_ok').hex
const FAIL_HEX = vector('register_resp_fail').hex

/** A port that another program has, until the test lets it go. */
async function occupied (t: Test): Promise<{ port: number, release: () => Promise<void> }> {
  const port = await freePort()
  const server = createServer((socket) => { socket.destroy() }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  const release = async (): Promise<void> => { if (server.listening) await once(server.close(), 'close') }
  t.teardown(release)
  return { port, release }
}

t.test('T7: a good register is answered ok, and its port accepts', async (t) => {
  const { port, relay } = await startRelay(t)
  const remotePort = await freePort()
  const wire = await Wire.dial(port)
  t.teardown(() => { wire.socket.destroy() })
  wire.send({ type: 'register', local_port: 22, remote_port: remotePort, protocol: 'tcp', token: TOKEN, name: 'client-name' })
  t.equal(toHex(await wire.frame() ?? hex('')), OK_HEX, 'byte for byte')
  const user = await Wire.dial(remotePort) // at once: the port is there before the answer
  t.match(relay.stats, { clients: 1, ports: 1 })
  t.same((await wire.message())?.type, 'open_data_channel')
  user.socket.destroy()
})

t.test('T7: strict mode is agreed on only when both offer it', async (t) => {
  for (const [mode, offers, answer] of [
    ['auto', false, OK], ['auto', true, STRICT_OK], ['compatible', false, OK], ['compatible', true, OK], ['strict', true, STRICT_OK], ['strict', false, failed('strict mode required')]
  ] as const) {
    const { port } = await startRelay(t, { mode })
    const client = await ScriptedClient.register(t, port, { remotePort: await freePort(), strict: offers })
    t.same(await client.answer(), answer, `${mode}, offered: ${String(offers)}`)
    if (answer.status === 'ok') await client.talk(t)
    else await client.ended
  }
})

t.test('T7: as in the original, neither type nor protocol nor the name decide, and keys match without regard to case', async (t) => {
  const { port } = await startRelay(t)
  for (const first of [
    { type: 'weird', local_port: 22, protocol: 'udp', token: TOKEN, name: '' },
    { TYPE: 'register', Local_Port: 22, Token: TOKEN, unknown: [1, { a: null }] },
    { token: 7, local_port: 'x', TOKEN },
    { token: TOKEN }
  ]) {
    const remotePort = await freePort()
    const wire = await Wire.dial(port)
    t.teardown(() => { wire.socket.destroy() })
    wire.send({ ...first, Remote_Port: remotePort })
    t.equal(toHex(await wire.frame() ?? hex('')), OK_HEX, JSON.stringify(first))
    t.notOk(await isRefused(remotePort))
  }
})

t.test('T7: messages that the relay does not know, or that are wrong, end nothing', async (t) => {
  const { port } = await startRelay(t)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const open = { type: 'open_data_channel', local_port: 22, remote_port: 0, protocol: '', token: '', name: '' }
  client.control.send({ type: 'unknown', data: 'test' }, open, client.opening(open), { type: 'register', token: TOKEN, remote_port: 1 }, { type: 'ping', time: 'x' }, { type: 'offline_port', port: [] })
  for (const body of ['invalid', '', '[]', 'null', '7', '{"type":"offline_port"']) for (const part of frameParts(Buffer.from(body))) client.control.write(part)
  t.ok(await client.ping())
  await client.talk(t)
  t.same([client.inbox, client.faults], [[], []], 'and none was answered')
})

t.test('T8: a wrong token, garbage, and an empty first frame get the very bytes of the refusal, and the end', async (t) => {
  const { port, relay } = await startRelay(t)
  const register = { type: 'register', local_port: 22, remote_port: await freePort(), protocol: 'tcp', token: 'wrong', name: 'x' }
  const firsts = [
    ['wrong token', encode(register)], ['empty token', encode({ ...register, token: '' })], ['no token', encode({ type: 'register' })],
    ['a token of another type', encode({ ...register, token: [TOKEN] })], ['another token behind it', Buffer.from(`{"token":"${TOKEN}","token":"wrong"}`)],
    ['a token with a blank', encode({ ...register, token: `${TOKEN} ` })], ['wrong token of a data connection', encode({ ...register, type: 'data_channel' })],
    ['no JSON', Buffer.from('invalid')], ['half of it', encode(register).subarray(0, 40)], ['empty', Buffer.alloc(0)], ['no object', Buffer.from('[1]')], ['no UTF-8', hex('ff00fe')]
  ] as const
  for (const [name, body] of firsts) {
    const wire = await Wire.dial(port)
    for (const part of frameParts(body)) wire.write(part)
    t.equal(toHex(await wire.all()), FAIL_HEX, name)
    wire.end()
  }
  t.equal(relay.stats.refused.token, firsts.length)
  t.match(relay.stats, { clients: 0, ports: 0 })
})

t.test('T8: whoever leaves in or in front of its first frame is not answered', async (t) => {
  const { port, relay } = await startRelay(t)
  for (const bytes of ['', '00', '000000', '00000072', '000000727b']) {
    const wire = await Wire.dial(port)
    wire.write(hex(bytes))
    wire.end()
    t.equal((await wire.all()).length, 0, bytes)
  }
  const wire = await Wire.dial(port)
  wire.reset()
  await until(() => relay.stats.halfOpen === 0)
  t.ok(Object.values(relay.stats.refused).every((count) => count === 0), 'and none counts as refused')
})

t.test('T9: strict mode says why a port cannot be had', async (t) => {
  const { port, relay } = await startRelay(t)
  const { port: busy } = await occupied(t)
  const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict: true, name: 'owner' })
  for (const [remotePort, token, reason] of [
    [busy, TOKEN, 'port in use'], [owner.remotePort, OTHER_TOKEN, 'port in use'],
    [0, TOKEN, 'port not allowed'], [-1, TOKEN, 'port not allowed'], [70_000, TOKEN, 'port not allowed'], [80, TOKEN, 'port not allowed']
  ] as const) {
    const client = await ScriptedClient.register(t, port, { remotePort, token, strict: true, name: token })
    t.same(await client.answer(), failed(reason), String(remotePort))
    await client.ended
  }
  t.match(relay.stats.refused, { busy: 2, port: 4 })
  await owner.talk(t)
})

t.test('T9: in compatible mode a busy port is answered ok, and served as soon as it is free', async (t) => {
  const { port, relay } = await startRelay(t)
  const { port: busy, release } = await occupied(t)
  const client = await ScriptedClient.register(t, port, { remotePort: busy })
  t.same(await client.answer(), OK)
  t.ok(await client.ping())
  for (let i = 0; i < 10; i++) later(relay, 0)
  t.ok(await client.ping(), 'an attempt in vain ends nothing')
  await release()
  while (await isRefused(busy)) later(relay, 0)
  await client.asked() // for the one who has looked
  const user = await Wire.dial(busy)
  user.write('request')
  const datas = [await client.serve(), await client.data({ local_port: 22 })]
  t.equal(await Promise.any(datas.map((data) => data.text(7))), 'request', 'that of the other one ends')
  user.socket.destroy()
})

t.test('T9: in compatible mode the port of another identity is answered ok, and served when that has left', async (t) => {
  const { port, relay } = await startRelay(t)
  const owner = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const next = await ScriptedClient.register(t, port, { remotePort: owner.remotePort, token: OTHER_TOKEN })
  t.same(await next.answer(), OK)
  for (let i = 0; i < 10; i++) later(relay, 0)
  await owner.talk(t)
  owner.control.socket.destroy()
  await until(() => relay.stats.clients === 1)
  while (relay.stats.ports === 0) {
    later(relay, 0)
    t.ok(await next.ping())
  }
  await next.talk(t)
})

t.test('T9: in compatible mode ports that cannot be are answered ok, and nothing is there', async (t) => {
  const { port, relay } = await startRelay(t)
  for (const remotePort of [0, -1, 70_000]) {
    const client = await ScriptedClient.register(t, port, { remotePort })
    t.same(await client.answer(), OK, String(remotePort))
    client.offline()
    client.online()
    for (let i = 0; i < 10; i++) later(relay, 0)
    t.ok(await client.ping())
    t.match(relay.stats, { clients: 1, ports: 0 })
    client.control.socket.destroy()
    await until(() => relay.stats.clients === 0)
  }
})

for (const { mode, strict } of MODES) {
  t.test(`T16: without a ping for 30 s connection, port and listener are gone, and the port can be had again, ${mode}`, async (t) => {
    const { port, relay } = await startRelay(t)
    const client = await ScriptedClient.registered(t, port, { remotePort: await freePort(), strict })
    later(relay, 29_000)
    t.ok(await client.ping(), 'still there, and heard 29 s from now')
    later(relay, 58_000)
    t.ok(await client.ping())
    later(relay, 89_000)
    t.equal(relay.stats.ports, 0, 'its port is free at once')
    t.same(await client.next('unregistered'), strict ? { type: 'unregistered', reason: 'no ping' } : undefined)
    await client.ended
    client.control.end()
    await until(() => relay.stats.clients === 0)
    t.equal(relay.stats.refused.timeout, 1)
    t.ok(await isRefused(client.remotePort))
    const next = await ScriptedClient.registered(t, port, { remotePort: client.remotePort, token: OTHER_TOKEN, strict })
    await next.talk(t)
  })
}

t.test('T20: a first frame that does not come in time ends the connection', async (t) => {
  const clock = new ManualClock()
  const { port, relay } = await startRelay(t, { firstFrameTimeout: 5000, clock })
  const register = frame({ type: 'register', local_port: 22, remote_port: 1, protocol: 'tcp', token: TOKEN, name: 'x' })
  for (const bytes of [register.subarray(0, 0), register.subarray(0, 2), register.subarray(0, register.length - 1)]) {
    const wire = await Wire.dial(port)
    wire.write(bytes)
    await clock.whenSet(5000)
    clock.advance(5000)
    t.equal((await wire.all()).length, 0)
  }
  const drip = await Wire.dial(port)
  drip.write(hex('00000fff'))
  await clock.whenSet(5000)
  for (let i = 0; i < 10; i++) {
    drip.write(' ')
    await clock.pass(500)
  }
  await drip.ended
  t.equal(relay.stats.refused.timeout, 4, 'also byte by byte')
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  const user = await dialSoon(client.remotePort)
  const data = await client.serve()
  const last = await Wire.dial(port)
  await clock.whenSet(5000)
  clock.advance(5000) // its deadline is behind those of the client and of the data connection
  await last.ended
  user.write('x')
  t.equal(await data.text(1), 'x')
  t.ok(await client.ping())
  user.socket.destroy()
})

t.test('T20: a frame beyond the cap ends the connection before anything is kept', async (t) => {
  const { port, relay } = await startRelay(t)
  for (const length of ['ffffffff', '80000000', '00001001']) {
    const before = process.memoryUsage().arrayBuffers
    const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.dial(port)))
    for (const wire of wires) wire.write(hex(length))
    for (const wire of wires) t.equal((await wire.all()).length, 0)
    t.ok(process.memoryUsage().arrayBuffers - before < 20 * 1024 * 1024, 'not a megabyte each')
  }
  t.equal(relay.stats.refused.malformed, 60)
  const client = await ScriptedClient.registered(t, port, { remotePort: await freePort() })
  for (const part of frameParts(Buffer.alloc(65_536))) client.control.write(part)
  t.ok(await client.ping(), '64 KiB may be, once it is registered')
  client.control.write(hex('00010001'))
  await client.ended
  await until(() => relay.stats.clients === 0)
  t.ok(await isRefused(client.remotePort))
})

t.test('T20: connections, ports and ports of one identity have their limits', async (t) => {
  const { port, relay } = await startRelay(t, { maxPortsTotal: 3, identities: [{ name: 'home', token: TOKEN, maxPorts: 2 }, { name: 'office', token: OTHER_TOKEN }], maxHalfOpen: 4, maxConnections: 8 })
  for (const [token, answer] of [[TOKEN, STRICT_OK], [TOKEN, STRICT_OK], [TOKEN, failed('too many ports')], [OTHER_TOKEN, STRICT_OK], [OTHER_TOKEN, failed('too many ports')]] as const) {
    const client = await ScriptedClient.register(t, port, { remotePort: await freePort(), token, strict: true, name: token })
    t.same(await client.answer(), answer)
    if (answer.status === 'fail') client.control.end()
  }
  await until(() => relay.stats.halfOpen === 0)
  t.match(relay.stats, { clients: 3, ports: 3, refused: { ports: 2 } })
  const silent = await Promise.all(Array.from({ length: 12 }, () => Wire.dial(port)))
  t.teardown(() => { for (const wire of silent) wire.socket.destroy() })
  await until(() => relay.stats.refused.limit === 8)
  t.equal(relay.stats.halfOpen, 4, 'the oldest of the silent ones make room')
  t.equal(relay.stats.clients, 3, 'nobody else does')
})

t.test('a link in memory comes from no address, and is served', async (t) => {
  const { relay } = await startRelay(t)
  const [here, there] = memoryPair()
  const served = relay.accept(Object.assign(there, { remote: { host: 'memory', port: 0 } }))
  here.port.send([frame({ type: 'register', local_port: 22, remote_port: await freePort(), protocol: 'tcp', token: TOKEN, name: '' })])
  t.equal(toHex(await first(here.source)), OK_HEX)
  here.abort(new Error('done'))
  await served
})
