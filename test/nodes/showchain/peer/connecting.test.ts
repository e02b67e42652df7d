/** Paths between nodes: direct, through NATs, by proxies, and what happens when something dies (SHOW CHAIN protocol, sections 5 and 6). */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { instant } from '../../../helpers/showchain/instant.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { ScriptedSender } from '../../../helpers/showchain/scripted-sender.ts'
import { World, type ProbingEnd, type WorldInit, type WorldNode } from '../../../helpers/showchain/world.ts'
import { sample } from '../../../helpers/sample.ts'
import { endpointText } from '../../../../src/net/endpoint.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { idKey } from '../../../../src/nodes/showchain/protocol/public-keys.ts'
import { hashOf } from '../../../../src/nodes/showchain/protocol/signatures.ts'
import type { NatKind } from '../../../../src/transports/memory/index.ts'

async function worldOf (kinds: ReadonlyArray<NatKind | undefined>, init: WorldInit = {}): Promise<{ world: World, nodes: WorldNode[] }> {
  const world = new World(init)
  await world.relay('rsa2056', { bootstrap: ['192.0.2.2:7700'] })
  await world.relay('h', { bootstrap: ['192.0.2.1:7700'] })
  await world.clock.pass(5000)
  const nodes: WorldNode[] = []
  for (const [i, kind] of kinds.entries()) nodes.push(await world.node((['a', 'b', 'c'] as const)[i], kind === undefined ? {} : { nat: { kind } }))
  await world.clock.pass(15_000)
  return { world, nodes }
}

const texts = (from: WorldNode, to: WorldNode): string[] => from.node.historyOf(to.id).events.map(({ text }) => text)

/** Milliseconds until R sends by a path. */
async function untilChosen (world: World, end: ProbingEnd, within = 60_000): Promise<number> {
  const start = world.clock.now()
  await world.clock.until(() => end.chosen !== undefined, { within })
  return world.clock.now() - start
}

t.test('how long it takes: a nat path at once, a proxy at once where the kinds say so', async (t) => {
  const { world, nodes: [a, b, c] } = await worldOf(['port-restricted-cone', 'port-restricted-cone', 'symmetric'])
  t.teardown(() => world.close())
  const near = a.connect(b)
  t.ok(await untilChosen(world, near) < 1500, texts(a, b).join('\n'))
  t.equal(near.chosen?.kind, 'nat')
  const far = a.connect(c)
  t.ok(await untilChosen(world, far) < 1500, texts(a, c).join('\n'))
  t.equal(far.chosen?.kind, 'proxy')
  t.match(texts(a, c).join('\n'), 'the NATs do not let them meet: T3 here, T4 there')
  t.equal(far.connector?.state, 'connected')
})

t.test('a node whose endpoint is known needs no helper', async (t) => {
  const { world, nodes: [a, b] } = await worldOf(['symmetric', undefined])
  t.teardown(() => world.close())
  for (const relay of world.relays) await relay.close()
  const end = a.connect(b, b.node.local)
  await untilChosen(world, end)
  t.match(end.chosen, { kind: 'direct', endpoint: b.node.local })
})

t.test('both behind one public address are connected by 0x113 (row 8)', async (t) => {
  const seeds = sample('seeds', { short: 3, long: 200 })
  for (const kind of ['port-restricted-cone', 'restricted-cone', 'full-cone'] as const) {
    let responses = 0
    for (let seed = 1; seed <= seeds; seed++) {
      const { world } = await worldOf([], { seed, loss: 0.02 })
      const first = await world.node('b', { nat: { kind, hairpin: true } })
      const second = await world.node('c', { behind: first })
      await world.clock.pass(15_000)
      const end = first.connect(second)
      await world.clock.until(() => end.chosen !== undefined && end.chosen.kind !== 'proxy', { within: 600_000 })
      t.equal(end.chosen?.endpoint.host, first.node.mapped[0].host, `${kind}, seed ${seed}: by the address outside`)
      if (texts(first, second).some((text) => text.startsWith('a response of the node has come from 203.0.113.1'))) responses++
      await world.close()
    }
    if (kind === 'full-cone') t.ok(responses > 0, 'where it gets in, it is there before the helper tells anything')
  }
})

t.test('both behind one symmetric NAT that lets nobody back in: a proxy', async (t) => {
  const { world } = await worldOf([])
  t.teardown(() => world.close())
  const first = await world.node('b', { nat: { kind: 'symmetric' } })
  const second = await world.node('c', { behind: first })
  await world.clock.pass(15_000)
  const end = first.connect(second)
  t.ok(await untilChosen(world, end) < 1500)
  t.equal(end.chosen?.kind, 'proxy')
})

for (const [name, kinds, expected] of [['through NAT', ['port-restricted-cone', 'restricted-cone'], 'nat'], ['by a proxy', ['symmetric', 'symmetric'], 'proxy']] as const) {
  t.test(`${name}: the helper is killed at every state, the other one is used (row 9)`, { timeout: 3_600_000 }, async (t) => {
    const moments = sample('moments', { short: 12, long: 100 })
    for (let i = 0; i < moments; i++) {
      const { world, nodes: [a, b] } = await worldOf(kinds, { seed: i })
      const [first] = a.node.helpers.registered
      const killed = world.bootstrap.findIndex(({ host }) => host === first.endpoint.host)
      const end = a.connect(b)
      await world.clock.pass(i * 500 / moments)
      await world.relays[killed].close()
      await untilChosen(world, end, 120_000)
      await world.clock.until(() => end.chosen?.kind === expected && (expected === 'nat' || end.chosen.endpoint.host !== first.endpoint.host), { within: 60_000 })
      t.equal(end.chosen?.kind, expected, `after ${i * 500 / moments} ms`)
      await world.close()
    }
  })
}

t.test('a proxy that dies is replaced by the other one (row 9)', async (t) => {
  const { world, nodes: [a, b] } = await worldOf(['symmetric', 'port-restricted-cone'])
  t.teardown(() => world.close())
  const end = a.connect(b)
  await untilChosen(world, end)
  await world.clock.pass(10_000)
  const before = end.chosen?.endpoint as { host: string, port: number }
  await world.relays[world.bootstrap.findIndex(({ host }) => host === before.host)].close()
  const start = world.clock.now()
  await world.clock.until(() => end.chosen !== undefined && endpointText(end.chosen.endpoint) !== endpointText(before), { within: 60_000 })
  t.ok(world.clock.now() - start < 12_000, 'within the time that a session lasts without an answer')
  t.equal(end.chosen?.kind, 'proxy')
})

t.test('from a proxy to a better path, when the own NAT becomes another one', async (t) => {
  const { world, nodes: [a, b] } = await worldOf(['symmetric', 'port-restricted-cone'])
  t.teardown(() => world.close())
  const end = a.connect(b)
  await untilChosen(world, end)
  t.equal(end.chosen?.kind, 'proxy')
  const other = world.network.subnet('192.168.1.0/24', { delay: 1 })
  world.network.nat({ inside: other, outside: world.internet, address: '203.0.113.77', kind: 'full-cone' })
  a.host.leave(a.host.interfaces[0])
  a.host.join({ on: other, address: '192.168.1.2' })
  await world.clock.until(() => end.chosen?.kind === 'nat', { within: 120_000 })
  await world.clock.until(() => a.node.kind === 1, { within: 120_000 })
})

t.test('a path that is lost is found again, and by a proxy meanwhile', async (t) => {
  const { world, nodes: [a, b] } = await worldOf(['port-restricted-cone', 'port-restricted-cone'])
  t.teardown(() => world.close())
  const end = a.connect(b)
  await untilChosen(world, end)
  const heal = world.network.partition([a.host], [b.host])
  await world.clock.until(() => end.chosen?.kind === 'proxy', { within: 30_000 })
  heal()
  await world.clock.until(() => end.chosen?.kind === 'nat', { within: 400_000 })
  t.match(end.kinds, ['nat', 'proxy', 'nat'])
})

t.test('who waits for a path is not kept waiting by one that works no more', async (t) => {
  const { world, nodes: [a, b] } = await worldOf([undefined, undefined])
  t.teardown(() => world.close())
  const end = a.connect(b)
  await untilChosen(world, end)
  const { connector } = end
  world.network.partition([b.host])
  for (let i = 0; i < 3; i++) await world.clock.until(() => end.chosen === undefined && connector?.state === (i === 1 ? 'searching' : 'waiting'), { within: 60_000 })
  t.ok(connector !== undefined && connector.paths.length > 0, 'it is still there')
  connector?.hurry()
  t.equal(connector?.state, 'searching')
})

t.test('without direct paths there is a proxy at once', async (t) => {
  const { world, nodes: [a] } = await worldOf([undefined])
  t.teardown(() => world.close())
  const b = await world.node('b', { isDirect: false })
  await world.clock.pass(10_000)
  const end = b.connect(a)
  t.ok(await untilChosen(world, end) < 1000)
  await world.clock.pass(100_000)
  t.equal(end.chosen?.kind, 'proxy')
})

t.test('who may not connect hears nothing, on any way', async (t) => {
  const { world, nodes: [a] } = await worldOf([undefined])
  t.teardown(() => world.close())
  const guarded = await world.node('b', { isAllowed: () => false })
  await world.clock.pass(10_000)
  const before = structuredClone(guarded.node.stats.sent)
  const end = a.connect(guarded, guarded.node.local)
  await world.clock.pass(60_000)
  t.equal(end.chosen, undefined)
  t.same(end.paths.size > 0 ? [...end.paths.keys()].map(({ kind }) => kind) : [], ['proxy'], 'the proxy does not know')
  const { directResponse, response, responseAck } = guarded.node.stats.sent
  t.same({ directResponse, response, responseAck }, { directResponse: before.directResponse, response: before.response, responseAck: before.responseAck })
  t.equal(guarded.accepted.size, 0)
  t.ok(guarded.node.stats.drops.target > 0)
})

t.test('a node that does not exist: searches further and further apart', async (t) => {
  const { world, nodes: [a] } = await worldOf(['port-restricted-cone'])
  t.teardown(() => world.close())
  const ghost = { id: identity('f').id } as unknown as WorldNode
  const end = a.connect(ghost)
  await world.clock.pass(300_000)
  t.equal(end.paths.size, 0)
  const searches = a.node.historyOf(ghost.id).events.filter(({ text }) => text.startsWith('looks')).length
  t.ok(searches > 5 && searches < 20, String(searches))
  end.connector?.stop()
  const waiting = world.clock.waiting.length
  t.equal(end.connector?.state, 'stopped')
  await world.clock.pass(100_000)
  t.ok(world.clock.waiting.length <= waiting)
})

t.test('an end that has gone: its paths end after a minute', async (t) => {
  const { world, nodes: [a, b] } = await worldOf(['restricted-cone', 'full-cone'])
  t.teardown(() => world.close())
  const end = a.connect(b)
  await untilChosen(world, end)
  const echo = b.accepted.get(idKey(a.id))
  t.equal(echo?.paths.size, 1)
  a.node.close()
  await world.clock.pass(80_000)
  t.equal(echo?.paths.size, 0)
})

t.test('messages of R that are old, ahead or repeated (row 3)', async (t) => {
  const { world, nodes: [b] } = await worldOf([undefined])
  t.teardown(() => world.close())
  const host = world.network.host({ on: world.internet, address: '198.51.100.200' })
  const sender = new ScriptedSender(world.clock, instant(identity('f')), await host.bindUdp({ port: 9 }))
  const ask = async (seq: number, offset = 0): Promise<number[]> => {
    sender.request(Op.directRequest, b.id, b.node.local, seq, offset)
    await world.clock.pass(1000)
    return sender.take().map(({ op, sign }) => sign === undefined ? 0 : op)
  }
  t.same(await ask(1000), [0], 'a challenge')
  t.same(await ask(1001), [Op.directResponse])
  t.same(await ask(1001), [], 'repeated')
  t.same(await ask(1100, -31_000), [], 'old')
  t.same(await ask(1101, 31_000), [], 'ahead')
  t.same(await ask(1200), [Op.directResponse])
  t.same(await ask(1200 - 65), [], '65 behind')
  t.same(await ask(1200 - 64), [Op.directResponse], '64 behind')
  t.same(await ask(1199, -29_000), [Op.directResponse])
})

t.test('0x100 with the id of a helper from elsewhere changes nothing (row 6)', async (t) => {
  const { world, nodes: [a] } = await worldOf([undefined])
  t.teardown(() => world.close())
  const [helper] = a.node.helpers.registered
  const host = world.network.host({ on: world.internet, address: '198.51.100.200' })
  const sender = new ScriptedSender(world.clock, instant(identity('f')), await host.bindUdp({ port: 9 }))
  const { mapped } = helper
  sender.send({ op: Op.keepAlive, id: helper.id, seq: 0, ts: 0, ip: Uint8Array.of(1, 2, 3, 4), port: 5 }, a.node.local)
  await world.clock.pass(1000)
  t.same(helper.mapped, mapped)
  t.equal(helper.state, 'registered')
  t.same(sender.take(), [], 'a node answers none')
})

t.test('requests that only name R take nothing of what it may ask', async (t) => {
  const { world, nodes: [a, b] } = await worldOf([undefined, undefined])
  t.teardown(() => world.close())
  const host = world.network.host({ on: world.internet, address: '198.51.100.200' })
  const forger = new ScriptedSender(world.clock, { ...instant(identity('a')), sign: () => new Uint8Array(256) }, await host.bindUdp({ port: 9 }))
  for (let i = 0; i < 101; i++) {
    forger.request(Op.directRequest, b.id, b.node.local, 1 + i)
    if (i === 0) await world.clock.pass(1000)
  }
  await world.clock.pass(100)
  t.equal(b.node.stats.drops.signature, 100)
  const end = a.connect(b, b.node.local)
  t.ok(await untilChosen(world, end) < 500, texts(a, b).join('\n'))
  t.equal(b.node.stats.drops.limit, 0)
})

t.test('sessions that a helper makes up are bounded, of one R and of many', async (t) => {
  const { world, nodes: [b] } = await worldOf([undefined], {})
  t.teardown(() => world.close())
  await world.relays[0].close()
  const helper = new ScriptedSender(world.clock, instant(identity('f')), await world.relayHosts[0].bindUdp({ port: 7700 }))
  const flood = async (idOf: (i: number) => Uint8Array): Promise<void> => {
    for (let i = 0; i < 400; i++) {
      const data = Uint8Array.of(0xc0, i >>> 8, i)
      helper.send({ op: Op.passData, id: idOf(i), target: b.id, session: randomBytes(16), seq: 1, ts: Math.floor(world.clock.date()), data, dataHash: hashOf(data) }, b.node.local)
    }
    await world.clock.pass(100)
  }
  await flood(() => identity('c').id)
  t.equal(b.node.pathCounts.sessions, 8)
  await world.clock.pass(1000)
  await flood(() => randomBytes(32))
  const { sessions } = b.node.pathCounts
  t.ok(sessions > 8 && sessions <= 8 + 60, `${sessions} sessions`)
})

t.test('introductions by strangers, and too many of one R', async (t) => {
  const { world, nodes: [b] } = await worldOf([undefined])
  t.teardown(() => world.close())
  const host = world.network.host({ on: world.internet, address: '198.51.100.200' })
  const sender = new ScriptedSender(world.clock, instant(identity('f')), await host.bindUdp({ port: 9 }))
  const sent = (): number => b.node.stats.sent.response + b.node.stats.sent.responseAck
  const before = sent()
  sender.introduce(b.id, b.node.local, { ip: Uint8Array.of(198, 51, 100, 201), port: 9 })
  await world.clock.pass(5000)
  t.equal(sent(), before, 'by nobody with whom it is registered')
  t.equal(b.node.pathCounts.punches, 0)
})

t.test('helpers that are registered with each other stay so, and nodes can find out their kind at any time', async (t) => {
  const { world } = await worldOf([])
  t.teardown(() => world.close())
  await world.clock.pass(300_000)
  t.same(world.relays.map((relay) => relay.status().nodes), [1, 1])
  const node = await world.node('a', { nat: { kind: 'full-cone' } })
  await world.clock.pass(15_000)
  t.match(node.node.kindReport, { kind: 1, isCertain: true })
})
