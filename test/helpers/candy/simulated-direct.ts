/** A relay, a responder of STUN and peers behind NATs, whole, in a simulated network and in virtual time. */
import { once } from 'node:events'
import type { Test } from 'tap'
import { serveStun } from '../nat/stun.ts'
import { readUrl } from '../../../src/net/endpoint.ts'
import { CandyPeer, CandyRelay, type CandyPeerInit, type CandyRelayOptions, type CandyNetworkInit } from '../../../src/nodes/candy/index.ts'
import { nextTurn } from '../../../src/streams/turns.ts'
import { VirtualClock } from '../../../src/streams/virtual-clock.ts'
import { websocketFrames } from '../../../src/transforms/websocket-frames/index.ts'
import { overAccepted } from '../../../src/transports/connection-guard.ts'
import { SimulatedNetwork, type Conditions, type NatInit, type SimulatedHost, type SimulatedNat, type Subnet } from '../../../src/transports/memory/index.ts'
import { userspaceTun, type UserspaceTun } from '../../../src/tun/index.ts'
import { TappedSocket } from './tapped-socket.ts'

export const PASSWORD = 'a password of the test'
export const RELAY = { host: '198.51.100.1', port: 8080 }

/** Another address of the relay. */
export const SECOND_STUN = '198.51.100.2'

export interface Member {
  host: SimulatedHost
  peer: CandyPeer
  tun: UserspaceTun
  /** The virtual address. */
  address: string
  nat: SimulatedNat | undefined
  /** Of one that is tapped. */
  socket: TappedSocket | undefined
}

/** Where a host is. */
export interface Place {
  name: string
  /** Default: the address is one of the internet. */
  nat?: Omit<NatInit, 'inside' | 'outside' | 'address'>
  /** Shares the home of another one. */
  beside?: Pick<Member, 'host'>
}

export interface MemberInit extends Place {
  peer?: Partial<CandyPeerInit>
  /** Its socket tells what comes and goes, and takes what never came. */
  isTapped?: boolean
}

interface Home {
  number: number
  subnet: Subnet
  nat: SimulatedNat
}

export class World {
  readonly clock = new VirtualClock({ date: Date.UTC(2026, 0, 1) })
  readonly network: SimulatedNetwork
  readonly internet: Subnet
  readonly server: SimulatedHost
  readonly relay: CandyRelay
  readonly members: Member[] = []
  readonly #homes = new Map<SimulatedHost, Home>()
  #count = 0

  /** @param conditions of UDP between homes and everybody: those of the internet */
  constructor (t: Pick<Test, 'teardown'>, { seed = 1, dhcp = '10.77.0.0/24', relay: options = {}, ...conditions }: Conditions & { seed?: number, dhcp?: string, relay?: CandyRelayOptions & Partial<CandyNetworkInit> } = {}) {
    const { clock } = this
    this.network = new SimulatedNetwork({ seed, clock, trace: 0 })
    this.internet = this.network.subnet('0.0.0.0/0', { delay: 20, ...conditions })
    this.server = this.network.host({ on: this.internet, address: [RELAY.host, SECOND_STUN], name: 'relay' })
    const relay = this.relay = new CandyRelay({ password: PASSWORD, dhcp, clock, ...options })
    const listener = this.server.transport().listen(RELAY)
    void (async () => {
      for await (const link of listener) void relay.accept(overAccepted(link, websocketFrames({ ...relay.frames, role: 'server' })))
    })()
    t.teardown(async () => {
      const closing = Promise.all([...this.members.map(({ peer }) => peer.close()), relay.close()])
      listener.close()
      await clock.until(closing)
      for (const { tun } of this.members) tun.abort(new Error('the test is over'))
    })
  }

  /** Two addresses of the relay, with two ports each, answer requests of STUN. */
  async stun (): Promise<void> {
    const ports = [3478, 3479]
    await serveStun(this.clock, this.server, [RELAY.host, SECOND_STUN].flatMap((host) => ports.map((port) => ({ host, port }))))
  }

  /** A new host. */
  place ({ name, nat, beside }: Place): { host: SimulatedHost, nat: SimulatedNat | undefined } {
    const { network, internet } = this
    const i = ++this.#count
    let home = beside === undefined ? undefined : this.#homes.get(beside.host)
    if (home === undefined && nat !== undefined) {
      const inside = network.subnet(`192.168.${i}.0/24`, { name: `home of ${name}` })
      home = { number: i, subnet: inside, nat: network.nat({ inside, outside: internet, address: `203.0.113.${i}`, name: `nat of ${name}`, ...nat }) }
    }
    const host = home === undefined
      ? network.host({ on: internet, address: `203.0.113.${i}`, name })
      : network.host({ on: home.subnet, address: `192.168.${home.number}.${10 + i}`, name })
    if (home !== undefined) this.#homes.set(host, home)
    return { host, nat: home?.nat }
  }

  /** A peer that is online when it settles. */
  async join ({ peer: init, isTapped = false, ...place }: MemberInit): Promise<Member> {
    const { clock } = this
    const { host, nat } = this.place(place)
    const [address] = host.addresses
    let tapped: TappedSocket | undefined
    let bound = (): void => {}
    const isBound = new Promise<void>((resolve) => { bound = resolve })
    const tun = userspaceTun({ clock })
    const peer = new CandyPeer({
      url: `ws://${RELAY.host}:${RELAY.port}/`,
      password: PASSWORD,
      name: place.name,
      tun,
      clock,
      stun: [`${RELAY.host}:3478`],
      localhost: address,
      dial: async (url, { signal }) => await host.transport().dial({ ...readUrl(url) ?? RELAY, signal, timeout: 10_000 }),
      bindUdp: async ({ port }) => {
        const socket = await host.bindUdp({ port })
        bound()
        tapped = isTapped ? new TappedSocket(socket) : undefined
        return tapped ?? socket
      },
      ...init
    })
    const online = once(peer, 'online')
    peer.start()
    await clock.until(online)
    if (init?.direct !== false) await isBound // what is loaded for it takes real time
    await nextTurn()
    const member: Member = { host, peer, tun, address: (peer.address ?? '').split('/')[0], nat, socket: tapped }
    this.members.push(member)
    return member
  }

  /** The round trip of a ping; undefined when there is no answer. */
  async ping (from: Member, to: Member, timeout = 3000): Promise<number | undefined> {
    return await this.clock.until(from.tun.ping(to.address, { timeout }).catch(() => undefined))
  }
}
