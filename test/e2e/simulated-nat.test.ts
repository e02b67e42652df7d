/** The simulated NAT beside a router of Linux: the same packets, in an order that a seed makes, and the same endpoints and filters. */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { random } from '../helpers/bytes.ts'
import { Lab, UPLINK } from '../helpers/network/namespaces.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent } from '../helpers/network/traffic.ts'
import type { UdpCommands } from '../helpers/network/udp-agent.ts'
import { sample } from '../helpers/sample.ts'
import { talker } from '../helpers/transports/simulation.ts'
import { SimulatedNetwork } from '../../src/transports/memory/index.ts'
import type { Endpoint } from '../../src/types.ts'

const AGENT = fileURLToPath(new URL('../helpers/network/udp-agent.ts', import.meta.url))
const OUTSIDE = '192.0.2.50'
const INSIDE = '198.51.100.2'
const REMOTES = ['192.0.2.11', '192.0.2.12', '192.0.2.13', '192.0.2.14']

/** Milliseconds until something that did not come was filtered: the namespaces are on one machine. */
const PATIENCE = 30

/** Sockets inside, then those outside, by number. */
interface Sockets {
  say (from: number, to: Endpoint): Promise<void>
  /** Where the last packet to a socket came from; undefined when none has come. */
  heard (at: number): Promise<string | undefined>
}

/** Ports that differ from run to run: in the order in which they appear. */
class Names {
  readonly #names = new Map<string, string>()

  of (endpoint: string | undefined, known: readonly number[]): string {
    if (endpoint === undefined) return 'nothing'
    const [host, port] = endpoint.split(':')
    if (known.includes(Number(port))) return endpoint
    if (!this.#names.has(endpoint)) this.#names.set(endpoint, `${host}, new port ${this.#names.size + 1}`)
    return this.#names.get(endpoint) as string
  }
}

/** Sends packets, and tells what was seen of them. */
async function run (seed: number, ports: readonly number[], { say, heard }: Sockets): Promise<string[]> {
  const below = random(seed)
  const names = new Names()
  const seen = ports.map((port) => ({ host: OUTSIDE, port })) // endpoints outside that somebody may try
  const lines: string[] = []
  for (let step = 0; step < 30; step++) {
    const inside = below(ports.length)
    const remote = below(REMOTES.length)
    const at = ports.length + remote
    if (below(2) === 0) {
      await say(inside, { host: REMOTES[remote], port: 7 })
      const from = await heard(at)
      lines.push(`${inside} > ${REMOTES[remote]}: ${names.of(from, ports)}`)
      if (from !== undefined && !seen.some(({ port }) => port === Number(from.split(':')[1]))) seen.push({ host: OUTSIDE, port: Number(from.split(':')[1]) })
    } else {
      const to = seen[below(seen.length)]
      await say(at, to)
      const heardBy = []
      for (const i of ports.keys()) if (await heard(i) !== undefined) heardBy.push(i)
      lines.push(`${REMOTES[remote]} > ${names.of(`${to.host}:${to.port}`, ports)}: heard by ${heardBy.join()}`)
    }
  }
  return lines
}

async function simulated (ports: readonly number[], remapsAfterUnsolicited: boolean): Promise<Sockets> {
  const network = new SimulatedNetwork()
  const [internet, home] = [network.subnet('0.0.0.0/0'), network.subnet('198.51.100.0/24')]
  network.nat({ inside: home, outside: internet, address: OUTSIDE, kind: 'port-restricted-cone', portPreservation: true, inboundRefresh: true, remapsAfterUnsolicited })
  const inside = network.host({ on: home, address: INSIDE })
  const all = await Promise.all([...ports.map((port) => talker(inside, port)), ...REMOTES.map((address) => talker(network.host({ on: internet, address }), 7))])
  return {
    async say (from, to) {
      all[from].say(to)
      await network.clock.pass(100)
    },
    heard: async (at) => all[at].heard.splice(0).at(-1)?.[1]
  }
}

async function ofLinux (t: Test, ports: readonly number[], input: 'accept' | 'drop'): Promise<Sockets> {
  const lab = new Lab(t)
  const router = await lab.host('router', `${OUTSIDE}/24`)
  const far = await lab.host('far', `${REMOTES[0]}/24`)
  for (const address of REMOTES.slice(1)) await far.ip('addr', 'add', `${address}/24`, 'dev', UPLINK)
  const inside = await lab.namespace('inside')
  await lab.wire(router, 'lan', inside, UPLINK)
  await router.ip('addr', 'add', '198.51.100.1/24', 'dev', 'lan')
  await inside.ip('addr', 'add', `${INSIDE}/24`, 'dev', UPLINK)
  await inside.ip('route', 'add', 'default', 'via', '198.51.100.1')
  await router.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  await router.filter(`table ip nat {
    chain translate { type nat hook postrouting priority 100; oifname "${UPLINK}" masquerade; }
    chain own { type filter hook input priority 0; ${input === 'drop' ? `iifname "${UPLINK}" ct state new drop;` : ''} }
  }`)
  const [here, there] = [new Agent<UdpCommands>(inside, AGENT), new Agent<UdpCommands>(far, AGENT)]
  const all: Array<readonly [Agent<UdpCommands>, number]> = []
  for (const port of ports) all.push([here, await here.call('bind', INSIDE, port)])
  for (const address of REMOTES) all.push([there, await there.call('bind', address, 7)])
  return {
    say: (from, to) => all[from][0].call('say', all[from][1], to.host, to.port),
    heard: async (at) => (await all[at][0].call('heard', all[at][1], PATIENCE)).at(-1)
  }
}

if (await canRun(t, ['nft'])) {
  const count = sample('runs beside Linux', { short: 3, long: 30 })
  for (const input of ['accept', 'drop'] as const) {
    t.test(`a router of Linux that ${input}s packets for itself`, { timeout: 120_000 }, async (t) => {
      const ports = Array.from({ length: 2 * count }, (_value, i) => 5000 + i)
      const linux = await ofLinux(t, ports, input)
      for (let seed = 0; seed < count; seed++) {
        const own = ports.slice(2 * seed, 2 * seed + 2) // new ones for each run, as Linux forgets nothing meanwhile
        const at = (i: number): number => i < own.length ? i + 2 * seed : i - own.length + ports.length
        const shifted: Sockets = { say: (from, to) => linux.say(at(from), to), heard: (i) => linux.heard(at(i)) }
        t.same(await run(seed, own, await simulated(own, input === 'accept')), await run(seed, own, shifted), `seed ${seed}`)
      }
    })
  }
}
