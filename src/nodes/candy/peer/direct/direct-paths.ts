/** Direct traffic with other members: looks for paths over UDP, keeps them, and sends and receives packets on them; candy protocol, section 2. */
import { randomBytes } from 'node:crypto'
import { AttemptKey } from './attempt-key.ts'
import { DatagramReceiver } from './datagram-receiver.ts'
import { DirectSession } from './direct-session.ts'
import { IntroducedPath } from './introduced-path.ts'
import { MemberRoutes } from './member-routes.ts'
import { Members } from './members.ts'
import { OriginalPath } from './original-path.ts'
import { Outbox, type DirectSocket } from './outbox.ts'
import { endpointOf, type OwnEndpoint } from './own-endpoint.ts'
import { PacketSender } from './packet-sender.ts'
import type { RemoteEndpoint } from './path.ts'
import { RemotePeer, type RemotePeerInit } from './remote-peer.ts'
import { randomIvs, type DatagramCipher, type Sealing } from '../../../../crypto/index.ts'
import { formatAddress, inNetwork, LIMITED_BROADCAST, parseAddress, readU32, type Cidr } from '../../../../net/ipv4.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import { every, type Interval } from '../../../../streams/clock.ts'
import { consume } from '../../../../streams/consume.ts'
import type { Batch, Clock, Datagram, Endpoint, Timer } from '../../../../types.ts'
import { DATAGRAM_LAYOUT, datagramKey, SEALED_PACKET } from '../../protocol/datagrams.ts'
import type { Secret } from '../../protocol/hashes.ts'
import { encodeIntroduction, introductionIn, type Introduction } from '../../protocol/introduction.ts'
import { decodeConn, decodeDiscovery, decodeGeneral, encodeConn, encodeDiscovery, encodeLocalEndpoint, localEndpoint } from '../../protocol/messages.ts'
import { OUTER_LENGTH } from '../../protocol/forward.ts'
import { explainPath, type PathExplanation } from './explain.ts'
import { memberStatus, type DirectMemberStatus, type DirectStatus } from './status.ts'
import { TokenBucket } from '../../../../limits/token-bucket.ts'
import type { Logger } from '../../../../log.ts'
import type { PeerRoutes } from '../routes.ts'
import type { CandyPeerStats } from '../stats.ts'
import type { PeerTaps } from '../taps.ts'

/** Milliseconds between looks at all members. */
const TICK = 250

/** Bytes of the longest datagram in an Ethernet packet: 1500 less the headers of IPv4 and UDP. */
const MAX_UDP_PAYLOAD = 1472

/** Answers to DISCOVERY, and CONNs that are taken. */
const DISCOVERY_ANSWERS = { rate: 50, burst: 200 }
const CONNS = { rate: 100, burst: 200 }

/** Attempts for members of which only packets have come: many servers do not check from whom these are. */
const NOTICED_ATTEMPTS = { rate: 10, burst: 32 }

export interface DirectPathsInit {
  /** The own virtual address, and its network. */
  own: Cidr
  secret: Secret
  sealing: Sealing
  /** Closed with this. */
  socket: DirectSocket
  /** Of the socket. */
  endpoint: OwnEndpoint
  /** The address of the socket, where it is one of the loopback: then members are peers of this machine, and no others. */
  loopback?: string | undefined
  /** Bytes of the longest packet of the interface. */
  mtu: number
  /** Milliseconds that this peer adds to routes through it; 0: there are none. */
  cost: number
  /** Milliseconds between questions who is there; 0: none. */
  discovery: number
  routes: Pick<PeerRoutes, 'size' | 'nexthopOf' | 'accepts'>
  clock: Clock
  log: Logger
  stats: CandyPeerStats
  tap: Pick<PeerTaps, 'isOn' | 'show'>
  /** Sends a message to the server. False: there is no connection now. */
  toServer (message: Uint8Array): boolean
  /** Whether there is a connection to the server. */
  isOnline (): boolean
  /** Packets for the interface. */
  deliver (packets: Batch): void
  /** Packets to a member take another way from now on: to this endpoint, or through the server. */
  onPath (member: string, endpoint: Endpoint | undefined): void
}

export class DirectPaths {
  readonly #init: DirectPathsInit
  readonly #members = new Members()
  /** For packets, and for all else. */
  readonly #outbox: Outbox
  readonly #control: Outbox
  readonly #sender: PacketSender
  readonly #receiver: DatagramReceiver
  readonly #routes: MemberRoutes
  readonly #answers: TokenBucket
  readonly #conns: TokenBucket
  readonly #noticedAttempts: TokenBucket
  readonly #cipher: DatagramCipher
  #ticking: Interval | undefined
  #discovering: Timer | undefined
  readonly #stopping = new AbortController()
  /** The last member that sent through the server, as it sends many packets. */
  #noticed = NaN

  constructor (init: DirectPathsInit) {
    const { own, secret, sealing, socket, endpoint, routes, stats, tap, clock, cost, deliver } = this.#init = init
    const members = this.#members
    const outbox = this.#outbox = new Outbox(socket)
    this.#control = new Outbox(socket)
    const now = clock.now()
    this.#answers = new TokenBucket(DISCOVERY_ANSWERS, now)
    this.#conns = new TokenBucket(CONNS, now)
    this.#noticedAttempts = new TokenBucket(NOTICED_ATTEMPTS, now)
    this.#cipher = sealing.cipher({ key: datagramKey(secret, own.address), layout: DATAGRAM_LAYOUT })
    const memberRoutes = this.#routes = new MemberRoutes({ own, cost, members, outbox, transmit: this.#transmit, stats })
    this.#sender = new PacketSender({ own: own.address, members, outbox, routes, nextHop: (destination) => memberRoutes.nextHop(destination), stats, tap, deliver, now })
    this.#receiver = new DatagramReceiver({
      own,
      members,
      endpoint,
      cipher: this.#cipher,
      routes,
      stats,
      now,
      isRelaying: memberRoutes.isOn,
      mayCarry: (by, origin) => memberRoutes.mayCarry(by, origin),
      usable: (address, port) => this.#usable(address, port),
      onStun: (now) => { for (const peer of members) peer.prepared(now) },
      onDelay: (delay, text, peer, now) => { memberRoutes.delay(delay, text, peer, now) },
      onRoute: (route, peer, now) => { memberRoutes.route(route, peer, now) },
      onTransit: (datagram, peer, now) => { memberRoutes.carry(datagram, peer, now) },
      deliver
    })
  }

  /** Receives until `close`. Rejects when the socket fails. */
  async run (): Promise<void> {
    const { clock, socket, endpoint, discovery } = this.#init
    endpoint.ask(clock.now())
    this.#tick()
    this.#ticking = every(clock, TICK, () => { this.#tick() }).unref()
    if (discovery > 0) this.#discovering = clock.set(1 + Math.random() * discovery, () => { this.#discover() }).unref()
    await consume<Datagram>(socket, (datagrams) => {
      this.#receiver.take(datagrams, clock.now())
      return this.#routes.flush()
    }, this.#stopping.signal)
  }

  close (): void {
    this.#stopping.abort()
    this.#ticking?.stop()
    this.#init.clock.clear(this.#discovering)
    this.#members.clear()
    this.#cipher.close()
    this.#init.socket.close()
  }

  /** The members that this peer has heard of. */
  status (): DirectMemberStatus[] { return [...this.#members].map((peer) => memberStatus(peer, this.#routes.nextHop(peer.address))) }

  /** What this peer tells of itself. */
  ownStatus (): Omit<DirectStatus, 'mapping' | 'reason'> {
    const { candidates, endpoint, results, natKind } = this.#init.endpoint
    return {
      isOpen: true,
      port: this.#init.socket.local.port,
      endpoint: endpoint === undefined ? undefined : endpointText(endpoint),
      candidates: candidates.map(({ type, ...endpoint }) => ({ type, endpoint: endpointText(endpoint) })),
      stun: results,
      nat: natKind
    }
  }

  explain (address: number, own: DirectStatus): PathExplanation {
    return explainPath({ address, peer: this.#members.get(address), nextHop: this.#routes.nextHop(address), own, now: this.#init.clock.now() })
  }

  /** Sends what has a direct path, and returns the other packets. */
  send (packets: Batch): Batch { return this.#members.size === 0 ? packets : this.#sender.send(packets, this.#init.clock.now()) }

  /** Settles when the memory of packets that were sent is free. Undefined when it is free now. */
  drained (): Promise<void> | undefined { return this.#outbox.drained() }

  /**
   * A packet of this member has come through the server: a direct path to it would be of use, or the one that there is is in doubt.
   *
   * @param length bytes of the packet, as it would be in a datagram
   */
  noticed (address: number, destination: number, length: number): void {
    if (address === this.#noticed) return
    const isForThis = destination === this.#init.own.address
    if (isForThis) this.#noticed = address // else the next one may tell more
    const now = this.#init.clock.now()
    this.#noticedAttempts.refill(now)
    if (this.#members.wouldStartNoticed(address) && !this.#noticedAttempts.take(1)) return
    const peer = this.#member(address, true)
    peer?.start(now, 'a packet has come through the server')
    if (isForThis) peer?.doubted(now, length + SEALED_PACKET)
  }

  /** CONN. @throws {CandyMessageError} */
  conn (message: Uint8Array): void {
    const { source, destination, address, port } = decodeConn(message)
    const peer = this.#addressed(source, destination)
    if (peer === undefined) return
    const now = this.#init.clock.now()
    this.#conns.refill(now)
    if (!peer.admits(now) || !this.#conns.take(1)) {
      this.#init.stats.drops.message++
      return
    }
    const introduction = copyOf(introductionIn(message))
    const at = this.#usable(address, port)
    if (at !== undefined && introduction === undefined) this.#members.expect(at.host)
    const candidates = (introduction?.candidates ?? []).flatMap(({ address, port }) => this.#usable(address, port) ?? [])
    peer.offered({ endpoint: at, introduction, candidates }, now)
  }

  /** DISCOVERY. @throws {CandyMessageError} */
  discovery (message: Uint8Array): void {
    const { source, destination } = decodeDiscovery(message)
    const now = this.#init.clock.now()
    const isForAll = destination === LIMITED_BROADCAST
    const peer = this.#addressed(source, isForAll ? this.#init.own.address : destination)
    if (peer === undefined) return
    this.#answers.refill(now)
    if (isForAll && this.#answers.take(1)) this.#init.toServer(encodeDiscovery({ source: this.#init.own.address, destination: source }))
    peer.start(now, 'the member asks who is there')
  }

  /** GENERAL. @throws {CandyMessageError} */
  general (message: Uint8Array): void {
    const general = decodeGeneral(message)
    const local = localEndpoint(general)
    const endpoint = local === undefined ? undefined : this.#usable(local.address, local.port)
    if (endpoint === undefined) return
    this.#members.expect(endpoint.host)
    this.#addressed(general.source, general.destination)?.localEndpoint(endpoint)
  }

  /**
   * There are other routes, which the interface is about to have. Datagrams to endpoints that they lead to would come back as packets of the
   * interface, and go into datagrams again.
   */
  routed (): void {
    const now = this.#init.clock.now()
    for (const peer of this.#members) peer.keep(({ host }) => !this.#isInside(parseAddress(host) ?? 0), now)
  }

  /** At intervals from a random time on: peers that start together do not ask together. */
  #discover (): void {
    const { clock, discovery } = this.#init
    this.#discovering = clock.set(discovery, () => { this.#discover() }).unref()
    this.#init.toServer(encodeDiscovery({ source: this.#init.own.address, destination: LIMITED_BROADCAST }))
  }

  #tick (): void {
    const now = this.#init.clock.now()
    const requests = this.#init.endpoint.poll(now)
    const outside = requests.filter(({ host }) => !this.#isInside(parseAddress(host) ?? 0)) // what a server sees at the end of the tunnel is no endpoint of this peer
    if (outside.length > 0) this.#init.socket.port.send(outside)
    for (const peer of this.#members) peer.tick(now)
    this.#routes.tick(now)
    this.#noticed = NaN
  }

  /** The member that a message is from, when it is for this peer. */
  #addressed (source: number, destination: number): RemotePeer | undefined {
    if (destination !== this.#init.own.address) return undefined
    const peer = this.#member(source, false)
    if (peer !== undefined) this.#members.confirm(peer)
    return peer
  }

  /**
   * The member with this address, new or known. Undefined for one that can be none, or when there are too many.
   *
   * @param isNoticed only packets of it have come
   */
  #member (address: number, isNoticed: boolean): RemotePeer | undefined {
    const known = this.#members.get(address)
    if (known !== undefined) return known
    const { own } = this.#init
    if (address === own.address || !inNetwork(address, own) || (own.prefix < 31 && (address === own.network || address === own.broadcast))) return undefined
    if (!this.#members.makeRoom(isNoticed)) return undefined
    const peer = new RemotePeer(this.#initOf(address))
    this.#members.add(peer, isNoticed)
    return peer
  }

  /** Undefined for an endpoint that is none, or that leads into the tunnel itself. */
  #usable (address: number, port: number): RemoteEndpoint | undefined {
    return this.#isInside(address) ? undefined : endpointOf(address, port, this.#init.loopback !== undefined)
  }

  #isInside (address: number): boolean {
    const { own, routes } = this.#init
    return inNetwork(address, own) || (routes.size > 0 && routes.nexthopOf(address) !== 0)
  }

  #initOf (address: number): RemotePeerInit {
    const { own, secret, sealing, endpoint, clock, mtu, log, toServer } = this.#init
    const transmit = this.#transmit
    let shared: DatagramCipher | undefined
    return {
      address,
      clock,
      isOnline: () => this.#init.isOnline(),
      isPrepared: (now) => endpoint.isPrepared(now) && endpoint.endpoint !== undefined,
      prepare: (now) => { endpoint.prepare(now) },
      announce: ({ index, publicKey }, known) => {
        const at = endpoint.endpoint
        if (at === undefined) return false
        const conn = encodeConn({ source: own.address, destination: address, address: parseAddress(at.host) ?? 0, port: at.port })
        const candidates = endpoint.candidates.map(({ type, host, port }) => ({ kind: type, address: parseAddress(host) ?? 0, port }))
        return toServer(Buffer.concat([conn, encodeIntroduction({ nat: endpoint.nat, index, publicKey, known, candidates })]))
      },
      announceLocal: () => {
        const { local } = endpoint
        if (local !== undefined) toServer(encodeLocalEndpoint({ source: own.address, destination: address, address: parseAddress(local.host) ?? 0, port: local.port }))
      },
      originalPath: () => {
        shared ??= sealing.cipher({ key: datagramKey(secret, address), layout: DATAGRAM_LAYOUT, ivs: randomIvs() })
        return new OriginalPath({ own: own.address, cipher: shared, transmit })
      },
      session: (key, index, introduction) => this.#session(address, key, index, introduction),
      introducedPath: (session) => new IntroducedPath({ own: own.address, session, most: Math.min(mtu + SEALED_PACKET + OUTER_LENGTH, MAX_UDP_PAYLOAD), transmit }),
      forget: (session) => { this.#members.forget(session) },
      newIndex: () => this.#newIndex(),
      onState: (peer, before) => {
        this.#members.forgetSources(peer)
        this.#noticed = NaN
        log.debug({ member: formatAddress(address), state: peer.state, before }, 'direct path')
      },
      onHealth: (peer) => { this.#routes.changed(peer, clock.now()) },
      onPath: (peer) => {
        this.#members.forgetSources(peer)
        this.#routes.changed(peer, clock.now())
        this.#tellPath(peer)
      }
    }
  }

  /** Sends a datagram that is no packet: some are as large as they are to find out whether that arrives whole. */
  readonly #transmit = (data: Uint8Array, { host, port }: Endpoint): void => {
    this.#control.add({ data, host, port }, false)
    this.#control.flush()
  }

  #tellPath (peer: RemotePeer): void {
    const endpoint = peer.usable?.endpoint
    const member = formatAddress(peer.address)
    this.#init.log.info({ member, endpoint: endpoint === undefined ? 'the server' : endpointText(endpoint) }, 'path')
    this.#init.onPath(member, endpoint)
  }

  #session (address: number, key: AttemptKey, index: number, { index: indexOut, publicKey }: Introduction): DirectSession | undefined {
    const { own, secret, sealing } = this.#init
    const keys = key.agree({ secret, own: own.address, other: address, publicKey })
    if (keys === undefined) return undefined
    const session = new DirectSession({ sealing, keys, indexIn: index, indexOut })
    this.#members.register({ session, peer: this.#members.get(address) as RemotePeer })
    return session
  }

  /** A number that no session has. */
  #newIndex (): number {
    for (;;) {
      const index = readU32(randomBytes(4), 0)
      if (this.#members.sessionAt(index) === undefined) return index
    }
  }
}

/** The message is memory that is used again. */
function copyOf (introduction: Introduction | undefined): Introduction | undefined {
  if (introduction === undefined) return undefined
  return { ...introduction, publicKey: introduction.publicKey.slice(), known: introduction.known.slice() }
}
