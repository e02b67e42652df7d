/** What is found out about NATs of every kind, by servers of every kind, in a simulated network. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { SEED } from '../helpers/bytes.ts'
import { detect, serveStun } from '../helpers/nat/stun.ts'
import { sample } from '../helpers/sample.ts'
import { OptionError } from '../../src/errors.ts'
import { describeNat, NatDetection, type EndpointDependence, type NatBehaviour, type NatDetectionInit } from '../../src/nat/index.ts'
import { mappingOf } from '../../src/nat/nat-behaviour.ts'
import { SimulatedNetwork, type NatInit } from '../../src/transports/memory/index.ts'
import type { Endpoint } from '../../src/types.ts'

const BEHAVIOURS: EndpointDependence[] = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent']
const OUTSIDE = '203.0.113.7'
const FIRST = '192.0.2.1'
const SECOND = '192.0.2.2'
const PLAIN = '198.51.100.9'
const INSIDE = '192.168.1.2'

const at = (host: string, port = 3478): Endpoint => ({ host, port })
const FOUR = [at(FIRST), at(FIRST, 3479), at(SECOND), at(SECOND, 3479)]

/** Transactions from a seed. */
function fillRandom (seed: number): (bytes: Uint8Array) => void {
  let calls = 0
  return (bytes) => { bytes.set(createHash('sha256').update(`${seed} ${calls++}`).digest().subarray(0, bytes.length)) }
}

interface Scene {
  seed?: number
  loss?: number
  /** Without one the host is outside. */
  nat?: Partial<NatInit> | undefined
  /** Of the first server. */
  endpoints?: Endpoint[]
  init?: Partial<NatDetectionInit>
  /** Where the socket sends to before it begins. */
  before?: Endpoint[]
}

async function found ({ seed = 1, loss = 0, nat, endpoints = FOUR, init = {}, before = [] }: Scene): Promise<NatDetection> {
  const network = new SimulatedNetwork({ seed: seed + SEED, trace: 0 })
  const { clock } = network
  const internet = network.subnet('0.0.0.0/0', { delay: 20, loss })
  const home = network.subnet('192.168.1.0/24', { delay: 1 })
  const host = network.host(nat === undefined ? { on: internet, address: OUTSIDE } : { on: home, address: INSIDE })
  if (nat !== undefined) network.nat({ inside: home, outside: internet, address: OUTSIDE, ...nat })
  await serveStun(clock, network.host({ on: internet, address: [FIRST, SECOND] }), endpoints)
  await serveStun(clock, network.host({ on: internet, address: PLAIN }), [at(PLAIN)])
  const socket = await host.bindUdp()
  if (before.length > 0) socket.port.send(before.map((to) => ({ ...to, data: new Uint8Array(1) })))
  return detect(clock, socket, { servers: [at(FIRST)], local: [socket.local], fillRandom: fillRandom(seed), ...init })
}

const NAMES = { 'endpoint-independent': 'full cone', 'address-dependent': 'address-restricted cone', 'address-and-port-dependent': 'port-restricted cone' } as const

t.test('each mapping, filtering and hairpin, with a tenth of all packets lost', async (t) => {
  const seeds = sample('seeds of each NAT', { short: 2, long: 20 })
  for (const mapping of BEHAVIOURS) {
    for (const filtering of BEHAVIOURS) {
      for (const hairpin of [false, true]) {
        for (let seed = 1; seed <= seeds; seed++) {
          const detection = await found({ seed, loss: 0.1, nat: { mapping, filtering, hairpin } })
          const { reflexive, ...behaviour } = detection.behaviour
          const independent = mapping === 'endpoint-independent'
          const isSeen = independent || filtering === 'endpoint-independent' // else a filter stops what comes from the other mapping
          t.strictSame(behaviour, {
            isTranslated: true,
            mapping,
            isMappingIndependent: independent,
            filtering,
            isFilteringByPort: filtering === 'address-and-port-dependent',
            hairpin: isSeen ? hairpin : undefined
          }, `mapping ${mapping}, filtering ${filtering}, hairpin ${hairpin}, seed ${seed}`)
          t.equal(reflexive?.host, OUTSIDE)
          t.equal(detection.describe(), independent ? NAMES[filtering] : 'symmetric')
        }
      }
    }
  }
})

t.test('no NAT', async (t) => {
  const detection = await found({})
  t.match(detection.behaviour, { isTranslated: false, mapping: 'endpoint-independent', isMappingIndependent: true, filtering: 'endpoint-independent', hairpin: undefined })
  t.equal(detection.describe(), 'none')
  const unknown = await found({ init: { local: undefined } })
  t.match(unknown.behaviour, { isTranslated: undefined, mapping: 'endpoint-independent', filtering: 'endpoint-independent' })
})

t.test('a server with one address and two ports', async (t) => {
  const expected: Record<EndpointDependence, Partial<NatBehaviour>> = {
    'endpoint-independent': { mapping: 'unknown', isMappingIndependent: undefined, filtering: 'unknown', isFilteringByPort: false },
    'address-dependent': { mapping: 'unknown', isMappingIndependent: undefined, filtering: 'unknown', isFilteringByPort: false },
    'address-and-port-dependent': { mapping: 'address-and-port-dependent', isMappingIndependent: false, filtering: 'address-and-port-dependent', isFilteringByPort: true }
  }
  for (const behaviour of BEHAVIOURS) {
    const detection = await found({ endpoints: FOUR.slice(0, 2), nat: { mapping: behaviour, filtering: behaviour } })
    t.match(detection.behaviour, expected[behaviour], behaviour)
  }
  t.match((await found({ endpoints: FOUR.slice(0, 2), nat: { mapping: 'address-dependent' }, init: { servers: [at(FIRST), at(PLAIN)] } })).behaviour, { mapping: 'address-dependent' }, 'with another server')
})

t.test('plain servers', async (t) => {
  for (const [mapping, isMappingIndependent] of [['endpoint-independent', true], ['address-dependent', false], ['address-and-port-dependent', false]] as const) {
    const detection = await found({ endpoints: [at(FIRST)], nat: { mapping }, init: { servers: [at(FIRST), at(PLAIN)] } })
    t.match(detection.behaviour, { isMappingIndependent, mapping: isMappingIndependent ? mapping : 'unknown', filtering: 'unknown', isFilteringByPort: undefined }, mapping)
    t.equal(detection.describe(), isMappingIndependent ? 'unknown' : 'symmetric')
  }
  const one = await found({ endpoints: [at(FIRST)], nat: { hairpin: true } })
  t.match(one.behaviour, { isTranslated: true, mapping: 'unknown', filtering: 'unknown', hairpin: true })
  t.equal(one.describe(), 'unknown')
})

t.test('servers that do not answer', async (t) => {
  const dead = await found({ nat: {}, init: { servers: [at('192.0.2.77')] } })
  t.same(dead.behaviour, { reflexive: undefined, isTranslated: undefined, mapping: 'unknown', isMappingIndependent: undefined, filtering: 'unknown', isFilteringByPort: undefined, hairpin: undefined })
  const second = await found({ nat: {}, init: { servers: [at('192.0.2.77'), at(FIRST)] } })
  t.equal(second.describe(), 'port-restricted cone')
})

t.test('what was sent to before tells nothing about filters', async (t) => {
  const detection = await found({ nat: { filtering: 'address-dependent' }, endpoints: FOUR, init: { servers: [at(SECOND, 1), at(FIRST)] } })
  t.not(detection.behaviour.filtering, 'endpoint-independent', 'the second address was asked first')
})

t.test('what the socket has sent to before the detection tells nothing about filters', async (t) => {
  const nat = { mapping: 'endpoint-independent', filtering: 'address-dependent' } as const
  const after = async (...sentTo: Endpoint[]): Promise<NatBehaviour> => (await found({ nat, before: sentTo, init: { sentTo } })).behaviour
  t.match(await after(at(FIRST)), { filtering: 'address-dependent', isFilteringByPort: false, mapping: 'endpoint-independent' }, 'the server that is asked')
  t.match(await after(at(FIRST), at(SECOND)), { filtering: 'unknown', isFilteringByPort: false, mapping: 'endpoint-independent' }, 'its second address')
  t.match(await after(at(FIRST), at(FIRST, 3479)), { filtering: 'unknown', isFilteringByPort: undefined }, 'its second port')
  t.match((await found({ nat, before: [at(FIRST), at(SECOND)] })).behaviour, { filtering: 'endpoint-independent' }, 'who does not say so gets a wrong answer')
})

t.test('what a mapping depends on, by what was seen', async (t) => {
  const seen = (server: Endpoint, port: number) => ({ server, reflexive: at(OUTSIDE, port) })
  t.match(mappingOf([]), { mapping: 'unknown', isMappingIndependent: undefined })
  t.match(mappingOf([seen(at(FIRST), 1), seen(at(FIRST), 2)]), { mapping: 'unknown' }, 'one server, twice')
  t.match(mappingOf([seen(at(FIRST), 1), seen(at(SECOND), 1), seen(at(PLAIN), 2)]), { isMappingIndependent: false }, 'a difference counts more')
  t.match(mappingOf([seen(at(FIRST), 1), { server: at('2001:db8::1'), reflexive: at('2001:db8::2', 9) }]), { mapping: 'unknown' }, 'families are not compared')
  t.equal(describeNat({ isTranslated: true, isMappingIndependent: true, filtering: 'unknown' }), 'unknown')
})

t.test('options', async (t) => {
  t.throws(() => new NatDetection({ servers: [] }), OptionError)
  t.throws(() => new NatDetection({ servers: [at('name.example')] }), OptionError)
  t.throws(() => new NatDetection({ servers: [at(FIRST)], tries: 0 }), OptionError)
  t.throws(() => new NatDetection({ servers: [at(FIRST)], timeout: -1 }), OptionError)
})
