/** A client that floods its control connection takes no more than its share. */
import t from 'tap'
import { ManualClock } from '../../helpers/clock.ts'
import { freePorts } from '../../helpers/free-ports.ts'
import { drain, turn, until } from '../../helpers/ends.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { rateLimited, controlBudget, sharedBudget } from '../../../src/nodes/gotunnel/protocol/control-budget.ts'
import { OTHER_TOKEN, ScriptedClient, startRelay } from '../../helpers/gotunnel/scripted-client.ts'
import { Listening, ScriptedServer, startPeer } from '../../helpers/gotunnel/scripted-server.ts'
import { frameParts } from '../../helpers/gotunnel/wire.ts'

/** A frame that says nothing, in its smallest form. */
const JUNK = Buffer.concat(frameParts(Buffer.from('{}')))

/** So much that the end of it would be far off on any machine. */
const FLOOD = Buffer.concat(Array.from({ length: 50_000 }, () => JUNK))

t.test('after a few messages the others have their turn, and beyond the rate they wait', async (t) => {
  let held = 0
  const clock = new ManualClock()
  const pass = controlBudget(clock, () => { held++ })
  const turns: number[] = []
  for (let i = 1; i <= 8192; i++) if (pass(1) !== undefined) turns.push(i)
  t.equal(turns[0], 32)
  t.equal(turns.length, 256)
  t.equal(held, 0, 'a burst as of thousands of users does not wait')
  t.same(clock.waiting, [])
  let isOver = false
  const waiting = pass(1)?.then(() => { isOver = true })
  t.equal(held, 1, 'the first one beyond it does')
  t.same(clock.holding, [], 'which keeps no process alive')
  await clock.pass(49)
  t.notOk(isOver)
  await clock.pass(1)
  await waiting
  for (let i = 1; i < 50; i++) void pass(1)
  t.equal(held, 1, 'a thousand a second, after a while as well')
  void pass(1)
  t.equal(held, 2)
})

t.test('many connections of one identity have four times as much as one, together', async (t) => {
  let held = 0
  const clock = new ManualClock()
  const shared = sharedBudget(clock)
  const all = Array.from({ length: 64 }, () => controlBudget(clock, () => { held++ }, shared))
  for (let i = 0; i < 4 * 8192; i++) void all[i % all.length](1)
  t.equal(held, 0)
  void all[0](1)
  t.equal(held, 1)
  for (const pass of all.slice(1)) void pass(1)
  t.equal(held, 64, 'then every one of them waits')
  const other = controlBudget(clock, () => { t.fail('another identity waits') }, sharedBudget(clock))
  void other(1)
  await clock.pass(50)
  t.same(clock.waiting, [], '4000 a second are enough for one message of each')
})

t.test('a large message counts for as many as it takes', async (t) => {
  let held = 0
  const pass = controlBudget(new ManualClock(), () => { held++ })
  const messages = (bytes: number): number => {
    for (let count = 0; ; count++) {
      void pass(bytes)
      if (held > 0) return count
    }
  }
  const count = messages(64 * 1024)
  t.ok(count >= 32 && count < 40, `${count} of 64 KiB`)
  const turns = controlBudget(new ManualClock(), () => {})
  t.not(turns(64 * 1024), undefined, 'the others have their turn after each')
  t.equal(turns(100), undefined)
})

t.test('an abort does not wait for what waits', async (t) => {
  const [here, there] = memoryPair()
  t.teardown(() => { there.abort(new Error('the test is over')) })
  const link = rateLimited(here, () => new Promise(() => {}))
  there.port.send([Buffer.from('message')])
  const reason = new Error('enough')
  const reading = drain(link.source)
  await turn()
  link.abort(reason)
  t.equal(await reading, reason)
  t.equal(link.port.send([Buffer.from('late')]), 0)
})

t.test('a relay that stops does not wait for a client that floods', async (t) => {
  const server = await startRelay(t)
  const [port] = await freePorts(1)
  const flood = await ScriptedClient.registered(t, server.port, { remotePort: port, strict: true })
  flood.control.write(FLOOD)
  await until(() => server.relay.stats.heldMessages > 0)
  const { heldMessages } = server.relay.stats
  await server.relay.close()
  t.ok(server.relay.stats.heldMessages <= heldMessages + 40, 'what waited was not gone through')
})

t.test('what is larger than any message is not even parsed, and nothing follows from it', async (t) => {
  const server = await startRelay(t)
  const [port] = await freePorts(1)
  const client = await ScriptedClient.registered(t, server.port, { remotePort: port, strict: true })
  const large = Buffer.from(JSON.stringify({ type: 'offline_port', port, more: 'x'.repeat(5000) }))
  for (const part of frameParts(large)) client.control.write(part)
  t.ok(await client.ping())
  await client.talk(t)
})

t.test('what a client floods makes no sense and counts all the same: it waits, and another client is served before it', async (t) => {
  const server = await startRelay(t)
  const [one, another] = await freePorts(2)
  const flood = await ScriptedClient.registered(t, server.port, { remotePort: one, strict: true })
  const client = await ScriptedClient.registered(t, server.port, { remotePort: another, strict: true, token: OTHER_TOKEN })
  flood.control.write(FLOOD)
  let isThrough = false
  void flood.ping().then((isThere) => { isThrough = isThere })
  await until(() => server.relay.stats.heldMessages > 0)
  t.ok(await client.ping())
  await client.talk(t)
  t.notOk(isThrough, 'what it has asked behind its flood waits with it')
})

t.test('a server that floods its peer waits as well, and another port is served before it', async (t) => {
  const [loud, quiet] = [await ScriptedServer.start(t, { strict: true }), await ScriptedServer.start(t, { strict: true })]
  const service = await Listening.start(t)
  const { peer } = startPeer(t, loud, service)
  startPeer(t, quiet, service)
  const [flood, other] = [await loud.next(), await quiet.next()]
  flood.wire.write(FLOOD)
  flood.ask(service.port + 1, 'behind the flood')
  await until(() => peer.stats[0].heldMessages > 0)
  const user = await quiet.user(other)
  user.write('request')
  t.equal(await (await service.connections.next()).text(7), 'request')
  t.equal(peer.stats[0].drops.not_owner, 0, 'what it has asked behind its flood waits with it')
  t.ok(peer.isOnline)
  user.reset()
})

t.test('a peer whose server floods goes on asking whether it is there, and takes the flood for an answer', async (t) => {
  const server = await ScriptedServer.start(t, { strict: true })
  const { peer, events } = startPeer(t, server, { port: 9 }, { pingInterval: 100 })
  const flood = await server.next()
  flood.isMute = true
  flood.wire.write(FLOOD)
  await until(() => peer.stats[0].heldMessages > 0)
  await flood.pinged(8)
  t.same(events, ['online strict'])
  t.ok(peer.isOnline)
})
