/**
 * A small internet of network namespaces: hosts on one bridge, and whatever is wired to them. Nothing of it can be reached
 * from outside, and nothing of it outlives the test.
 */
import { execFile, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { reap, spawnGroup } from '../programs/reaper.ts'

const run = promisify(execFile)

/** The device of a host that leads to the bridge. */
export const UPLINK = 'eth0'

const BRIDGE = 'br0'

/** Bytes that take a slow way at once: three segments, as a clock that is a little late would waste it with less. */
const BURST = 5000

export interface InterfaceInfo {
  index: number
  up: boolean
  /** IPv4 addresses with their prefix. */
  addresses: string[]
}

export class Namespace {
  /** As `ip netns` knows it. */
  readonly name: string
  readonly #children: Set<ChildProcess>

  constructor (name: string, children: Set<ChildProcess>) {
    this.name = name
    this.#children = children
  }

  /** Starts a program in here; it is gone when the test is over. `ip` becomes that program, so the process id is its own. */
  spawn (command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawnGroup('ip', ['netns', 'exec', this.name, command, ...args], options)
    this.#children.add(child)
    child.once('exit', () => { this.#children.delete(child) })
    return child
  }

  /** Runs a program in here to its end, without the hooks of the test runner; rejects when that is a failure. */
  async run (command: string, ...args: string[]): Promise<string> {
    return (await run('env', ['-u', 'NODE_OPTIONS', 'ip', 'netns', 'exec', this.name, command, ...args])).stdout
  }

  /** `ip` in here. */
  async ip (...args: string[]): Promise<string> {
    return (await run('ip', ['-n', this.name, ...args])).stdout
  }

  /**
   * Lets no more than so many bits a second leave by a device, and no more than `burst` bytes at once; false when this kernel has no
   * token bucket filter.
   */
  async slow (device: string, bits: number, burst: number): Promise<boolean> {
    const filter = ['tbf', 'rate', `${bits}bit`, 'burst', String(burst), 'latency', '20ms']
    return await this.run('tc', 'qdisc', 'add', 'dev', device, 'root', ...filter).then(() => true, () => false)
  }

  /** Lets segments of TCP leave by a device one by one, and arrive so; between namespaces they would travel uncut. */
  async cutSegments (device: string): Promise<void> {
    await this.run('ethtool', '-K', device, 'tso', 'off', 'gso', 'off', 'gro', 'off')
    await this.ip('link', 'set', device, 'gso_max_segs', '1') // else TCP hands down several at once, whatever ethtool says
  }

  /** Puts rules into the packet filter. */
  async filter (rules: string): Promise<void> {
    await this.run('nft', rules)
  }

  /** Undefined when there is no such interface. */
  async interface (device: string): Promise<InterfaceInfo | undefined> {
    const all: any[] = JSON.parse(await this.ip('-j', 'addr'))
    const found = all.find(({ ifname }) => ifname === device)
    if (found === undefined) return undefined
    const addresses = found.addr_info.filter(({ family }: any) => family === 'inet').map(({ local, prefixlen }: any) => `${local}/${prefixlen}`)
    return { index: found.ifindex, up: found.flags.includes('UP'), addresses }
  }

  /** The routes that peers have set in here, each as `172.16.0.0/16 via 10.77.0.2 dev candy`. */
  async routes (): Promise<string[]> {
    const all: any[] = JSON.parse(await this.ip('-j', 'route', 'show', 'proto', '202') || '[]')
    return all.map(({ dst, gateway, dev }) => `${dst} via ${gateway} dev ${dev}`)
  }

  /** The interface by which packets to an address leave. */
  async wayTo (address: string): Promise<string> {
    const [{ dev }] = JSON.parse(await this.ip('-j', 'route', 'get', address))
    return dev
  }
}

/** Of this process: several may be open at once. */
let labs = 0

export class Lab {
  readonly #number = ++labs
  /** Each namespace, and what forgets that it is to be removed at the end of the process. */
  readonly #names = new Map<string, () => void>()
  readonly #children = new Set<ChildProcess>()
  #bridge: Namespace | undefined
  /** The devices of the bridge, by the hosts that they lead to. */
  readonly #ports = new Map<Namespace, string>()

  /** Makes an empty one, and removes it with all that is in it at the end of the test. */
  constructor (t: Test) {
    t.teardown(() => this.#close())
  }

  /** A host on the bridge, with this address. */
  async host (name: string, cidr: string): Promise<Namespace> {
    this.#bridge ??= await this.#makeBridge()
    const host = await this.namespace(name)
    const port = `port${this.#ports.size}`
    this.#ports.set(host, port)
    await this.wire(host, UPLINK, this.#bridge, port)
    await this.#bridge.ip('link', 'set', port, 'master', BRIDGE)
    await host.ip('addr', 'add', cidr, 'dev', UPLINK)
    return host
  }

  /**
   * Lets no more than so many bits a second take the way from a host to the bridge, or also the way back, and segments of TCP one by
   * one; false when this kernel has no token bucket filter.
   */
  async slow (host: Namespace, bits: number, directions: 'out' | 'both'): Promise<boolean> {
    const bridge = this.#bridge as Namespace
    const port = this.#ports.get(host) as string
    await host.cutSegments(UPLINK)
    await bridge.cutSegments(port)
    return await host.slow(UPLINK, bits, BURST) && (directions === 'out' || await bridge.slow(port, bits, BURST))
  }

  /** A namespace with nothing but a loopback. */
  async namespace (name: string): Promise<Namespace> {
    const full = `tunpipe-${process.pid}-${this.#number}-${name}`
    this.#names.set(full, reap('namespace', full))
    await run('ip', ['netns', 'add', full])
    const namespace = new Namespace(full, this.#children)
    // without IPv6 the kernel says nothing of its own accord
    await namespace.run('sh', '-c', 'for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e "$f" ] || echo 1 > "$f"; done')
    await namespace.ip('link', 'set', 'lo', 'up')
    return namespace
  }

  /** A cable between two namespaces. */
  async wire (a: Namespace, deviceOfA: string, b: Namespace, deviceOfB: string): Promise<void> {
    await a.ip('link', 'add', deviceOfA, 'type', 'veth', 'peer', 'name', deviceOfB, 'netns', b.name)
    await a.ip('link', 'set', deviceOfA, 'up')
    await b.ip('link', 'set', deviceOfB, 'up')
  }

  async #makeBridge (): Promise<Namespace> {
    const bridge = await this.namespace('bridge')
    await bridge.ip('link', 'add', BRIDGE, 'type', 'bridge')
    await bridge.ip('link', 'set', BRIDGE, 'up')
    return bridge
  }

  async #close (): Promise<void> {
    const exits = [...this.#children].map((child) => child.pid !== undefined && once(child, 'exit'))
    for (const child of this.#children) child.kill('SIGKILL')
    await Promise.all(exits)
    for (const [name, forget] of this.#names) {
      await run('ip', ['netns', 'del', name])
      forget()
    }
    this.#names.clear()
  }
}
