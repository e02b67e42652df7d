/** R and T as nodes behind NATs, with pairs, and proxies of the relay between them, in a simulated network. */
import { loadSealing, loadSha256 } from '../../../src/crypto/index.ts'
import { silent } from '../../../src/log.ts'
import { Indexes } from '../../../src/nodes/showchain/peer/indexes.ts'
import { ShowchainNode } from '../../../src/nodes/showchain/peer/node.ts'
import { RequesterPair, TargetPair, type PairInit } from '../../../src/nodes/showchain/peer/pair.ts'
import { encodeMessage, readMessage, type ShowchainMessage } from '../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../src/nodes/showchain/protocol/op.ts'
import { serveShowchain } from '../../../src/nodes/showchain/relay/server.ts'
import { SimulatedNetwork, type NatInit, type SimulatedHost } from '../../../src/transports/memory/index.ts'
import { SEED } from '../bytes.ts'
import { ManualClock } from '../clock.ts'
import { instant, InstantKeys } from './instant.ts'
import { identity, type KeyName } from './keys.ts'
import { DATE, fraction } from './pairs.ts'
import type { Identity } from '../../../src/nodes/showchain/protocol/identity.ts'
import type { Batch, Datagram, DatagramSocket, Link, PacketPort } from '../../../src/types.ts'

const sha256 = await loadSha256()
const sealing = await loadSealing()

export interface LabInit {
  seed?: number
  loss?: number
  reorder?: number
  duplicate?: number
  /** See the lab. */
  isDirect?: boolean
  pageSignatures?: boolean
  nat?: Partial<NatInit>
}

/** A proxy that can be killed, and that can be bad. */
export interface LabProxy {
  readonly host: SimulatedHost
  /** Changes each 0x124. */
  alter: ((message: ShowchainMessage) => ShowchainMessage) | undefined
  /** 0x124 that it has sent. */
  passed: number
  close (): Promise<void>
}

export class StreamsLab {
  readonly clock = new ManualClock({ date: DATE })
  readonly network: SimulatedNetwork
  readonly proxies: LabProxy[] = []
  readonly nodes: ShowchainNode[] = []
  /** Of R and T. */
  readonly hosts: SimulatedHost[] = []
  readonly accepted: Link[] = []
  readonly ended: Array<Error | undefined> = []
  requester: RequesterPair | undefined
  target: TargetPair | undefined
  /** Paths that are no proxy's are looked for, by what connects from now on. */
  isDirect: boolean
  readonly #internet: ReturnType<SimulatedNetwork['subnet']>
  readonly #init: LabInit

  constructor (init: LabInit = {}) {
    const { seed = 1, loss = 0, reorder = 0, duplicate = 0 } = init
    this.#init = init
    this.isDirect = init.isDirect ?? true
    this.network = new SimulatedNetwork({ seed: seed + SEED, trace: 0, clock: this.clock })
    this.#internet = this.network.subnet('0.0.0.0/0', { delay: 10, loss, reorder, duplicate })
  }

  async proxy (key: KeyName): Promise<LabProxy> {
    const address = `192.0.2.${this.proxies.length + 1}`
    const host = this.network.host({ on: this.#internet, address })
    const proxy: LabProxy = { host, alter: undefined, passed: 0, close: async () => { await server.close() } }
    const server = await serveShowchain({
      listen: { host: address, port: 7700 },
      bootstrap: [],
      identity: instant(identity(key)) as unknown as Identity,
      clock: this.clock,
      bind: async (init) => through(await host.bindUdp(init), proxy),
      random: () => 0.5,
      threads: false,
      ...this.#init.pageSignatures === true ? { pageSignatures: true } : {}
    })
    this.proxies.push(proxy)
    return proxy
  }

  /** R and T, registered with all proxies, and R looks for T. */
  async connect (): Promise<[Link, Link]> {
    const { clock } = this
    const t = await this.#node('b', (pairInit) => {
      this.target ??= new TargetPair({ ...pairInit, other: identity('a').id, onOpen: (opening) => { this.accepted.push(opening.accept(new Uint8Array(0))) } })
      return this.target
    })
    const r = await this.#node('a', () => undefined)
    const shunned = new Set<string>()
    const requester = this.requester = new RequesterPair({
      ...r.pairInit,
      other: identity('b').id,
      onPathChosen: (path) => { connector.onPathChosen(path) },
      onAltered: (path) => {
        shunned.add(path.endpoint.host)
        path.close()
      },
      onEnded: (err) => { this.ended.push(err) }
    })
    await clock.until(() => [r.node, t.node].every(({ helpers }) => helpers.registered.length === this.proxies.length))
    const connector = r.node.connect(identity('b').id, requester, { isShunned: ({ host }) => shunned.has(host) })
    const link = await clock.until(requester.open())
    return [link, this.accepted[0]]
  }

  /** R looks for T at its endpoint. */
  goDirect (): void {
    const [target, requester] = this.nodes
    this.isDirect = true
    requester.connect(identity('b').id, this.requester as RequesterPair, { endpoint: target.local })
  }

  async close (): Promise<void> {
    this.requester?.close()
    this.target?.close()
    for (const node of this.nodes) node.close()
    for (const proxy of this.proxies) await proxy.close()
  }

  async #node (key: KeyName, userOf: (pairInit: Omit<PairInit, 'other'>) => TargetPair | undefined) {
    const { nat, pageSignatures = false } = this.#init
    const mayBeDirect = (): boolean => this.isDirect
    const number = this.nodes.length + 1
    const home = nat === undefined ? undefined : this.network.subnet('192.168.1.0/24', { delay: 1 })
    const host = this.network.host(home === undefined ? { on: this.#internet, address: `198.51.100.${number}` } : { on: home, address: '192.168.1.2' })
    this.hosts.push(host)
    if (home !== undefined) this.network.nat({ inside: home, outside: this.#internet, address: `203.0.113.${number}`, ...nat })
    const indexes = new Indexes()
    const random = fraction(number)
    const keys = new InstantKeys()
    const pairInit = {
      clock: this.clock,
      identity: instant(identity(key)),
      keys,
      sealing,
      indexes,
      random,
      onAltered: (path: { close (): void }) => { path.close() }
    }
    const node = await ShowchainNode.open({
      identity: instant(identity(key)) as unknown as Identity,
      bootstrap: this.proxies.map(({ host: { addresses: [address] } }) => ({ host: address, port: 7700 })),
      listen: { host: host.addresses[0], port: 0 },
      bind: (init) => host.bindUdp(init),
      lookup: async (name) => name,
      sha256,
      clock: this.clock,
      log: silent,
      random,
      get isDirect () { return mayBeDirect() },
      pageSignatures,
      keys,
      threads: false,
      isAllowed: () => true,
      userOf: () => userOf(pairInit),
      ownerOf: (index) => indexes.ownerOf(index),
      onPathGone: () => {},
      onFailed: (err) => { throw err }
    })
    this.nodes.push(node)
    return { node, pairInit }
  }
}

/** The socket of a proxy, which may alter what it passes on. */
function through (socket: DatagramSocket, proxy: LabProxy): DatagramSocket {
  const passed = (datagram: Datagram): Datagram => {
    const message = datagram.data[0] === 0x08 ? readMessage(datagram.data) : 'encoding'
    if (typeof message === 'string' || message.op !== Op.passData) return datagram
    proxy.passed++
    return proxy.alter === undefined ? datagram : { ...datagram, data: encodeMessage(proxy.alter(message)) }
  }
  const port: PacketPort<Datagram> = {
    send: (batch: Batch<Datagram>) => socket.port.send(batch.map(passed)),
    get queued () { return socket.port.queued },
    get limit () { return socket.port.limit },
    drained: async () => { await socket.port.drained?.() }
  }
  return new Proxy(socket, { get: (target, name) => name === 'port' ? port : typeof Reflect.get(target, name) === 'function' ? (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target) : Reflect.get(target, name) })
}
