/** Helpers and nodes in a simulated network: nodes behind NATs, with ends that only echo in place of sessions. */
import { identity } from './keys.ts'
import { instant, InstantKeys } from './instant.ts'
import { SEED } from '../bytes.ts'
import { ManualClock } from '../clock.ts'
import { loadSha256 } from '../../../src/crypto/index.ts'
import { silent } from '../../../src/log.ts'
import type { Identity } from '../../../src/nodes/showchain/protocol/identity.ts'
import { idKey } from '../../../src/nodes/showchain/protocol/public-keys.ts'
import type { Connector } from '../../../src/nodes/showchain/peer/connector.ts'
import { ShowchainNode, type NodeInit } from '../../../src/nodes/showchain/peer/node.ts'
import type { Path, PathKind, PathUser } from '../../../src/nodes/showchain/peer/paths.ts'
import { ShowchainPeer } from '../../../src/nodes/showchain/peer/peer.ts'
import type { ShowchainPeerInit } from '../../../src/nodes/showchain/peer/settings.ts'
import { serveShowchain, type ServeShowchainInit, type ShowchainServer } from '../../../src/nodes/showchain/relay/server.ts'
import { SimulatedNetwork, type NatInit, type SimulatedHost } from '../../../src/transports/memory/index.ts'
import type { Batch, Endpoint } from '../../../src/types.ts'

const sha256 = await loadSha256()

type RelayOptions = Partial<Omit<ServeShowchainInit, 'identity'>>
type Nat = ReturnType<SimulatedNetwork['nat']>

export type NodeKey = Parameters<typeof identity>[0]

export interface WorldInit {
  seed?: number
  loss?: number
  reorder?: number
  delay?: number
}

const DATE = 1_700_000_000_000

/** Bytes of a packet of data: the rest is a number. */
const PACKET = 21
const RANKS: Record<PathKind, number> = { direct: 0, nat: 1, proxy: 2 }

function packetOf (number: number): Uint8Array {
  const packet = Buffer.alloc(PACKET)
  packet[0] = 0xc1
  packet.writeUInt32BE(number, PACKET - 4)
  return packet
}

/** T's end: sends back what comes. */
export class EchoEnd implements PathUser {
  readonly paths = new Set<Path>()
  packets = 0

  addPath (path: Path): void { this.paths.add(path) }

  removePath (path: Path): void { this.paths.delete(path) }

  receive (packets: Batch, path: Path): void {
    this.packets += packets.length
    path.send(packets.map((packet) => Uint8Array.from(packet)))
  }
}

/** R's end: probes each path, and chooses as a session does. */
export class ProbingEnd implements PathUser {
  readonly paths = new Map<Path, { isWorking: boolean, unanswered: number }>()
  connector: Connector | undefined
  chosen: Path | undefined
  /** Kinds of the paths by which it has sent, in order. */
  readonly kinds: PathKind[] = []
  readonly #world: World
  #number = 0

  constructor (world: World) {
    this.#world = world
  }

  addPath (path: Path): void {
    if (this.paths.has(path)) return
    this.paths.set(path, { isWorking: false, unanswered: 0 })
    this.#probe(path)
  }

  removePath (path: Path): void {
    this.paths.delete(path)
    this.#choose()
  }

  receive (packets: Batch, path: Path): void {
    if (packets.some((packet) => packet.length !== PACKET)) throw new Error('another packet has come back')
    this.paths.set(path, { isWorking: true, unanswered: 0 })
    this.#choose()
  }

  #probe (path: Path): void {
    const state = this.paths.get(path)
    if (state === undefined || this.#world.isClosed) return
    path.send([packetOf(this.#number++)])
    if (++state.unanswered > 4 && state.isWorking) {
      state.isWorking = false
      this.#choose()
    }
    this.#world.clock.set(state.isWorking && state.unanswered <= 1 ? 5000 : 500, () => { this.#probe(path) })
  }

  #choose (): void {
    const [best] = [...this.paths].filter(([, { isWorking }]) => isWorking).map(([path]) => path).sort((a, b) => RANKS[a.kind] - RANKS[b.kind])
    if (best === this.chosen) return
    this.chosen = best
    if (best !== undefined) this.kinds.push(best.kind)
    this.connector?.onPathChosen(best)
  }
}

export interface NodeOptions extends Partial<Omit<NodeInit, 'identity'>> {
  /** Undefined: no NAT. */
  nat?: Partial<NatInit>
  /** Behind the NAT of this node. */
  behind?: WorldNode
}

export class WorldNode {
  readonly node: ShowchainNode
  readonly id: Uint8Array
  readonly host: SimulatedHost
  readonly home: ReturnType<SimulatedNetwork['subnet']> | undefined
  /** By id of R. */
  readonly accepted: Map<string, EchoEnd>
  readonly world: World

  constructor (init: Pick<WorldNode, 'node' | 'id' | 'host' | 'home' | 'accepted' | 'world'>) {
    this.node = init.node
    this.id = init.id
    this.host = init.host
    this.home = init.home
    this.accepted = init.accepted
    this.world = init.world
  }

  connect (to: WorldNode, endpoint?: Endpoint): ProbingEnd {
    const end = new ProbingEnd(this.world)
    end.connector = this.node.connect(to.id, end, { endpoint })
    return end
  }
}

export interface PeerOptions extends Partial<Omit<ShowchainPeerInit, 'identity'>> {
  nat?: Partial<NatInit>
  behind?: Pick<WorldNode, 'home'>
}

export interface WorldPeer extends Pick<WorldNode, 'host' | 'home' | 'id'> {
  readonly peer: ShowchainPeer
  /** Its own. */
  readonly nat: Nat | undefined
}

export class World {
  readonly clock = new ManualClock({ date: DATE })
  readonly network: SimulatedNetwork
  readonly internet: ReturnType<SimulatedNetwork['subnet']>
  readonly relays: ShowchainServer[] = []
  readonly relayHosts: SimulatedHost[] = []
  readonly nodes: WorldNode[] = []
  readonly peers: ShowchainPeer[] = []
  isClosed = false
  readonly #init: WorldInit
  readonly #relayInits: Array<[key: NodeKey, options: RelayOptions]> = []
  #homes = 0

  constructor (init: WorldInit = {}) {
    const { seed = 1, loss = 0, reorder = 0, delay = 20 } = init
    this.#init = init
    this.network = new SimulatedNetwork({ seed: seed + SEED, trace: 0, clock: this.clock })
    this.internet = this.network.subnet('0.0.0.0/0', { delay, loss, reorder })
  }

  /** Endpoints of all helpers. */
  get bootstrap (): Endpoint[] { return this.relayHosts.map(({ addresses: [host] }) => ({ host, port: 7700 })) }

  /** A helper; all that are named know each other. */
  async relay (key: NodeKey, { bootstrap = [], ...options }: Partial<Omit<ServeShowchainInit, 'identity' | 'bootstrap'>> & { bootstrap?: string[] } = {}): Promise<ShowchainServer> {
    const host = this.network.host({ on: this.internet, address: `192.0.2.${this.relayHosts.length + 1}` })
    this.relayHosts.push(host)
    this.#relayInits.push([key, { bootstrap, ...options }])
    const server = await this.startRelay(host, key, { bootstrap, ...options })
    this.relays.push(server)
    return server
  }

  startRelay (host: SimulatedHost, key: NodeKey, options: RelayOptions = {}): Promise<ShowchainServer> {
    const { clock } = this
    return serveShowchain({
      listen: { host: host.addresses[0], port: 7700 },
      identity: instant(identity(key)) as unknown as Identity,
      clock,
      bind: (init) => host.bindUdp(init),
      random: () => 0.5,
      threads: false,
      ...options
    })
  }

  /** All helpers, as after a power cut: they know nobody. */
  async restartRelays (): Promise<void> {
    for (const relay of this.relays.splice(0)) await relay.close()
    for (const [i, host] of this.relayHosts.entries()) this.relays.push(await this.startRelay(host, ...this.#relayInits[i]))
  }

  async node (key: NodeKey, { nat, behind, ...options }: NodeOptions = {}): Promise<WorldNode> {
    const { clock } = this
    const own = instant(identity(key)) as unknown as Identity
    const { home, host } = this.#place(nat, behind)
    const accepted = new Map<string, EchoEnd>()
    const node = await ShowchainNode.open({
      identity: own,
      keys: new InstantKeys(),
      bootstrap: this.bootstrap,
      listen: { host: host.addresses[0], port: 0 },
      bind: (init) => host.bindUdp(init),
      lookup: async (name) => name,
      sha256,
      clock,
      log: silent,
      random: () => 0.5,
      isDirect: true,
      pageSignatures: false,
      threads: false,
      isAllowed: () => true,
      userOf: (id) => {
        const end = accepted.get(idKey(id)) ?? new EchoEnd()
        accepted.set(idKey(id), end)
        return end
      },
      ownerOf: () => undefined,
      onPathGone: () => {},
      onFailed: (err) => { throw err },
      ...options
    })
    const made = new WorldNode({ node, id: own.id, host, home, accepted, world: this })
    this.nodes.push(made)
    return made
  }

  /** A peer with real sessions. TCP is that of its host. */
  async peer (key: NodeKey, { nat, behind, ...options }: PeerOptions): Promise<WorldPeer> {
    const { home, host, nat: own } = this.#place(nat, behind)
    const made = await this.peerOn(host, key, options)
    return { ...made, home, nat: own }
  }

  /** The same on a host that there is. */
  async peerOn (host: SimulatedHost, key: NodeKey, options: Partial<Omit<ShowchainPeerInit, 'identity'>>): Promise<WorldPeer> {
    const peer = new ShowchainPeer({
      identity: instant(identity(key)) as unknown as Identity,
      keys: new InstantKeys(),
      bootstrap: this.bootstrap,
      host: host.addresses[0],
      bind: (init) => host.bindUdp(init),
      transport: host.transport(),
      lookup: async (name) => name,
      clock: this.clock,
      random: () => 0.5,
      threads: false,
      ...options
    })
    this.peers.push(peer)
    await peer.start()
    return { peer, host, home: undefined, nat: undefined, id: identity(key).id }
  }

  #place (nat: Partial<NatInit> | undefined, behind: Pick<WorldNode, 'home'> | undefined): { home: WorldNode['home'], host: SimulatedHost, nat?: Nat } {
    const { network, internet } = this
    const number = ++this.#homes
    if (behind?.home !== undefined) return { home: behind.home, host: network.host({ on: behind.home, address: `192.168.1.${100 + number}` }) }
    if (nat === undefined) return { home: undefined, host: network.host({ on: internet, address: `198.51.100.${number}` }) }
    const { loss = 0, reorder = 0 } = this.#init
    const home = network.subnet('192.168.1.0/24', { delay: 1, loss, reorder })
    const own = network.nat({ inside: home, outside: internet, address: `203.0.113.${number}`, ...nat })
    return { home, host: network.host({ on: home, address: '192.168.1.2' }), nat: own }
  }

  async close (): Promise<void> {
    this.isClosed = true
    for (const { node } of this.nodes) node.close()
    for (const peer of this.peers) await peer.close()
    for (const relay of this.relays) await relay.close()
  }
}
