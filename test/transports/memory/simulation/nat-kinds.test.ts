/** NATs against a model written from the text of RFC 4787, sections 4.1, 4.3, 5 and 6, by random packets and pauses. */
import t from 'tap'
import { random, SEED } from '../../../helpers/bytes.ts'
import { sample } from '../../../helpers/sample.ts'
import { NAT_KINDS, SimulatedNetwork, type Behaviour, type TraceEvent } from '../../../../src/transports/memory/index.ts'
import type { Endpoint } from '../../../../src/types.ts'

const OUTSIDE = '203.0.113.7'
const TIMEOUT = 120_000
const same = (a: Endpoint, b: Endpoint): boolean => a.host === b.host && a.port === b.port

/** Whether two remote endpoints are one for a mapping or a filter. */
function isOne (behaviour: Behaviour, a: Endpoint, b: Endpoint): boolean {
  switch (behaviour) {
    case 'endpoint-independent': return true
    case 'address-dependent': return a.host === b.host
    default: return same(a, b)
  }
}

/** A packet that has passed: the endpoint inside, the one that stood for it, and the remote one. */
interface Passed {
  inside: Endpoint
  outside: Endpoint
  remote: Endpoint
  at: number
}

interface Rules {
  mapping: Behaviour
  filtering: Behaviour
  inboundRefresh: boolean
  hairpin: boolean
}

/** What the definitions say, from nothing but a list of the packets that have kept mappings. */
class Model {
  readonly #passed: Passed[] = []
  readonly #rules: Rules

  constructor (rules: Rules) { this.#rules = rules }

  /** Packets that keep something alive. */
  #live (now: number): Passed[] { return this.#passed.filter(({ at }) => now - at < TIMEOUT) }

  /** The endpoint that X:x has outside for Y2:y2 is that for Y1:y1, if the behaviour says so, and the mapping is still there. */
  mapped (now: number, inside: Endpoint, remote: Endpoint): Endpoint | undefined {
    return this.#live(now).find((one) => same(one.inside, inside) && isOne(this.#rules.mapping, one.remote, remote))?.outside
  }

  /** An endpoint outside that somebody has. */
  ownerOf (now: number, outside: Endpoint): Endpoint | undefined {
    return this.#live(now).find((one) => same(one.outside, outside))?.inside
  }

  sent (packet: Passed): void { this.#passed.push(packet) }

  /** Who inside gets a packet from outside. */
  came (now: number, outside: Endpoint, remote: Endpoint): Endpoint | undefined {
    const [first] = this.#live(now).filter((one) => same(one.outside, outside) && isOne(this.#rules.filtering, one.remote, remote))
    if (first !== undefined && this.#rules.inboundRefresh) this.#passed.push({ ...first, at: now }) // that of the remote which was permitted
    return first?.inside
  }

  get known (): Endpoint[] { return this.#passed.map(({ outside }) => outside) }
}

/** One run. Returns what is not as the model has it. */
async function run (seed: number, rules: Rules): Promise<string | undefined> {
  const below = random(seed)
  const events: TraceEvent[] = []
  const network = new SimulatedNetwork({ seed, onPacket: (event) => { events.push(event) } })
  const internet = network.subnet('0.0.0.0/0', { delay: 1 })
  const home = network.subnet('192.168.1.0/24', { delay: 1 })
  network.nat({ inside: home, outside: internet, address: OUTSIDE, timeout: TIMEOUT, portPreservation: below(2) === 0, ports: [1024, 1060], ...rules })
  const bind = async (on: typeof home, address: string, ports: number[]) => {
    const host = network.host({ on, address })
    return await Promise.all(ports.map((port) => host.bindUdp({ port })))
  }
  const insides = (await Promise.all(['192.168.1.2', '192.168.1.3'].map((address) => bind(home, address, [1024, 5000])))).flat()
  const remotes = (await Promise.all(['198.51.100.1', '198.51.100.2', '198.51.100.3'].map((address) => bind(internet, address, [7, 8])))).flat()
  const model = new Model(rules)
  const data = Buffer.from('x')

  for (let step = 0; step < 60; step++) {
    const inside = insides[below(insides.length)]
    const remote = remotes[below(remotes.length)]
    const known = model.known
    const aim = known.length > 0 && below(8) > 0 ? known[below(known.length)] : { host: OUTSIDE, port: 1024 + below(40) }
    const now = network.clock.now() + 1 // when it comes to the NAT
    const kind = below(10)
    const [from, to] = kind < 5 ? [inside, remote.local] : kind < 9 ? [remote, aim] : [inside, aim]
    events.length = 0
    from.port.send([{ data, ...to }])
    network.clock.advance(below(4) === 0 ? below(TIMEOUT * 1.1) + 100 : 100)
    const came = events.find(({ what }) => what === 'delivered')
    const told = `seed ${seed}, step ${step}: ${JSON.stringify(from.local)} > ${JSON.stringify(to)} came ${JSON.stringify(came)}`

    if (kind < 5) {
      if (came === undefined || !same(came.destination, to) || came.source.host !== OUTSIDE) return `${told}: it did not pass`
      const mapped = model.mapped(now, inside.local, to)
      if (mapped !== undefined && !same(came.source, mapped)) return `${told}: it has the mapping ${JSON.stringify(mapped)}`
      const owner = model.ownerOf(now, came.source)
      if (mapped === undefined && owner !== undefined) return `${told}: that is ${JSON.stringify(owner)}`
      model.sent({ inside: inside.local, outside: came.source, remote: to, at: now })
    } else if (kind < 9) {
      const expected = model.came(now, to, remote.local)
      if (expected === undefined ? came !== undefined : came === undefined || !same(came.destination, expected) || !same(came.source, remote.local)) return `${told}: expected at ${JSON.stringify(expected)}`
    } else if (!rules.hairpin) {
      if (came !== undefined) return `${told}: there is no hairpinning`
    } else {
      const own = events.find(({ what }) => what === 'translated')?.source // which is not heard of when nobody gets it
      if (own === undefined) return `${told}: it was not translated`
      const mapped = model.mapped(now, inside.local, to)
      if (mapped !== undefined && !same(own, mapped)) return `${told}: it has the mapping ${JSON.stringify(mapped)}`
      model.sent({ inside: inside.local, outside: own, remote: to, at: now })
      const expected = model.came(now, to, own)
      if (expected === undefined ? came !== undefined : came === undefined || !same(came.destination, expected) || !same(came.source, own)) return `${told}: expected at ${JSON.stringify(expected)} by hairpinning`
    }
  }
  return undefined
}

const count = sample('seeds for each kind', { short: 20, long: 1000 })
const others = { 'address-dependent mapping and filtering': { mapping: 'address-dependent', filtering: 'address-dependent' }, 'open symmetric': { mapping: 'address-and-port-dependent', filtering: 'endpoint-independent' } } as const
for (const [kind, behaviour] of Object.entries({ ...NAT_KINDS, ...others })) {
  t.test(`property: ${kind} keeps its definition`, async (t) => {
    for (let seed = SEED; seed < SEED + count; seed++) {
      const failure = await run(seed, { ...behaviour, inboundRefresh: seed % 2 === 0, hairpin: seed % 3 === 0 })
      if (failure !== undefined) return t.fail(failure)
    }
    t.pass(`${count} seeds`)
  })
}
