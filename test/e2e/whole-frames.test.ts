/**
 * Clients that never wait for a part of a frame, as the original client of candy, at a real relay: what they are sent arrives in whole
 * frames, however slow the way, and what they cut themselves does not end their connection.
 */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Lab, type Namespace } from '../helpers/network/namespaces.ts'
import type { Commands, Report, StartInit } from '../helpers/network/nonblocking-client.ts'
import { PASSWORD, startRelayWith } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, eventually } from '../helpers/network/traffic.ts'
import { sample } from '../helpers/sample.ts'

const CLIENT = fileURLToPath(new URL('../helpers/network/nonblocking-client.ts', import.meta.url))
const RELAY = { host: '192.0.2.1', port: 8080 }
const LISTEN = `ws://${RELAY.host}:${RELAY.port}`
const A = '10.77.0.11'
const B = '10.77.0.12'
const VERSION = '6.1.8'

/** Bits a second of the way, and of the packets that are sent, most of which fill a segment. */
const WAY = 20_000_000
const RATE = 25_000_000
const SIZES = [1360, 1360, 90, 1360, 1360, 240]
const PER_SECOND = RATE / 8 / (SIZES.reduce((sum, size) => sum + size) / SIZES.length)

/** UDP ports from which the numbers of a flood count, and those of what follows it. */
const FLOOD = 10_000
const AFTERWARDS = 20_000

/** How often a relay stands still for one frame to be cut, and how many more are cut because the way to it is slow. */
const STOPS = 4
const MORE_CUTS = 4

/** No relay can stop that many; it is the end of a flood in which no frame is cut. */
const MOST_PACKETS = 1_000_000
const MOST_TIME = 5000

const WITHOUT_KOFFI = new URL('../helpers/programs/without-koffi.js', import.meta.url).href

const LOAD = sample('seconds of load', { short: 5, long: 8 })

const RELAYS = [
  { name: 'a relay', seconds: LOAD, version: VERSION, args: [], imports: [], isWhole: true },
  { name: 'a relay of two workers', seconds: LOAD, version: VERSION, args: ['--workers', '2'], imports: [], isWhole: true },
  { name: 'a relay that is not told what the client is', seconds: LOAD, version: null, args: [], imports: [], isWhole: true },
  { name: 'a relay without koffi', seconds: LOAD, version: VERSION, args: [], imports: [WITHOUT_KOFFI], isWhole: false }
]

type StandIn = Agent<Commands>

const hosts = async (lab: Lab): Promise<Namespace[]> => [
  await lab.host('relay', `${RELAY.host}/24`), await lab.host('a', '192.0.2.11/24'), await lab.host('b', '192.0.2.12/24')
]

async function join (namespace: Namespace, address: string, init: Partial<StartInit> = {}): Promise<StandIn> {
  const client: StandIn = new Agent<Commands>(namespace, CLIENT)
  await client.call('start', { ...RELAY, password: PASSWORD, address, version: VERSION, ...init })
  return client
}

/** Whether another packet of one gets to the other, sooner or later. */
async function reaches (a: StandIn, b: StandIn): Promise<boolean> {
  const last = async (): Promise<number> => (await b.call('report')).last[AFTERWARDS] ?? -1
  const before = await last()
  return await eventually(async () => {
    await a.call('flood', { to: B, flow: AFTERWARDS, sizes: [200], rate: RATE, count: 1, milliseconds: MOST_TIME })
    return await last() > before
  })
}

function tell (t: Test, name: string, { last, ...report }: Report): void {
  t.comment(`${name}: ${Object.entries(report).map(([key, value]) => `${key} ${Array.isArray(value) ? value.length : value}`).join(', ')}`)
}

if (await canRun(t, ['tc', 'ethtool'])) {
  for (const { name, seconds, version, args, imports, isWhole } of RELAYS) {
    await t.test(`a slow way from ${name}`, { timeout: 60_000 }, async (t) => {
      const lab = new Lab(t)
      const [relayHost, hostA, hostB] = await hosts(lab)
      // what comes to the relay is faster than what can go, else nothing would wait
      if (!await lab.slow(relayHost, WAY, 'out') || !await lab.slow(hostB, WAY, 'both')) {
        t.plan(0, 'this kernel has no token bucket filter')
        return
      }
      await startRelayWith({ imports }, relayHost, LISTEN, ...args)
      const [a, b] = await Promise.all([join(hostA, A), join(hostB, B, { version })])

      const count = Math.floor(seconds * PER_SECOND)
      const sent = await a.call('flood', { to: B, flow: FLOOD, sizes: SIZES, rate: RATE, count, milliseconds: 3 * seconds * 1000 })
      t.ok(await reaches(a, b), 'and it goes on')
      const got = await b.call('report')
      tell(t, 'a', sent)
      tell(t, 'b', got)
      t.equal(got.altered, 0, 'packets are as they were sent')
      t.same(got.wrongFrames, [])
      if (!isWhole) return
      t.same(got.cutReads, [], 'no frame arrives in two parts')
      t.same(got.closes, [])
      t.equal(got.disordered, 0)
      t.ok(got.packets >= sent.sent * WAY / RATE / 2, `the way is in use: ${got.packets} packets of ${sent.sent}`)
    })
  }

  await t.test('a client that cuts its frames', { timeout: 60_000 }, async (t) => {
    const lab = new Lab(t)
    const [relayHost, hostA, hostB] = await hosts(lab)
    const relay = await startRelayWith({}, relayHost, LISTEN)
    const [a, b] = await Promise.all([join(hostA, A, { sendBuffer: 16 * 1024 }), join(hostB, B)])
    const most = { count: MOST_PACKETS, milliseconds: MOST_TIME }
    const flood = (mostCuts: number): Promise<Report> => a.call('flood', { to: B, flow: FLOOD, sizes: SIZES, ...most, mostCuts })

    for (let stop = 0; stop < STOPS; stop++) {
      relay.signal('SIGSTOP')
      await flood(1)
      relay.signal('SIGCONT')
      t.ok(await reaches(a, b), 'and it goes on')
    }
    if (await lab.slow(hostA, WAY, 'both')) {
      await flood(MORE_CUTS)
      t.ok(await reaches(a, b), 'also after several, one soon after the other')
    }
    const [sent, got] = [await a.call('report'), await b.call('report')]
    tell(t, 'a', sent)
    tell(t, 'b', got)
    t.ok(sent.cutSends > 0, `frames were cut: ${sent.cutSends}`)
    t.same(sent.closes, [], 'the relay ends no connection')
    t.equal(sent.connections, 1)
    t.ok(got.altered <= sent.cutSends, `packets that are not as they were sent: ${got.altered}, for ${sent.cutSends} frames that were cut`)
    t.same(got.wrongFrames, [])
    t.equal(got.disordered, 0)
  })
}
