/** The kind of a NAT by two servers that know each other, in a simulated network. */
import t from 'tap'
import { SEED } from '../helpers/bytes.ts'
import { sample } from '../helpers/sample.ts'
import { NatKindDetection, natKindOf, type EndpointDependence, type NatKindQuestion } from '../../src/nat/index.ts'
import { consume } from '../../src/streams/consume.ts'
import { SimulatedNetwork, type NatInit } from '../../src/transports/memory/index.ts'
import type { Datagram, DatagramSocket, Endpoint } from '../../src/types.ts'

const BEHAVIOURS: EndpointDependence[] = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent']
const [FIRST, SECOND, OUTSIDE, INSIDE] = ['192.0.2.1', '192.0.2.2', '203.0.113.7', '192.168.1.2']
const PORT = 5000

const say = (socket: DatagramSocket, text: string, to: Endpoint): void => { socket.port.send([{ data: Buffer.from(text), host: to.host, port: to.port }]) }

const listen = (socket: DatagramSocket, hear: (text: string, from: Datagram) => void): void => {
  consume(socket, (batch) => { for (const datagram of batch) hear(Buffer.from(datagram.data).toString(), datagram) }).catch(() => {})
}

interface Scene {
  seed?: number
  loss?: number
  nat?: Partial<NatInit> | undefined
  /** What the first server does not do, or does without a datagram. */
  deaf?: NatKindQuestion[]
  secondHost?: string
}

/** Servers that answer a question by its name, from a socket each and one at another port. */
async function detect ({ seed = 1, loss = 0, nat, deaf = [], secondHost = SECOND }: Scene): Promise<NatKindDetection> {
  const network = new SimulatedNetwork({ seed: seed + SEED, trace: 0 })
  const { clock } = network
  const internet = network.subnet('0.0.0.0/0', { delay: 20, loss })
  const home = network.subnet('192.168.1.0/24', { delay: 1 })
  const host = network.host(nat === undefined ? { on: internet, address: OUTSIDE } : { on: home, address: INSIDE })
  if (nat !== undefined) network.nat({ inside: home, outside: internet, address: OUTSIDE, ...nat })
  const server = network.host({ on: internet, address: secondHost === FIRST ? [FIRST] : [FIRST, secondHost] })
  const first = await server.bindUdp({ host: FIRST, port: PORT })
  const otherPort = await server.bindUdp({ host: FIRST, port: PORT + 1 })
  const second = await server.bindUdp({ host: secondHost, port: PORT + 2 })
  listen(first, (text, { host, port }) => {
    if (deaf.includes(text as NatKindQuestion)) return
    const from = text === 'other host' ? second : text === 'other port' ? otherPort : first
    if (from !== first) say(first, `sent ${text}`, { host, port })
    for (let i = 0; i < 4; i++) say(from, from === first ? `first ${host} ${port}` : text, { host, port })
  })
  listen(second, (_text, { host, port }) => { say(second, `second ${host} ${port}`, { host, port }) })

  const socket = await host.bindUdp()
  const servers: [Endpoint, Endpoint] = [first.local, second.local]
  const detection = new NatKindDetection({ servers })
  let ended = (): void => {}
  const done = new Promise<void>((resolve) => { ended = resolve })
  const poll = (): void => {
    for (const question of detection.poll(clock.now())) say(socket, question, servers[question === 'second' ? 1 : 0])
    if (detection.isDone) ended()
    else clock.set((detection.deadline as number) - clock.now(), poll)
  }
  listen(socket, (text) => {
    const [what, ip, port] = text.split(' ')
    if (what === 'first' || what === 'second') detection.sees(what, { host: ip, port: Number(port) }, clock.now())
    else if (what === 'sent') detection.wasSent(text.slice(5) as 'other host' | 'other port')
    else detection.came(text as 'other host' | 'other port', clock.now())
    poll()
  })
  detection.start(clock.now())
  poll()
  await clock.until(done)
  return detection
}

const KINDS = { 'endpoint-independent': 1, 'address-dependent': 2, 'address-and-port-dependent': 3 } as const

t.test('each mapping and filtering, with a tenth of all packets lost', async (t) => {
  const seeds = sample('seeds of each NAT', { short: 5, long: 100 })
  for (const mapping of BEHAVIOURS) {
    for (const filtering of BEHAVIOURS) {
      const expected = mapping === 'endpoint-independent' ? KINDS[filtering] : 4
      const others: unknown[] = []
      for (let seed = 1; seed <= seeds; seed++) {
        const { kind, isCertain, reflexive } = await detect({ seed, loss: 0.1, nat: { mapping, filtering } })
        // what gets lost may leave a question open, which is said; it never leads to a kind that lets more in
        if (reflexive !== undefined && reflexive.host !== OUTSIDE) others.push({ seed, reflexive })
        if (isCertain ? kind !== expected : kind !== undefined && kind < expected) others.push({ seed, kind, isCertain })
      }
      t.same(others, [], `${mapping} mapping, ${filtering} filtering: T${expected}`)
    }
  }
})

t.test('without loss all is certain; a host without a NAT is T1', async (t) => {
  for (const filtering of BEHAVIOURS) {
    const detection = await detect({ nat: { mapping: 'endpoint-independent', filtering } })
    t.match(detection, { kind: KINDS[filtering], isCertain: true, isDone: true })
    t.equal(detection.deadline, undefined)
  }
  t.match(await detect({}), { kind: 1, isCertain: true, reflexive: { host: OUTSIDE } })
})

t.test('filters that cannot be tested', async (t) => {
  const strangers = await detect({ nat: { kind: 'full-cone' }, deaf: ['other host'] })
  t.match(strangers, { kind: 2, isCertain: false, evidence: { passesOtherHost: undefined, passesOtherPort: true } }, 'servers that do not know each other')
  t.match(await detect({ nat: { kind: 'full-cone' }, deaf: ['other host', 'other port'] }), { kind: 3, isCertain: false })
  t.match(await detect({ nat: { kind: 'symmetric' }, deaf: ['other host', 'other port'] }), { kind: 4, isCertain: true })
  t.match(await detect({ nat: { kind: 'full-cone' }, secondHost: FIRST }), { kind: undefined, isCertain: false }, 'servers at one address say nothing of mappings')
})

t.test('servers that are not there', async (t) => {
  const gone = await detect({ nat: { kind: 'full-cone' }, deaf: ['first'] })
  t.match(gone, { kind: undefined, isCertain: false, reflexive: undefined, isDone: true })
  const one = new NatKindDetection({ servers: [{ host: FIRST, port: 1 }, { host: SECOND, port: 1 }] })
  one.start(0)
  t.same(one.poll(0), ['first'])
  one.sees('first', { host: OUTSIDE, port: 7 }, 1)
  t.same(one.poll(1), ['other host', 'other port'])
  one.came('other host', 2)
  t.same(one.poll(2), ['second'], 'the port tells nothing more')
  for (let now = 3; !one.isDone; now = one.deadline ?? now) one.poll(now)
  t.match(one, { kind: undefined, evidence: { passesOtherHost: true } })
})

t.test('what comes late from the second server, which was sent something meanwhile, tells nothing', async (t) => {
  const one = new NatKindDetection({ servers: [{ host: FIRST, port: 1 }, { host: SECOND, port: 1 }] })
  one.start(0)
  one.poll(0)
  one.sees('first', { host: OUTSIDE, port: 7 }, 1)
  let now = 1
  while (!one.poll(now).includes('second')) {
    one.wasSent('other host')
    one.wasSent('other port')
    now = one.deadline ?? now
  }
  one.came('other host', now + 1)
  one.sees('second', { host: OUTSIDE, port: 7 }, now + 2)
  t.match(one, { isDone: true, kind: 3, isCertain: true, evidence: { passesOtherHost: false, passesOtherPort: false } })
})

t.test('kinds by evidence', async (t) => {
  t.equal(natKindOf({ isMappingIndependent: undefined, passesOtherHost: true, passesOtherPort: true }), undefined)
  t.equal(natKindOf({ isMappingIndependent: false, passesOtherHost: true, passesOtherPort: true }), 4)
  t.equal(natKindOf({ isMappingIndependent: true, passesOtherHost: true, passesOtherPort: undefined }), 1)
  t.equal(natKindOf({ isMappingIndependent: true, passesOtherHost: undefined, passesOtherPort: undefined }), 3)
})
