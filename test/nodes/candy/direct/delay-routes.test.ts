import t from 'tap'
import { WITHDRAWN } from '../../../../src/nodes/candy/protocol/datagrams.ts'
import { DelayRoutes, MAX_LEARNED, MAX_LEARNED_OF_ONE, type DelayRoutesInit } from '../../../../src/nodes/candy/peer/direct/delay-routes.ts'
import { LIMITED_BROADCAST } from '../../../../src/net/ipv4.ts'
import { address, cidr } from '../../../helpers/candy/vectors.ts'

const host = (n: number): number => address(`192.168.202.${n}`)
const [OWN, A, B, C, D] = [1, 2, 3, 4, 5].map(host)

/** A table with a clock; `sent` takes what was sent since the last call, as `to destination rtt`. */
class Bench {
  now = 0
  readonly routes: DelayRoutes
  #sent: string[] = []

  constructor (init: Partial<DelayRoutesInit> = {}) {
    this.routes = new DelayRoutes({
      own: OWN,
      cost: 5,
      send: (to, { destination, rtt }) => { this.#sent.push(`${to & 255} ${destination & 255} ${rtt === WITHDRAWN ? 'withdrawn' : rtt}`) },
      ...init
    })
  }

  /** Polls each second. */
  pass (seconds: number): this {
    for (let i = 0; i < seconds; i++) this.routes.poll(this.now += 1000)
    return this
  }

  sent (): string[] { return this.#sent.splice(0).sort() }

  measured (neighbour: number, rtt: number): this {
    this.routes.measured(neighbour, rtt, this.now)
    return this
  }

  hears (from: number, destination: number, rtt: number): ReturnType<DelayRoutes['received']> {
    return this.routes.received(from, { destination, next: from, rtt }, this.now)
  }

  /** `destination: next hop, rtt`. */
  table (): string[] { return this.routes.entries().map(({ destination, nextHop, rtt }) => `${destination & 255}: ${nextHop & 255}, ${rtt}`).sort() }
}

t.test('direct, good: stored and advertised with the cost added, to all but itself', async (t) => {
  const bench = new Bench().measured(A, 0).measured(B, 30)
  t.same(bench.sent(), [], 'only poll sends')
  t.same(bench.pass(1).sent(), ['2 3 35', '3 2 5'], 'an rtt of 0 with cost 5 is advertised as 5')
  t.same(bench.table(), ['2: 2, 0', '3: 3, 30'])
  t.equal(bench.routes.nextHop(A), A)
  t.equal(bench.routes.nextHop(C), 0)
  bench.pass(2).sent()
  t.same(bench.measured(A, 7.6).pass(1).sent(), ['3 2 13'], 'whole milliseconds')
  t.same(bench.measured(A, 8).pass(1).sent(), [], 'the same again, soon after')
  t.same(bench.pass(30).measured(A, 8).pass(1).sent(), ['3 2 13'], 'a refresh')
})

t.test('direct, bad: everything through it is withdrawn', async (t) => {
  for (const rtt of [1001, -1, NaN, Infinity]) {
    const bench = new Bench().measured(A, 10).measured(B, 10)
    t.equal(bench.hears(A, C, 20), undefined)
    t.same(bench.table(), ['2: 2, 10', '3: 3, 10', '4: 2, 30'])
    bench.pass(3).sent()
    t.same(bench.measured(A, rtt).pass(1).sent(), ['3 2 withdrawn', '3 4 withdrawn'], String(rtt))
    t.same(bench.table(), ['3: 3, 10'])
    t.equal(bench.routes.nextHop(A), 0)
    t.equal(bench.hears(A, C, 20), 'neighbour')
  }
  t.same(new Bench().measured(A, 1000).table(), ['2: 2, 1000'])
  t.same(new Bench().measured(A, 1000).measured(B, 1).pass(3).sent(), ['2 3 6', '3 2 withdrawn'], 'the sum exceeds 1000')
})

t.test('a lost neighbour is withdrawn, again after the hold-down, and then forgotten', async (t) => {
  const bench = new Bench().measured(A, 10).measured(B, 10).pass(3)
  bench.sent()
  bench.routes.lost(A, bench.now)
  bench.routes.lost(A, bench.now)
  t.same(bench.pass(1).sent(), ['3 2 withdrawn'])
  t.same(bench.pass(30).sent(), ['3 2 withdrawn'])
})

t.test('indirect, good: the measured rtt of the neighbour is added', async (t) => {
  const bench = new Bench().measured(A, 10).measured(B, 40).pass(3)
  bench.sent()
  t.equal(bench.hears(A, C, 25), undefined)
  t.same(bench.table(), ['2: 2, 10', '3: 3, 40', '4: 2, 35'])
  t.equal(bench.routes.nextHop(C), A)
  t.same(bench.pass(1).sent(), ['2 4 withdrawn', '3 4 40'], 'poisoned reverse to the next hop')
  bench.hears(A, C, 60)
  t.same(bench.pass(1).sent(), ['2 4 withdrawn', '3 4 75'], 'the same next hop: also a longer one')
  bench.hears(B, C, 30)
  t.equal(bench.routes.nextHop(C), A, '70 is shorter than 70 by no margin')
  bench.hears(B, C, 20)
  t.equal(bench.routes.nextHop(C), B, 'shorter by the margin')
  t.same(bench.pass(1).sent(), ['2 4 65', '3 4 withdrawn'])
  bench.measured(B, 50)
  t.same(bench.table().at(-1), '4: 3, 70', 'a measurement counts at once for what leads through it')
  bench.hears(B, C, 951)
  t.equal(bench.routes.nextHop(C), 0, 'the sum exceeds 1000')
})

t.test('indirect, bad: withdrawn when it has that next hop', async (t) => {
  for (const rtt of [WITHDRAWN, 1001, -1, -0x80000000]) {
    const bench = new Bench().measured(A, 10).measured(B, 40)
    bench.hears(A, C, 25)
    bench.pass(3).sent()
    t.equal(bench.hears(B, C, rtt), undefined)
    t.equal(bench.routes.nextHop(C), A, 'another one says nothing about this route')
    t.equal(bench.hears(A, C, rtt), undefined)
    t.equal(bench.routes.nextHop(C), 0)
    t.same(bench.pass(1).sent(), ['2 4 withdrawn', '3 4 withdrawn'])
  }
})

t.test('after a withdrawal nobody is believed for a while, except a measurement', async (t) => {
  const bench = new Bench().measured(A, 10).measured(B, 40)
  bench.hears(A, C, 25)
  bench.hears(A, D, 25)
  bench.hears(A, C, WITHDRAWN)
  bench.hears(A, D, WITHDRAWN)
  bench.pass(4)
  t.equal(bench.hears(B, C, 25), 'held down')
  t.equal(bench.hears(A, C, 25), 'held down')
  bench.measured(D, 3)
  t.equal(bench.routes.nextHop(D), D)
  bench.pass(1)
  t.equal(bench.hears(B, C, 25), undefined)
  t.equal(bench.routes.nextHop(C), B)
  bench.pass(30)
  t.same(bench.table(), ['2: 2, 10', '3: 3, 40', '4: 3, 65', '5: 5, 3'], 'the end of the hold-down harms no new route')
})

t.test('a direct path gives way only to a route that is shorter by a margin, and comes back when it is as short', async (t) => {
  const bench = new Bench().measured(A, 10).measured(C, 100)
  bench.hears(A, C, 78)
  t.equal(bench.routes.nextHop(C), C, '88 for 100')
  bench.hears(A, C, 77)
  t.equal(bench.routes.nextHop(C), A, '87 for 100: an eighth')
  bench.measured(C, 88)
  t.equal(bench.routes.nextHop(C), A, 'stays while it is shorter')
  bench.measured(C, 87)
  t.equal(bench.routes.nextHop(C), C)
  bench.measured(C, 30)
  bench.hears(A, C, 11)
  t.equal(bench.routes.nextHop(C), C, '21 for 30')
  bench.hears(A, C, 10)
  t.equal(bench.routes.nextHop(C), A, '20 for 30: 10 ms')
  bench.hears(A, C, 21)
  t.same(bench.table(), ['2: 2, 10', '4: 4, 30'], 'the route grows longer than the direct path')
  bench.hears(A, C, 0)
  bench.hears(A, C, WITHDRAWN)
  t.same(bench.table(), ['2: 2, 10', '4: 4, 30'], 'withdrawn: back to the direct path')
  bench.hears(A, C, 0)
  bench.routes.lost(A, bench.now)
  t.same(bench.table(), ['4: 4, 30'], 'lost: back to the direct path')
})

t.test('a path that is new replaces a route that is shorter by less than the margin', async (t) => {
  const bench = new Bench().measured(A, 10)
  bench.hears(A, C, 0)
  bench.hears(A, D, 0)
  bench.routes.connected(C)
  t.equal(bench.routes.nextHop(C), C, 'not measured: not replaced')
  t.equal(bench.measured(C, 19).routes.nextHop(C), C)
  t.equal(bench.measured(D, 21).routes.nextHop(D), A)
})

t.test('a neighbour without measurement', async (t) => {
  const bench = new Bench().measured(A, 10)
  bench.routes.connected(B)
  bench.routes.connected(A)
  t.equal(bench.hears(B, C, 5), 'neighbour')
  t.same(bench.pass(3).sent(), [], 'is told nothing: it would ignore it')
  bench.hears(A, B, 1)
  t.equal(bench.routes.nextHop(B), B)
  bench.measured(B, 1001)
  t.equal(bench.routes.nextHop(B), A, 'a bad measurement is one')
  bench.routes.connected(C)
  bench.routes.lost(C, bench.now)
  t.equal(bench.routes.nextHop(C), 0)
})

t.test('what is rejected', async (t) => {
  const bench = new Bench({ network: cidr('192.168.202.1/24') }).measured(A, 10).measured(B, 10)
  t.equal(bench.routes.received(A, { destination: C, next: B, rtt: 1 }, 0), 'next hop', 'of another one')
  t.equal(bench.routes.received(A, { destination: C, next: C, rtt: 1 }, 0), 'next hop')
  t.equal(bench.routes.received(A, { destination: A, next: A, rtt: 1 }, 0), 'destination', 'a measurement of this node that another one sends')
  t.equal(bench.routes.received(A, { destination: A, next: A, rtt: WITHDRAWN }, 0), 'destination')
  t.equal(bench.hears(C, D, 1), 'neighbour')
  for (const destination of [0, OWN, host(0), host(255), address('192.168.203.1'), address('224.0.0.1'), address('239.255.255.255'), LIMITED_BROADCAST]) {
    t.equal(bench.hears(A, destination, 1), 'destination', destination.toString(16))
  }
  t.same(bench.table(), ['2: 2, 10', '3: 3, 10'])
  const open = new Bench().measured(A, 10)
  for (const destination of [0, OWN, address('224.0.0.1'), LIMITED_BROADCAST]) t.equal(open.hears(A, destination, 1), 'destination')
  t.equal(open.hears(A, address('10.0.0.1'), 1), undefined, 'no network is given')
  t.equal(new Bench({ network: cidr('192.168.202.1/31') }).measured(A, 1).hears(A, host(0), 1), undefined, 'a network without broadcast')
})

t.test('without a cost there is nothing', async (t) => {
  const bench = new Bench({ cost: 0 }).measured(A, 10).measured(B, 10)
  bench.routes.connected(C)
  t.equal(bench.hears(A, D, 10), 'off')
  t.same(bench.pass(5).sent(), [])
  t.same(bench.table(), [])
  for (const destination of [A, B, C, D]) t.equal(bench.routes.nextHop(destination), 0)
})

t.test('what is not refreshed ends', async (t) => {
  const bench = new Bench().measured(A, 10).measured(B, 10)
  bench.hears(A, C, 10)
  bench.hears(B, D, 10)
  bench.pass(100).measured(A, 10)
  bench.hears(A, C, 10)
  bench.pass(91)
  t.same(bench.table(), ['2: 2, 10', '4: 2, 20'], 'B with all that leads through it')
  t.equal(bench.routes.nextHop(B), B, 'B may be CONNECTED')
  bench.measured(A, 10).pass(100)
  t.same(bench.table(), ['2: 2, 10'])
  bench.pass(100)
  t.same(bench.table(), [])
})

t.test('a new neighbour is told the table once it can use it', async (t) => {
  const bench = new Bench().measured(A, 10).pass(1)
  for (let n = 10; n < 210; n++) bench.hears(A, host(n), n)
  bench.pass(10).sent()
  bench.routes.measured(B, 20, bench.now + 500)
  t.same(bench.pass(1).sent(), ['2 3 25'])
  const first = bench.pass(1).sent()
  const second = bench.pass(1).sent()
  t.equal(first.length, 128, 'in parts')
  t.same([...first, ...second].sort(), ['3 2 15', ...Array.from({ length: 200 }, (_, i) => `3 ${i + 10} ${i + 25}`)].sort())
  t.same(bench.pass(5).sent(), [])
})

t.test('advertisements: coalesced, and a bounded number at a time', async (t) => {
  const bench = new Bench().measured(A, 10).measured(B, 10).pass(3)
  for (let n = 10; n < 210; n++) {
    bench.hears(A, host(n), 500)
    bench.hears(A, host(n), 400)
  }
  bench.sent()
  bench.routes.poll(bench.now + 1)
  t.equal(bench.sent().length, 0, 'within a second of the last')
  const [first, second, third] = [1, 2, 3].map(() => bench.pass(1).sent())
  t.equal(first.length, 256, '128 destinations, to two')
  t.equal(second.length, 2 * (200 - 128))
  t.equal(third.length, 0)
  t.ok([...first, ...second].every((line) => /^(2 \d+ withdrawn|3 \d+ 415)$/.test(line)))
})

t.test('received advertisements: a bounded rate for each neighbour', async (t) => {
  const bench = new Bench().measured(A, 10).measured(B, 10)
  const taken = (count: number): number => Array.from({ length: count }, (_, i) => bench.hears(A, C, i & 1)).filter((why) => why === undefined).length
  t.equal(taken(1000), 512)
  t.equal(bench.hears(A, C, 1), 'rate')
  t.equal(bench.hears(B, D, 1), undefined, 'another one')
  bench.pass(1)
  t.equal(taken(1000), 320)
})

/** All that one neighbour can say, at a rate that is accepted. */
function fill (bench: Bench, from: number, first: number): number {
  let taken = 0
  for (let i = 0; i < 400; i++) {
    if (bench.hears(from, first + i, 0) === undefined) taken++
  }
  return taken
}

t.test('the table is bounded: of one neighbour, and in total, with room for one more', async (t) => {
  const bench = new Bench()
  const liars = Array.from({ length: 30 }, (_, i) => address('10.100.0.1') + i)
  for (const liar of [...liars, A, B]) bench.measured(liar, 1)
  const filled = liars.map((liar, i) => fill(bench, liar, address('10.0.0.0') + i * 0x10000 + 1))
  t.equal(filled[0], MAX_LEARNED_OF_ONE)
  const learned = filled.reduce((a, b) => a + b)
  t.equal(learned, MAX_LEARNED)
  t.equal(bench.routes.entries().length, learned + 32)
  t.equal(bench.hears(liars[0], address('10.200.0.1'), 0), 'full')
  t.equal(bench.hears(liars[0], address('10.0.0.1'), 7), undefined, 'what it has already')
  t.equal(bench.hears(B, D, 5), 'full', 'for now')
  for (let i = 0; i < 90; i++) {
    bench.pass(1)
    for (const neighbour of [...liars, A, B]) bench.measured(neighbour, 1)
    liars.forEach((liar, n) => bench.hears(liar, address('10.0.0.0') + n * 0x10000 + 1 + i, 3))
  }
  t.ok(bench.routes.entries().length > MAX_LEARNED - 128, 'most stay')
  t.equal(bench.hears(B, D, 5), undefined, 'an honest one')
  t.equal(bench.routes.nextHop(D), B)
  bench.measured(C, 5)
  t.equal(bench.routes.nextHop(C), C, 'a direct path takes no room')
  for (const liar of liars) bench.routes.lost(liar, bench.now)
  t.same(bench.table(), ['2: 2, 1', '3: 3, 1', '4: 4, 5', '5: 3, 6'])
  for (let i = 0; i < 60; i++) bench.pass(1).measured(A, 1)
  for (const liar of liars) bench.measured(liar, 1)
  t.equal(fill(bench, liars[0], address('10.50.0.0')), MAX_LEARNED_OF_ONE, 'withdrawn routes take no room any more')
})

t.test('withdrawn routes count while they are kept', async (t) => {
  const bench = new Bench().measured(A, 1)
  t.equal(fill(bench, A, address('10.0.0.1')), MAX_LEARNED_OF_ONE)
  for (let i = 0; i < 100; i++) bench.hears(A, address('10.0.0.1') + i, WITHDRAWN)
  t.equal(bench.hears(A, address('10.1.0.1'), 1), 'full')
  bench.pass(10)
  t.equal(bench.hears(A, address('10.1.0.1'), 1), undefined)
})

t.test('a liar: what has a direct path that is no longer than that to the liar keeps it', async (t) => {
  const bench = new Bench().measured(A, 30).measured(B, 30).measured(C, 39).measured(D, 40)
  for (const destination of [B, C, D, host(9)]) {
    bench.hears(A, destination, 0)
    bench.hears(A, destination, -1)
    bench.hears(A, destination, 0)
  }
  t.same(bench.table(), ['2: 2, 30', '3: 3, 30', '4: 4, 39', '5: 2, 30'], 'and held down once withdrawn: the liar gets what is 10 ms farther than itself')
  t.equal(bench.hears(A, B, WITHDRAWN), undefined)
  t.equal(bench.routes.nextHop(B), B, 'it withdraws nothing of others')
  bench.routes.lost(A, bench.now)
  t.same(bench.table(), ['3: 3, 30', '4: 4, 39', '5: 5, 40'], 'without the liar all is as before')
})
