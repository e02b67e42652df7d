/** A rendezvous server with its relay, and peers behind NATs of all kinds, in a simulated network. */
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { MemoryStore } from './rendezvous.ts'
import { loadNacl, type KeyPair, type Nacl } from '../../../src/crypto/nacl/index.ts'
import { over } from '../../../src/layer.ts'
import { PeerSigner } from '../../../src/nodes/rustdesk/keys/peer-signer.ts'
import { LicenceKey } from '../../../src/nodes/rustdesk/keys/server-key.ts'
import { keyText } from '../../../src/nodes/rustdesk/keys/key-text.ts'
import { RustdeskPeer } from '../../../src/nodes/rustdesk/peer/peer.ts'
import type { RustdeskPeerInit } from '../../../src/nodes/rustdesk/peer/settings.ts'
import { acceptNatTest } from '../../../src/nodes/rustdesk/rendezvous/nat-query.ts'
import { Rendezvous } from '../../../src/nodes/rustdesk/rendezvous/rendezvous.ts'
import { RustdeskRelay } from '../../../src/nodes/rustdesk/relay/relay.ts'
import { consume } from '../../../src/streams/consume.ts'
import { acceptEach } from '../../../src/transports/acceptor.ts'
import { SimulatedNetwork, type NatKind, type SimulatedHost, type SimulatedLink, type Subnet } from '../../../src/transports/memory/index.ts'
import type { Link } from '../../../src/types.ts'

/** The server, and its port. */
export const SERVER = '198.51.100.1'
export const SERVER_IPV6 = '2001:db8::1'
export const PORT = 21_116

/** A service that gives back what it gets, and where users come in. */
export const SERVICE_PORT = 7
export const USER_PORT = 2222

/** Of a NAT; `none`, `ipv6`: an address of the internet. */
export type Place = NatKind | 'none' | 'ipv6'

export interface WorldInit {
  seed?: number
  alwaysUseRelay?: boolean
  /** What clients have to tell; default: the public key of the server. */
  key?: string
}

export class World {
  readonly network: SimulatedNetwork
  readonly internet: Subnet
  readonly pair: KeyPair
  readonly store = new MemoryStore()
  readonly server: SimulatedHost
  rendezvous!: Rendezvous
  relay!: RustdeskRelay
  readonly #nacl: Nacl
  readonly #init: WorldInit
  readonly #subnets = new Map<string, Subnet>()
  #hosts = 0

  private constructor (nacl: Nacl, init: WorldInit) {
    this.#nacl = nacl
    this.#init = init
    this.network = new SimulatedNetwork({ seed: init.seed ?? 1 })
    this.internet = this.network.subnet(['0.0.0.0/0', '::/0'], { delay: 10 })
    this.server = this.network.host({ on: this.internet, address: [SERVER, SERVER_IPV6], name: 'server' })
    this.pair = nacl.signKeys(createHash('sha256').update('server').digest())
  }

  static async open (t: Test, init: WorldInit = {}): Promise<World> {
    const world = new World(await loadNacl(), init)
    await world.serve()
    t.teardown(async () => { await world.stop() })
    return world
  }

  get clock (): SimulatedNetwork['clock'] { return this.network.clock }

  get key (): string { return keyText(this.pair.publicKey) }

  /** Begins to serve; after `stop`, again with the same store. */
  async serve (): Promise<void> {
    const { clock, server, store } = this
    const licence = new LicenceKey(this.#init.key ?? this.key)
    const rendezvous = this.rendezvous = new Rendezvous({ store, clock, licence, signer: new PeerSigner({ nacl: this.#nacl, pair: this.pair }), alwaysUseRelay: this.#init.alwaysUseRelay ?? false })
    const relay = this.relay = new RustdeskRelay({ clock, key: licence.text })
    const socket = await server.bindUdp({ host: '::', port: PORT })
    const receiver = rendezvous.datagrams(socket.port)
    consume(socket, (batch) => { receiver.receive(batch) }).catch(() => {})
    const listen = (port: number, accept: (link: SimulatedLink) => void): void => {
      const listener = server.transport().listen({ host: '::', port })
      this.#closes.push(() => { listener.close() })
      acceptEach(listener, accept, () => {}).catch(() => {})
    }
    this.#closes.push(() => { socket.close() })
    listen(PORT, (link) => { void rendezvous.accept(Object.assign(over(link, rendezvous.tcpMessages), { remote: link.remote }), 'tcp') })
    listen(PORT - 1, (link) => { void acceptNatTest(rendezvous, link as never, { hasConsole: false, clock }) })
    listen(PORT + 1, (link) => { void relay.acceptTcp(link as never) })
  }

  async stop (): Promise<void> {
    for (const close of this.#closes.splice(0)) close()
    await Promise.all([this.rendezvous.close(), this.relay.close()])
  }

  readonly #closes: Array<() => void> = []

  /** A host behind a NAT; those of one name are behind the same one. */
  host (place: Place, name = `site-${this.#hosts + 1}`): SimulatedHost {
    const number = ++this.#hosts
    if (place === 'none') return this.network.host({ on: this.internet, address: `203.0.113.${number}`, name })
    if (place === 'ipv6') return this.network.host({ on: this.internet, address: `2001:db8::${number}:1`, name })
    let inside = this.#subnets.get(name)
    if (inside === undefined) {
      inside = this.network.subnet(`192.168.${number}.0/24`, { delay: 1 })
      this.network.nat({ inside, outside: this.internet, address: `203.0.113.${number}`, kind: place })
      this.#subnets.set(name, inside)
    }
    const [network] = String(inside.networks[0]).split('/')
    return this.network.host({ on: inside, address: network.replace(/0$/, String(number + 1)), name: `host-${number}` })
  }

  /** A peer that gives an echo; closed with the test. */
  async echo (t: Test, host: SimulatedHost, init: Partial<RustdeskPeerInit>): Promise<RustdeskPeer> {
    const listener = host.transport().listen({ host: '127.0.0.1', port: SERVICE_PORT })
    acceptEach(listener, (link) => { void link.sink(link.source).catch(() => {}) }, () => {}).catch(() => {})
    return await this.peer(t, host, { to: `127.0.0.1:${SERVICE_PORT}`, allow: 'any', ...init })
  }

  async peer (t: Test, host: SimulatedHost, init: Partial<RustdeskPeerInit>): Promise<RustdeskPeer> {
    const peer = new RustdeskPeer({
      server: `${SERVER}:${PORT}`,
      key: this.key,
      transport: host.transport(),
      bind: async (at) => await host.bindUdp(at),
      lookup: async (name) => name,
      clock: this.clock,
      random: () => 0.5,
      ...init
    })
    t.teardown(() => peer.close())
    await peer.start()
    return peer
  }

  /** A user of a port of a host. */
  user (host: SimulatedHost, port = USER_PORT): Promise<Link> { return host.transport().dial({ host: '127.0.0.1', port }) }
}
