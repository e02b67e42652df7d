/** Many tables together, over links that change, lose and reorder. */
import fc from 'fast-check'
import t from 'tap'
import type { Advertisement } from '../../../../src/nodes/candy/peer/direct/delay-route.ts'
import { WITHDRAWN } from '../../../../src/nodes/candy/protocol/datagrams.ts'
import { DelayRoutes } from '../../../../src/nodes/candy/peer/direct/delay-routes.ts'
import { random, SEED } from '../../../helpers/bytes.ts'
import { sample } from '../../../helpers/sample.ts'

/** Seconds between measurements of a path, and after which its loss is noticed. */
const MEASURE = 60
const NOTICE = 3

interface Link {
  rtt: number
  isUp: boolean
  /** Seconds since it went down; the ends notice after `NOTICE`. */
  down: number
}

interface Message extends Advertisement {
  from: number
  to: number
  at: number
}

/** Nodes 1 to `size`, with the rules of states that matter here: measured each minute, lost after three seconds. */
class Network {
  now = 0
  sent = 0
  loss = 0
  /** Milliseconds that a datagram may be late, so that others overtake it. */
  jitter = 0
  readonly nodes: DelayRoutes[] = []
  readonly links = new Map<string, Link>()
  readonly #cost: number
  readonly #below: (n: number) => number
  #inFlight: Message[] = []

  constructor (size: number, cost: number, seed: number) {
    this.#cost = cost
    this.#below = random(seed)
    for (let own = 1; own <= size; own++) this.nodes[own] = this.#node(own)
  }

  #node (own: number): DelayRoutes {
    return new DelayRoutes({ own, cost: this.#cost, send: (to, route) => { this.send({ ...route, from: own, to }) } })
  }

  send (message: Omit<Message, 'at'>): void {
    this.sent++
    if (this.#below(100) < this.loss) return
    this.#inFlight.push({ ...message, at: this.now + 1 + this.#below(this.jitter + 1) })
  }

  link (a: number, b: number): Link | undefined { return this.links.get(a < b ? `${a} ${b}` : `${b} ${a}`) }

  /** Makes a link, or changes its rtt. */
  connect (a: number, b: number, rtt: number): void {
    const link = this.link(a, b)
    if (link?.isUp === true) {
      link.rtt = rtt
      return
    }
    if (link === undefined) this.links.set(a < b ? `${a} ${b}` : `${b} ${a}`, { rtt, isUp: true, down: 0 })
    else Object.assign(link, { rtt, isUp: true, down: 0 })
    for (const [from, to] of [[a, b], [b, a]]) {
      this.nodes[from].connected(to)
      this.nodes[from].measured(to, rtt, this.now)
    }
  }

  disconnect (a: number, b: number): void {
    const link = this.link(a, b)
    if (link?.isUp === true) Object.assign(link, { isUp: false, down: 0 })
  }

  /** The node starts again, with an empty table; its neighbours do not notice. */
  restart (own: number): void {
    this.nodes[own] = this.#node(own)
    this.#each((a, b, link) => {
      if (!link.isUp || (a !== own && b !== own)) return
      this.nodes[own].measured(a === own ? b : a, link.rtt, this.now)
    })
  }

  #each (visit: (a: number, b: number, link: Link) => void): void {
    for (const [key, link] of this.links) {
      const [a, b] = key.split(' ').map(Number)
      visit(a, b, link)
    }
  }

  run (seconds: number): this {
    for (let i = 0; i < seconds; i++) this.#second()
    return this
  }

  #second (): void {
    this.now += 1000
    const due = this.#inFlight.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at)
    this.#inFlight = this.#inFlight.filter(({ at }) => at > this.now)
    for (const { from, to, destination, rtt } of due) {
      if (this.link(from, to)?.isUp === true) this.nodes[to].received(from, { destination, next: from, rtt }, this.now)
    }
    this.#each((a, b, link) => {
      if (!link.isUp) {
        if (++link.down === NOTICE) {
          this.nodes[a].lost(b, this.now)
          this.nodes[b].lost(a, this.now)
        }
        return
      }
      for (const [from, to] of [[a, b], [b, a]]) { // each has its own phase
        if ((this.now / 1000 + from * 7 + to * 13) % MEASURE === 0 && this.#below(100) >= this.loss) this.nodes[from].measured(to, link.rtt, this.now)
      }
    })
    for (const node of this.nodes.slice(1)) node.poll(this.now)
  }

  /**
   * The nodes that a packet visits, until it arrives, is dropped, or its TTL has ended. A packet goes on by the route, never back to
   * where it came from; without one it is dropped, as the server takes no packet of another member.
   */
  path (from: number, to: number, ttl = 64): number[] {
    const path = [from]
    for (let at = from, previous = 0; at !== to; ttl--) {
      const next = this.nodes[at].nextHop(to)
      if (next === 0 || next === previous || ttl === 0 || this.link(at, next)?.isUp !== true) return path
      previous = at
      path.push(at = next)
    }
    return path
  }

  /** The shortest rtt with the cost of each hop between, by relaxing edges; Infinity without a path. */
  shortest (from: number): number[] {
    const best = this.nodes.map((_, n) => n === from ? 0 : Infinity)
    for (let round = 0; round < this.nodes.length; round++) {
      this.#each((a, b, { rtt, isUp }) => {
        if (!isUp) return
        const relax = (x: number, y: number): void => { best[y] = Math.min(best[y], best[x] + rtt + (x === from ? 0 : this.#cost)) }
        relax(a, b)
        relax(b, a)
      })
    }
    return best
  }

  /** What is wrong with the tables of a network that is quiet; undefined when nothing is. */
  fault (): string | undefined {
    for (let from = 1; from < this.nodes.length; from++) {
      const best = this.shortest(from)
      const rtts = new Map(this.nodes[from].entries().map(({ destination, rtt }) => [destination, rtt]))
      for (let to = 1; to < this.nodes.length; to++) {
        if (to === from) continue
        const path = this.path(from, to)
        const rtt = rtts.get(to)
        if (rtt === undefined) {
          // Each hop may be longer than the best by a margin, so that a long path may exceed the maximum.
          if (best[to] < 500) return `${from} has no route to ${to} of ${best[to]}`
          continue
        }
        if (new Set(path).size !== path.length) return `a loop from ${from}: ${path.join(' ')}`
        if (path.at(-1) !== to) return `${from} does not reach ${to}: ${path.join(' ')}`
        const real = path.slice(1).reduce((sum, node, i) => sum + (this.link(path[i], node)?.rtt ?? Infinity) + (i > 0 ? this.#cost : 0), 0)
        if (rtt !== real) return `${from} to ${to}: ${rtt} is ${real}`
        if (real < best[to]) return `${from} to ${to}: ${real} is shorter than ${best[to]}`
      }
    }
    return undefined
  }
}

/** A step: two nodes, and an rtt, 0 to end the link; or a restart of the first where both are the same. */
const steps = (size: number): fc.Arbitrary<Array<[number, number, number, number]>> => {
  const node = fc.integer({ min: 1, max: size })
  return fc.array(fc.tuple(node, node, fc.oneof({ weight: 2, arbitrary: fc.integer({ min: 1, max: 150 }) }, fc.constant(0)), fc.integer({ min: 0, max: 40 })), { minLength: size, maxLength: 30 })
}

t.test('a loop of three: tables converge, and no packet is seen more often than its TTL', async (t) => {
  const network = new Network(4, 1, 1)
  for (const [a, b] of [[1, 2], [2, 3], [1, 3]]) network.connect(a, b, 0)
  network.connect(1, 4, 3)
  network.run(130)
  t.equal(network.fault(), undefined)
  t.same(network.path(2, 4), [2, 1, 4])
  // The tables are driven into a loop by hand: each believes that the next one has the path.
  for (const [node, next] of [[2, 3], [3, 1]]) network.nodes[node].received(next, { destination: 4, next, rtt: 0 }, network.now)
  network.nodes[1].lost(4, network.now)
  network.disconnect(1, 4)
  let longest = 0
  for (let second = 0; second < 300; second++) {
    network.run(1)
    for (const from of [1, 2, 3]) {
      const path = network.path(from, 4)
      longest = Math.max(longest, ...[1, 2, 3].map((node) => path.filter((seen) => seen === node).length))
    }
  }
  t.ok(longest <= 64, `seen ${longest} times`)
  t.same([1, 2, 3].map((node) => network.nodes[node].nextHop(4)), [0, 0, 0])
})

t.test('a loop counts up to 1000 ms and ends there', async (t) => {
  const network = new Network(3, 5, 1)
  for (const [a, b] of [[1, 2], [2, 3], [1, 3]]) network.connect(a, b, 10)
  network.run(130)
  const ghost = 77
  for (const [node, next] of [[1, 2], [2, 3], [3, 1]]) network.nodes[node].received(next, { destination: ghost, next, rtt: 30 }, network.now)
  t.equal(network.path(1, ghost).length, 65, 'a packet goes round until its TTL ends')
  network.run(90)
  t.same([1, 2, 3].map((node) => network.nodes[node].nextHop(ghost)), [0, 0, 0], 'within 1000 / (10 + 5) s')
})

t.test('a line: as far as 1000 ms reach', async (t) => {
  const network = new Network(12, 10, 1)
  for (let node = 1; node < 12; node++) network.connect(node, node + 1, 100)
  network.run(200)
  t.same(network.path(1, 10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  t.equal(network.nodes[1].nextHop(10), 2, '980 ms')
  t.equal(network.nodes[1].nextHop(11), 0, '1090 ms')
})

t.test('any network is without loops once it is quiet, whatever happened before', async (t) => {
  const runs = sample('networks', { short: 150, long: 10_000 })
  let size = 0
  const scenario = fc.integer({ min: 2, max: 9 }).chain((n) => fc.record({
    size: fc.constant(n), cost: fc.integer({ min: 1, max: 50 }), steps: steps(n), loss: fc.integer({ min: 0, max: 40 }), jitter: fc.integer({ min: 0, max: 3000 }), seed: fc.nat()
  }))
  fc.assert(fc.property(scenario, ({ size: n, cost, steps, loss, jitter, seed }) => {
    const network = new Network(n, cost, seed)
    Object.assign(network, { loss, jitter })
    for (const [a, b, rtt, seconds] of steps) {
      if (a === b) network.restart(a)
      else if (rtt === 0) network.disconnect(a, b)
      else network.connect(a, b, rtt)
      network.run(seconds)
    }
    network.loss = 0
    network.run(500)
    const fault = network.fault()
    if (fault !== undefined) throw new Error(fault)
    // quiet: in a minute at most one refresh of each destination by each node to each neighbour, and by chance of phases one more
    const before = network.sent
    network.run(60)
    const links = [...network.links.values()].filter(({ isUp }) => isUp).length
    if (network.sent - before > 2 * links * (n - 1) * 2) throw new Error(`${network.sent - before} messages over ${links} links`)
    size = Math.max(size, links)
  }), { numRuns: runs, seed: SEED + 1 })
  t.ok(size > 9, `up to ${size} links`)
})

t.test('while it changes, a network never sends more than once a second for a destination and neighbour', async () => {
  fc.assert(fc.property(steps(7), fc.nat(), (steps, seed) => {
    const network = new Network(7, 1, seed)
    for (const [a, b, rtt] of steps) {
      if (a === b) network.restart(a)
      else if (rtt === 0) network.disconnect(a, b)
      else network.connect(a, b, rtt)
      const before = network.sent
      network.run(1)
      if (network.sent - before > 2 * network.links.size * 6) throw new Error(`${network.sent - before} messages`)
    }
  }), { numRuns: 300, seed: SEED + 2 })
})

t.test('a liar in a full mesh: others keep their direct paths, and are as before when it has gone', async (t) => {
  const liar = 6
  const network = new Network(6, 5, 3)
  for (let a = 1; a <= 6; a++) {
    for (let b = 1; b < a; b++) network.connect(a, b, 20 + a + b)
  }
  network.run(120)
  t.equal(network.fault(), undefined)
  const below = random(5)
  for (let second = 0; second < 300; second++) {
    for (let to = 1; to < liar; to++) {
      for (let i = 0; i < 20; i++) network.send({ from: liar, to, destination: below(300), rtt: [0, 1, -1, 999, WITHDRAWN, below(1100)][below(6)] })
    }
    network.run(1)
    for (let a = 1; a < liar; a++) {
      for (let b = 1; b < liar; b++) if (a !== b && network.nodes[a].nextHop(b) !== b) t.fail(`${a} to ${b} by ${network.nodes[a].nextHop(b)}`)
    }
  }
  for (let a = 1; a < liar; a++) {
    t.ok(network.nodes[a].entries().length > 20, 'what nobody has a path to leads to it')
    network.disconnect(a, liar)
  }
  network.run(120) // the longest that its destinations are counted up
  for (let a = 1; a < liar; a++) t.equal(network.nodes[a].entries().length, 4)
  t.equal(network.fault(), undefined)
})
