/** What the directions of a connection do to packets. Shares are those of fixed seeds. */
import fc from 'fast-check'
import t from 'tap'
import { talker, type Talker } from '../../../helpers/transports/simulation.ts'
import { SimulatedNetwork, type Conditions, type SimulatedHost, type TraceEvent } from '../../../../src/transports/memory/index.ts'
import type { UdpInit } from '../../../../src/transports/udp/socket.ts'

/** Bytes of the headers of IPv4 and UDP. */
const HEADERS = 28

interface Lab {
  network: SimulatedNetwork
  from: SimulatedHost
  to: SimulatedHost
  a: Talker
  b: Talker
  /** What was delivered, and when. */
  delivered: TraceEvent[]
}

async function lab (up: Conditions, { down, seed = 1, init }: { down?: Conditions, seed?: number, init?: UdpInit } = {}): Promise<Lab> {
  const delivered: TraceEvent[] = []
  const network = new SimulatedNetwork({ seed, onPacket: (event) => { if (event.what === 'delivered') delivered.push(event) } })
  const subnet = network.subnet('192.0.2.0/24', { delay: 10 })
  const [from, to] = [network.host({ on: subnet, address: '192.0.2.1', name: 'from', up }), network.host({ on: subnet, address: '192.0.2.2', name: 'to', down })]
  return { network, from, to, a: await talker(from, 1, init), b: await talker(to, 2), delivered }
}

/** Sends so many datagrams, numbered, and waits until all have come that will. */
async function send ({ network, a, b }: Lab, count: number, gap = 1): Promise<number[]> {
  for (let i = 0; i < count; i++) {
    a.say(b.local, String(i))
    await network.clock.pass(gap)
  }
  await network.clock.pass(10_000)
  return b.heard.map(([text]) => Number(text))
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_value, i) => i)

/** How often a number that is smaller than one before it comes. */
const late = (all: number[]): number => all.filter((one, i) => all.slice(0, i).some((earlier) => earlier > one)).length

t.test('delay: that of the subnet, once', async (t) => {
  const there = await lab({})
  t.same(await send(there, 3, 5), [0, 1, 2])
  t.same(there.delivered.map(({ time }) => time), [10, 15, 20])
  there.b.say(there.a.local)
  await there.network.clock.pass(10)
  t.equal(there.a.heard.length, 1, 'and once in the other direction')
})

t.test('delay: fractions of a millisecond; none at all takes a microsecond, so that time goes on', async (t) => {
  const half = await lab({ delay: 0.25 }, { down: { delay: 0.5 } })
  await send(half, 1)
  t.equal(half.delivered[0].time, 0.75)
  const none = await lab({ delay: 0 })
  await send(none, 1)
  t.equal(none.delivered[0].time, 0.001)
})

t.test('jitter: more or less delay, in order', async (t) => {
  const there = await lab({ delay: 20, jitter: 10 })
  t.same(await send(there, 1000, 2), numbers(1000))
  const delays = there.delivered.map(({ time }, i) => time - 2 * i)
  t.ok(Math.min(...delays) >= 20 && Math.max(...delays) < 30)
  t.ok(Math.min(...delays) < 21 && Math.max(...delays) > 29, 'all of the range')
})

t.test('loss: as many as the share says', async (t) => {
  const there = await lab({ loss: 0.1 })
  const got = await send(there, 5000)
  t.ok(got.length > 4400 && got.length < 4600, `${got.length} of 5000`)
  t.equal(there.network.counts.lost, 5000 - got.length)
  t.equal(late(got.slice(0, 500)), 0)
  for (const [loss, count] of [[0, 50], [1, 0]] as const) t.equal((await send(await lab({ loss }), 50)).length, count)
})

t.test('loss of one seed is always the same, and not that of another', async (t) => {
  const [first, again, other] = [await send(await lab({ loss: 0.5 }, { seed: 7 }), 100), await send(await lab({ loss: 0.5 }, { seed: 7 }), 100), await send(await lab({ loss: 0.5 }, { seed: 8 }), 100)]
  t.same(first, again)
  t.not(first.join(), other.join())
})

t.test('duplicates: as many as the share says, each directly behind its first', async (t) => {
  const there = await lab({ duplicate: 0.2 })
  const got = await send(there, 2000)
  const twice = got.filter((number, i) => got[i + 1] === number)
  t.same([...new Set(got)], numbers(2000))
  t.equal(got.length, 2000 + twice.length)
  t.ok(twice.length > 330 && twice.length < 470, `${twice.length} of 2000`)
  t.equal(there.network.counts.duplicated, twice.length)
})

t.test('reorder: some are held back, and later ones overtake them', async (t) => {
  const there = await lab({ reorder: 0.1, heldBack: 5 })
  const got = await send(there, 1000)
  t.same([...got].sort((a, b) => a - b), numbers(1000))
  t.ok(late(got) > 60 && late(got) < 140, `${late(got)} of 1000`)
  const { heldBack } = there.network.counts
  t.ok(heldBack >= late(got) && heldBack - late(got) < 5, 'all, but where those behind it are held back as well')
  for (const [i, number] of got.entries()) if (Math.abs(i - number) > 5) t.fail(`${number} came as number ${i}`)
})

t.test('MTU of the own connection: counted at the socket, and nothing is sent', async (t) => {
  const there = await lab({ mtu: 1000 })
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS))
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS + 1))
  t.same([there.a.socket.errors.tooLarge, there.network.counts.tooLarge, there.network.counts.sent], [1, 1, 1])
  await there.network.clock.pass(100)
  t.same(there.b.heard.map(([text]) => text.length), [1000 - HEADERS])
})

t.test('MTU further on: ICMP says so', async (t) => {
  const there = await lab({}, { down: { mtu: 1000 } })
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS))
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS + 1))
  t.equal(there.a.socket.errors.tooLarge, 0)
  await there.network.clock.pass(100)
  t.same([there.a.socket.errors.tooLarge, there.network.counts.tooLarge], [1, 1])
  t.same(there.b.heard.map(([text]) => text.length), [1000 - HEADERS])
  const error = [...there.network.trace].find(({ what, error }) => what === 'delivered' && error !== undefined)
  t.match(error, { error: { kind: 'tooLarge', mtu: 1000, of: there.b.local } })
})

t.test('MTU behind a NAT', async (t) => {
  const network = new SimulatedNetwork()
  const [internet, home] = [network.subnet('0.0.0.0/0', { mtu: 1400 }), network.subnet('192.168.1.0/24')]
  network.nat({ inside: home, outside: internet, address: '203.0.113.7', kind: 'full-cone' })
  const a = await talker(network.host({ on: home, address: '192.168.1.2' }))
  const b = await talker(network.host({ on: internet, address: '198.51.100.1' }))
  a.say(b.local, 'x'.repeat(1400 - HEADERS))
  a.say(b.local, 'x'.repeat(1400 - HEADERS + 1))
  await network.clock.pass(100)
  t.equal(a.socket.errors.tooLarge, 1)
  t.equal(b.heard.length, 1)
})

t.test('rate: so many bits in a second, one after the other', async (t) => {
  const there = await lab({ rate: 1_000_000, queue: 1 << 20, delay: 0 })
  for (let i = 0; i < 500; i++) there.a.say(there.b.local, 'x'.repeat(1250 - HEADERS)) // 10 ms each
  await there.network.clock.pass(1000)
  t.equal(there.b.heard.length, 99, 'and the last one is on its way')
  await there.network.clock.pass(4001)
  t.equal(there.b.heard.length, 500)
  t.same(there.delivered.slice(0, 3).map(({ time }) => Number(time.toFixed(3))), [10.001, 20.001, 30.001])
})

t.test('rate: the queue drops what comes last, and takes one packet however small it is', async (t) => {
  const there = await lab({ rate: 1_000_000, queue: 10_000 })
  for (let i = 0; i < 20; i++) there.a.say(there.b.local, String(i).padEnd(1000 - HEADERS))
  await there.network.clock.pass(1000)
  t.same(there.b.heard.map(([text]) => Number(text)), numbers(10))
  t.equal(there.network.counts.queueFull, 10)
  const small = await lab({ rate: 1_000_000, queue: 1 })
  t.same(await send(small, 3, 100), [0, 1, 2])
})

t.test('rate: a socket is full until its datagrams have left', async (t) => {
  const there = await lab({ rate: 80_000, queue: 1 << 20 }, { init: { sendLimit: 5000 } }) // 10 bytes in a millisecond
  const { socket } = there.a
  const batch = [{ data: new Uint8Array(1000 - HEADERS), ...there.b.local }]
  let taken = 0
  for (let i = 0; i < 10; i++) taken += socket.port.send(batch)
  t.equal(taken, 5)
  t.ok(socket.port.queued >= 5000)
  await there.network.clock.until(socket.port.drained?.() ?? Promise.resolve())
  t.same([there.network.clock.now(), socket.port.queued], [500, 0], 'all have left')
  for (let i = 0; i < 5; i++) socket.port.send(batch)
  await there.network.clock.pass(99)
  t.equal(socket.port.send(batch), 0)
  await there.network.clock.pass(1)
  t.equal(socket.port.send(batch), 1)
  await there.network.clock.pass(1000)
  t.equal(there.b.heard.length, 11)
})

t.test('conditions of one direction do not affect the other one', async (t) => {
  const there = await lab({ loss: 1 })
  there.b.say(there.a.local)
  t.same(await send(there, 3), [])
  t.equal(there.a.heard.length, 1)
  const down = await lab({}, { down: { loss: 1 } })
  down.b.say(down.a.local)
  t.same(await send(down, 3), [])
  t.equal(down.a.heard.length, 1)
})

t.test('conditions change at run time: those that are given, for packets from then on', async (t) => {
  const there = await lab({ delay: 100, loss: 1 })
  t.same(await send(there, 3), [])
  there.from.setConditions({ up: { loss: 0 } })
  t.match(there.from.interfaces[0].conditions.up, { loss: 0, delay: 100, mtu: 1500 })
  there.a.say(there.b.local, '0')
  there.from.setConditions({ up: { delay: 1 } })
  there.a.say(there.b.local, '1') // does not overtake the one before
  await there.network.clock.pass(99)
  t.equal(there.b.heard.length, 0)
  await there.network.clock.pass(1)
  t.same(there.b.heard.map(([text]) => text), ['0', '1'])
  there.to.setConditions({ down: { delay: 50 } })
  there.a.say(there.b.local, '2')
  await there.network.clock.pass(50.9)
  t.equal(there.b.heard.length, 2)
  await there.network.clock.pass(0.1)
  t.equal(there.b.heard.length, 3)
})

t.test('a rate that changes counts for what waits', async (t) => {
  const there = await lab({ rate: 8000, delay: 0, queue: 10_000 }) // a byte in a millisecond
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS))
  await there.network.clock.pass(500)
  there.from.setConditions({ up: { rate: 80_000 } })
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS))
  await there.network.clock.pass(1000)
  t.same(there.delivered.map(({ time }) => Math.round(time)), [550, 650], 'what is left of the first one goes at the new rate')
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS))
  await there.network.clock.pass(50)
  there.from.setConditions({ up: { rate: 40_000 } })
  await there.network.clock.pass(99)
  t.equal(there.b.heard.length, 2)
  await there.network.clock.pass(2)
  t.equal(there.b.heard.length, 3)
  there.a.say(there.b.local, 'x'.repeat(1000 - HEADERS))
  there.from.setConditions({ up: { rate: Infinity } })
  await there.network.clock.pass(1)
  t.equal(there.b.heard.length, 4, 'none any more')
})

t.test('a rate that changes leaves packets that have left as they are, and the order', async (t) => {
  const there = await lab({ rate: 8000, delay: 2000, queue: 10_000 })
  for (let i = 0; i < 3; i++) there.a.say(there.b.local, String(i).padEnd(1000 - HEADERS))
  await there.network.clock.pass(1500)
  there.from.setConditions({ up: { rate: 8_000_000, delay: 0 } })
  there.a.say(there.b.local, '3')
  await there.network.clock.pass(5000)
  t.same(there.b.heard.map(([text]) => Number(text)), numbers(4))
  t.same(there.delivered.map(({ time }) => Math.round(time)), [3000, 3501, 3502, 3502])
})

t.test('property: all come in order, however rate and delay change', async (t) => {
  const step = fc.record({ gap: fc.nat(600), rate: fc.constantFrom(undefined, 8000, 16_000, 80_000, Infinity), delay: fc.constantFrom(undefined, 0, 10, 2000) })
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
    const there = await lab({ rate: 8000, delay: 2000, queue: 1 << 20 })
    for (const [i, { gap, rate, delay }] of steps.entries()) {
      there.a.say(there.b.local, String(i).padEnd(500 - HEADERS))
      there.network.clock.advance(gap)
      there.from.setConditions({ up: { rate, delay } })
    }
    await there.network.clock.pass(100_000)
    t.same(there.b.heard.map(([text]) => Number(text)), numbers(steps.length))
  }), { numRuns: 50 })
})

t.test('no packet overtakes another one when a delay ends, also not one that comes as the other is due', async (t) => {
  const there = await lab({}, { down: { delay: 5 } })
  there.a.say(there.b.local, 'first')
  await there.network.clock.pass(5)
  there.a.say(there.b.local, 'second')
  await there.network.clock.pass(6)
  there.to.setConditions({ down: { delay: 0 } })
  await there.network.clock.pass(100)
  t.same(there.b.heard.map(([text]) => text), ['first', 'second'])
  t.same(there.delivered.map(({ time }) => time), [15, 15])
})

t.test('an observer that throws holds no memory', async (t) => {
  let isFull = false
  const network = new SimulatedNetwork({ inFlight: 700, onPacket: ({ what }) => { if (what === 'heldBack') throw new Error('observer'); isFull ||= what === 'networkFull' } })
  const subnet = network.subnet('192.0.2.0/24', { reorder: 1 })
  const [a, b] = [await talker(network.host({ on: subnet, address: '192.0.2.1' })), await talker(network.host({ on: subnet, address: '192.0.2.2' }))]
  for (let i = 0; i < 40; i++) { // there is room for one
    t.throws(() => { a.say(b.local) }, /observer/)
    await network.clock.pass(100)
  }
  t.equal(isFull, false)
})

t.test('what is out of range is refused, and changes nothing', async (t) => {
  const there = await lab({})
  const bad: Array<[keyof Conditions, unknown[]]> = [
    ['delay', [-1, NaN, Infinity, '5']], ['jitter', [-1]], ['heldBack', [-1]], ['loss', [-0.1, 1.1, NaN, null]], ['duplicate', [2]], ['reorder', [2]],
    ['mtu', [67, 1500.5, 65_576, Infinity]], ['rate', [0, -1, NaN, 0.9, 1e-305]], ['los' as 'loss', [1, undefined]], ['queue', [0, 0.5, Infinity]]
  ]
  for (const [name, values] of bad) {
    for (const value of values) {
      const conditions = { delay: 5, [name]: value } as Conditions
      t.throws(() => { there.from.setConditions({ up: conditions }) }, { code: 'ERR_OPTION' }, `${name}: ${String(value)}`)
      t.throws(() => there.network.subnet('10.0.0.0/8', conditions), { code: 'ERR_OPTION' })
    }
  }
  for (const set of [there.from, there.from.interfaces[0]]) t.throws(() => { set.setConditions({ loss: 1 } as object) }, { code: 'ERR_OPTION' }, 'without a direction')
  t.equal(there.from.interfaces[0].conditions.up.delay, 10)
  t.equal(there.from.interfaces[0].conditions.up.loss, 0)
})
