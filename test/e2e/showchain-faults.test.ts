/** SHOW CHAIN while something fails between its nodes: loss, relays that die, filters that come and go, a flood; and who may not connect any more. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decodeMessage, encodeMessage } from '../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../src/nodes/showchain/protocol/op.ts'
import { RELAY_HOST, type Home, type HomeInit } from '../helpers/network/nat-lab.ts'
import { intact } from '../helpers/network/echoed.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { eventually } from '../helpers/network/traffic.ts'
import { newHome } from '../helpers/programs/homes.ts'
import { sample } from '../helpers/sample.ts'
import { bytes, messageOf } from '../helpers/showchain/messages.ts'
import { NATS, OTHER_PORT, PATH_PATIENCE, PEER_PORT, ProgramLab, RELAY_HOSTS, RELAY_PORT, type Connected, type Served } from '../helpers/showchain/program-lab.ts'

/** Bytes that come back between two looks at a stream, and milliseconds between the pieces of one that lasts. */
const SOME = 300_000
const PACE = 10

interface Sites {
  lab: ProgramLab
  homes: [r: Home, t: Home]
  to: Served
  from: Connected
}

interface SitesInit {
  r: HomeInit
  t: HomeInit
  /** Before R is there. */
  prepare? (lab: ProgramLab, homes: [r: Home, t: Home]): Promise<void>
}

/** T serves at one site, R connects to it from another. The kind of T's NAT is known when R begins. */
async function sites (t: Test, { r, t: ofT, prepare }: SitesInit): Promise<Sites> {
  const lab = await ProgramLab.open(t)
  const homes: [Home, Home] = [await lab.nat.home('r', r), await lab.nat.home('t', ofT)]
  const [hostOfR, hostOfT] = [await homes[0].host('r-host'), await homes[1].host('t-host')]
  const to = await lab.serve(hostOfT, [lab.idAfter(1)])
  await to.kind()
  await prepare?.(lab, homes)
  return { lab, homes, to, from: await lab.connect(hostOfR, [to]) }
}

/** The relay by which packets go, and the other one. */
function proxies ({ lab: { relays }, from, to }: Sites): [used: number, other: number] {
  const endpoint = from.program.events.findLast(({ event, node }) => event === 'path' && node === to.id)?.endpoint
  const used = RELAY_HOSTS.findIndex((host) => endpoint === `${host}:${RELAY_PORT}`)
  return [used, relays.length - 1 - used]
}

async function direct (t: Test): Promise<void> {
  const { lab, from, to } = await sites(t, { r: NATS.T1, t: NATS.T1 })
  await lab.nat.lose(20)
  await from.reaches(t, to, 'direct')
  await from.echoes(t, to, sample('bytes over a direct path at 20 % loss', { short: 1_000_000, long: 10_000_000 }))
  t.equal(from.path(to.id), 'direct')
}

async function byProxy (t: Test): Promise<void> {
  const { lab, from, to } = await sites(t, { r: NATS.T4, t: NATS.T4 })
  await from.reaches(t, to, 'proxy')
  await lab.nat.lose(20)
  await from.echoes(t, to, sample('bytes by a proxy at 20 % loss', { short: 200_000, long: 1_000_000 }))
  t.equal(from.path(to.id), 'proxy')
}

/** Networks that take less than 1260 bytes, and tell nobody. */
async function narrow (t: Test): Promise<void> {
  const shrink = async ({ nat: { internet } }: ProgramLab, homes: Home[], mtu: number): Promise<void> => {
    for (const { device } of homes) await internet.ip('link', 'set', device, 'mtu', String(mtu))
  }
  const { lab, homes, from, to } = await sites(t, {
    r: NATS.T1,
    t: NATS.T1,
    async prepare (lab, homes) {
      await lab.nat.internet.filter('add rule inet lab sent icmp type destination-unreachable drop')
      await shrink(lab, homes, 1200)
    }
  })
  await from.reaches(t, to, 'direct')
  const stream = await from.start(to, { pace: PACE })
  t.ok(await from.hears(stream, SOME))
  await shrink(lab, homes, 900)
  t.ok(await from.hears(stream, 2 * SOME), 'it goes on')
  intact(t, await from.agent.call('finish', stream), 3 * SOME, 'the stream')
  t.equal(from.path(to.id), 'direct')
}

/** Both in one home, whose forwarded ports are those of both. */
const together = (hairpin: boolean) => async (t: Test): Promise<void> => {
  const lab = await ProgramLab.open(t)
  const home = await lab.nat.home('home', { kind: 'port-restricted', forwarded: { [PEER_PORT]: 2, [OTHER_PORT]: 3 }, hairpin })
  const to = await lab.serve(await home.host('one', 2), [lab.idAfter(1)])
  t.equal(await to.kind(), 'T1')
  const from = await lab.connect(await home.host('two', 3), [to], ['--port', String(OTHER_PORT)])
  if (hairpin) {
    await from.reaches(t, to, 'direct')
    t.ok((await from.explain(to.id)).some((step) => step.startsWith('a response of the node has come')), 'by a response')
  } else {
    t.equal(await from.kind(), 'T1')
    await from.reaches(t, to, 'proxy')
  }
  await from.echoes(t, to, SOME)
  t.equal(from.path(to.id), hairpin ? 'direct' : 'proxy')
}

/** 0x115 of the first relay does not arrive; then the relay is gone. */
async function helperDies (t: Test): Promise<void> {
  const op = '0x089502' // the field op_code of 0x115
  const { lab, from, to } = await sites(t, {
    r: NATS.T3,
    t: NATS.T3,
    async prepare ({ nat }) { await nat.internet.filter(`add counter inet lab held; add rule inet lab sent ip saddr ${RELAY_HOST} udp sport ${RELAY_PORT} @th,64,24 ${op} counter name held drop`) }
  })
  const held = async (): Promise<boolean> => /packets [1-9]/.test(await lab.nat.internet.run('nft', 'list', 'counter', 'inet', 'lab', 'held'))
  t.ok(await eventually(held), 'it introduces them')
  t.equal(await lab.relays[0].program.stop('SIGKILL'), null)
  await from.reaches(t, to, 'nat', 'the other helper has introduced them')
  await from.echoes(t, to, SOME)
}

async function proxyDies (t: Test): Promise<void> {
  const all = await sites(t, { r: NATS.T4, t: NATS.T4 })
  const { lab, from, to } = all
  await from.reaches(t, to, 'proxy')
  await from.kind() // then both relays are in use
  t.ok(await eventually(async () => (await from.status()).helpers.every(({ state }: any) => state === 'registered')))
  const stream = await from.start(to, { pace: PACE })
  t.ok(await from.hears(stream, SOME))
  const [used, other] = proxies(all)
  await lab.relays[used].program.stop('SIGKILL')
  t.ok(await from.hears(stream, 2 * SOME), 'it goes on')
  t.equal(proxies(all)[0], other, 'by the other proxy')
  intact(t, await from.agent.call('finish', stream), 3 * SOME, 'the stream')
}

async function moves (t: Test): Promise<void> {
  const { lab, homes: [a, b], from, to } = await sites(t, { r: NATS.T3, t: NATS.T3, prepare: (lab, [a, b]) => lab.nat.cutBoth(a, b) })
  await from.reaches(t, to, 'proxy')
  const stream = await from.start(to, { pace: PACE })
  t.ok(await from.hears(stream, SOME))
  await lab.nat.mend()
  await from.reaches(t, to, 'nat', 'a better path is found')
  const before = (await lab.nat.passed()).direct // what is still on its way by the proxy does not count
  t.ok(await eventually(async () => (await lab.nat.passed()).direct > before + 2 * SOME, PATH_PATIENCE), 'packets go by it')
  await lab.nat.cutBoth(a, b)
  await from.reaches(t, to, 'proxy', 'and back')
  t.ok(await from.hears(stream, SOME))
  intact(t, await from.agent.call('finish', stream), 3 * SOME, 'the stream')
}

async function revoked (t: Test): Promise<void> {
  const lab = await ProgramLab.open(t)
  const file = join(newHome(), 'friends.ids')
  const [one, two] = [lab.idAfter(1), lab.idAfter(2)]
  writeFileSync(file, `${one}\n${two} # for now\n`)
  const to = await lab.serve(await (await lab.nat.home('t', NATS.T1)).host('t-host'), [`@${file}`])
  const [stays, goes] = [await lab.connect(await (await lab.nat.home('one', NATS.T3)).host('one-host'), [to]), await lab.connect(await (await lab.nat.home('two', NATS.T4)).host('two-host'), [to])]
  const [staying, going] = [await stays.start(to, { pace: PACE }), await goes.start(to, { pace: PACE })]
  t.ok(await stays.hears(staying, SOME))
  t.ok(await goes.hears(going, SOME))
  writeFileSync(file, `${one}\n`)
  await to.reload()
  t.match(await goes.agent.call('result', going), { fault: /./ }, 'its stream has ended')
  await goes.program.event('offline')
  t.match(await to.program.event('served'), { event: 'served' })
  t.ok(to.program.events.some(({ event, node, state }) => event === 'served' && node === two && state === 'gone'))
  t.ok(await stays.hears(staying, SOME), 'the other one goes on')
  intact(t, await stays.agent.call('finish', staying), 2 * SOME, 'the stream')
  const again = await goes.agent.call('result', await goes.start(to, { bytes: SOME }))
  t.match(again, { fault: /./ }, 'nor does it get in again')
}

const coded = (...all: Uint8Array[]): string[] => all.map((each) => Buffer.from(each).toString('base64'))

/** As a node says it that has the address of its sender, but not its key; and what is not as it should be in other ways. */
function forged (relay: string, target: string, cookie: Uint8Array): string[] {
  const now = { seq: Date.now() * 1000, ts: Date.now() }
  const sign = bytes(256, 1)
  const [relayId, targetId] = [Buffer.from(relay, 'hex'), Buffer.from(target, 'hex')]
  return coded(
    encodeMessage(messageOf(Op.directRequest, { ...now, sign, cookie, target: relayId })),
    encodeMessage(messageOf(Op.natRequest, { ...now, sign, cookie, target: targetId })),
    encodeMessage(messageOf(Op.proxyRequest, { ...now, sign, cookie, target: targetId })),
    encodeMessage(messageOf(Op.dataRequest, { ...now, sign, target: targetId })),
    encodeMessage(messageOf(Op.responseAck, { ...now, sign })),
    encodeMessage(messageOf(Op.keepAlive)),
    bytes(200, 8),
    bytes(1232, 0xc1)
  )
}

async function flood (t: Test): Promise<void> {
  const all = await sites(t, { r: NATS.T4, t: NATS.T4 })
  const { lab, from, to } = all
  await from.reaches(t, to, 'proxy')
  const attacker = lab.agent(await (await lab.nat.home('attacker', { kind: 'none' })).host('attacker-host'))
  const [used] = proxies(all)
  const { id } = lab.relays[used]
  const request = encodeMessage(messageOf(Op.directRequest, { ts: Date.now(), cookie: undefined, target: Buffer.from(id, 'hex') }))
  const { cookie } = decodeMessage(Buffer.from(await attacker.call('ask', RELAY_HOSTS[used], RELAY_PORT, coded(request)[0]), 'base64'))
  const flooding = attacker.call('flood', RELAY_HOSTS[used], RELAY_PORT, { datagrams: forged(id, to.id, cookie as Uint8Array), perSecond: 2000 })
  await from.echoes(t, to, 2_000_000)
  await attacker.call('stopFlood')
  const sent = await flooding
  const { drops } = await lab.relays[used].status()
  const dropped = Object.values<number>(drops).reduce((sum, count) => sum + count, 0)
  t.comment(`${sent} forged datagrams, ${dropped} dropped: ${JSON.stringify(drops)}`)
  t.ok(dropped > sent / 4, 'they are counted')
  t.ok(drops.signature > 0, 'also those whose signature is all that is wrong')
  t.equal(from.path(to.id), 'proxy')
}

if (await canRun(t, ['nft'])) {
  t.setTimeout(900_000)
  t.jobs = 4 // most of their time is waiting
  const scenes: Array<[string, (t: Test) => Promise<void>]> = [
    ['a path starts at the proxy, gets direct in the middle of a transfer, and goes back (row 13)', moves],
    ['20 % loss on every hop, direct (row 10)', direct],
    ['20 % loss on every hop, by a proxy (row 10)', byProxy],
    ['a network that takes less than 1260 bytes, and then less still', narrow],
    ['both behind one public address, which they reach from inside (row 8)', together(true)],
    ['both behind one public address, which they do not reach from inside (row 8)', together(false)],
    ['a helper dies while they connect (row 9)', helperDies],
    ['a proxy dies in the middle of a transfer (row 9)', proxyDies],
    ['an id is revoked', revoked],
    ['a flood of forged datagrams', flood]
  ]
  await Promise.all(scenes.map(([name, run]) => t.test(name, { timeout: 400_000, buffered: true }, run)))
}
