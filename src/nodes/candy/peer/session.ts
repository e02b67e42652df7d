/** One connection of a candy peer to its server, from the handshake to the end (candy protocol, section 1.5). */
import { typeDemux } from '../../../transforms/type-demux.ts'
import type { WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import { SendQueue, bufferedAmountOf } from '../../../limits/send-queue.ts'
import { OptionError } from '../../../errors.ts'
import { destinationOf, formatCidr, isIpv4, parseCidr, type Cidr } from '../../../net/ipv4.ts'
import type { Tun } from '../../../tun/device.ts'
import { every } from '../../../streams/clock.ts'
import type { Batch, Clock } from '../../../types.ts'
import { FORWARD_PACKET, isRouted, OUTER_LENGTH, stripOuter, writeOuter } from '../protocol/forward.ts'
import { ANY_ADDRESS, confusion, decodeDhcp, encodeAuth, encodeDhcp, encodeVmac } from '../protocol/handshake.ts'
import type { Secret } from '../protocol/hashes.ts'
import { CandyMessageError, MAX_LENGTH, MessageType, MIN_LENGTH } from '../protocol/messages.ts'
import type { PeerRoutes } from './routes.ts'
import type { PeerTaps } from './taps.ts'
import type { CandyPeerStats } from './stats.ts'

export interface PeerSessionInit {
  link: WebSocketLink
  /** The address of the server in the network below; undefined when that is no IPv4. */
  server?: number
  tun: Pick<Tun, 'mtu' | 'port' | 'setAddress'>
  routes: Pick<PeerRoutes, 'size' | 'changed' | 'nexthopOf' | 'accepts' | 'checkNetwork' | 'addressed' | 'begin' | 'take' | 'install'>
  secret: Secret
  vmac: string
  /** CIDR of our own choice; otherwise the server gives one. */
  address?: string
  /** CIDR to ask the server for first. */
  remembered?: string
  /** What the server learns of us, `candy::os::version::host`; servers answer no ping of another form. */
  greeting: string
  clock: Clock
  /** When the connection was begun, by that clock. */
  dialledAt: number
  /** Milliseconds between pings. */
  pingInterval: number
  /** Milliseconds from `dialledAt` in which the server has to accept us, and later of silence after which it is taken for dead. */
  deadAfter: number
  stats: Omit<CandyPeerStats, 'routes' | 'failures' | 'restored'>
  /** The address is set on the interface and AUTH was sent. */
  onAddress (cidr: string): void
  /** The server has answered after AUTH, so it has accepted it. The interface has its routes, unless the answer is a packet that was faster. */
  onOnline (): void
  /** Sees the packets that were sent and got. */
  readonly tap: Pick<PeerTaps, 'isOn' | 'show'>
}

/** Handlers of what a server sends. Types that are of no use to this peer, and unknown ones, are ignored. */
const receive = typeDemux<PeerSession>({
  [MessageType.FORWARD]: (message, session) => { session.forward(message) },
  [MessageType.DHCP]: (message, session) => { session.offered(message) },
  [MessageType.ROUTE]: (message, session) => { session.route(message) }
}, { unknown: () => {} })

/** How often the deadlines are looked at, in milliseconds; ten times in `deadAfter` when that is shorter. */
const CHECK_INTERVAL = 1000

/** Bytes that wait behind what the kernel has taken, before the interface has to wait: it tells programs to send less, and nothing is lost. */
const HIGH_WATER = 128 * 1024

export class PeerSession {
  readonly #init: PeerSessionInit
  readonly #clock: Clock
  readonly #link: WebSocketLink
  readonly #sendQueue: SendQueue
  /** For the interface, out of the read that is being handled. */
  #inbound: Batch = []
  #asked = false
  /** Our own address, once AUTH was sent with it. */
  #own = 0
  #answered = false
  #settled = false
  #online = false
  #over = false
  #heardAt: number
  #pingedAt = 0
  #roundTrip: number | undefined

  constructor (init: PeerSessionInit) {
    this.#init = init
    this.#clock = init.clock
    this.#heardAt = init.clock.now()
    this.#link = init.link
    this.#sendQueue = new SendQueue(init.link.port, true)
  }

  /** Milliseconds from the last ping that was answered to its answer. */
  get roundTrip (): number | undefined { return this.#roundTrip }

  /** Bytes that wait for the server, in memory and, as far as that is known, in the system. */
  get queued (): number { return bufferedAmountOf(this.#link.port) }

  /** Settles when no more than a moment's worth of packets waits for the server, or there is none any more. Undefined when that is so. */
  drained (): Promise<void> | undefined {
    const { port } = this.#link
    return port.queued > HIGH_WATER ? port.drained?.() : undefined
  }

  /** Runs until the connection has ended; rejects with what ended it, unless the server said goodbye. */
  async run (): Promise<void> {
    const { pingInterval, deadAfter } = this.#init
    const link = this.#link
    link.onText = link.onPing = () => { this.#heard() }
    link.onPong = (payload) => {
      this.#heard()
      this.#pong(payload)
    }
    // Regardless of what arrives: a server may count our frames only, and a peer that just receives sends none.
    const pinging = every(this.#clock, pingInterval, () => {
      if (this.#own !== 0) this.#ping()
    })
    const checking = every(this.#clock, Math.min(CHECK_INTERVAL, deadAfter / 10), () => { this.#check() })
    try {
      this.#greet()
      await link.flow((batch) => {
        this.#heard()
        for (const message of batch) receive(message, this)
        this.#deliver()
        this.#settle()
      })
    } finally {
      this.#settle()
      this.#over = true
      pinging.stop()
      checking.stop()
    }
  }

  /** Sends packets of the interface to the server. */
  send (packets: Batch): void {
    const { stats } = this.#init
    if (this.#own === 0) {
      stats.drops.offline += packets.length
      return
    }
    const { tap } = this.#init
    const now = this.#clock.now()
    const admitted = this.#sendQueue.admit(packets, this, now)
    stats.drops.queue += packets.length - admitted.length
    const messages: Batch = []
    const sent: Batch | undefined = tap.isOn ? [] : undefined
    let bytes = 0
    for (const packet of admitted) {
      const message = this.#asForward(packet)
      if (message === undefined) {
        stats.drops.malformed++
        continue
      }
      bytes += packet.length
      sent?.push(packet)
      messages.push(message)
    }
    if (messages.length === 0) return
    const { port } = this.#link
    if (port.send(messages) === 0) {
      const reason = port.queued >= port.limit ? 'queue' : 'offline' // the connection is gone, and `run` is about to notice
      stats.drops[reason] += messages.length
      return
    }
    this.#sendQueue.enqueued(bytes, this, now)
    stats.packetsOut += messages.length
    stats.bytesOut += bytes
    if (sent !== undefined) tap.show(sent, 'out')
  }

  /** The message of a packet: itself, with what goes in front of it in its headroom. Undefined when it is no IPv4 or too long. */
  #asForward (packet: Uint8Array): Uint8Array | undefined {
    if (!isIpv4(packet)) return undefined
    const { routes } = this.#init
    const nexthop = routes.size === 0 ? 0 : routes.nexthopOf(destinationOf(packet))
    const room = nexthop === 0 ? FORWARD_PACKET : FORWARD_PACKET + OUTER_LENGTH
    if (packet.length + room > MAX_LENGTH) return undefined
    const message = new Uint8Array(packet.buffer, packet.byteOffset - room, packet.length + room)
    message[0] = MessageType.FORWARD
    if (nexthop !== 0) writeOuter(message, FORWARD_PACKET, this.#own, nexthop)
    return message
  }

  forward (message: Uint8Array): void {
    this.#accepted() // no server relays to a client that it has not taken
    const packet = message.length < MIN_LENGTH.FORWARD ? undefined : stripOuter(message.subarray(FORWARD_PACKET))
    const { stats, tun } = this.#init
    // Some servers relay messages that are too long for the protocol.
    if (packet === undefined || (message.length > MAX_LENGTH && packet.length > tun.mtu)) stats.drops.malformed++
    else if (isRouted(message) && !this.#init.routes.accepts(destinationOf(packet))) stats.drops.destination++
    else this.#inbound.push(packet)
  }

  /** The answer to DHCP. Existing servers leave junk behind the text of the address, which decoding skips. */
  offered (message: Uint8Array): void {
    if (!this.#asked) return
    this.#asked = false
    const offer = decodeDhcp(message)
    if (!this.#init.secret.verify(offer)) throw new CandyMessageError('the server has another password')
    const { routes, server } = this.#init
    routes.checkNetwork(offer.cidr, server)
    void this.#authenticate(offer.cidr, true)
  }

  /** Servers push their routes in answer to AUTH, and may add to them later. */
  route (message: Uint8Array): void {
    if (this.#own !== 0) this.#init.routes.take(message)
  }

  #greet (): void {
    const { address, remembered, secret, vmac } = this.#init
    const timestamp = Math.floor(this.#clock.date() / 1000)
    this.#link.port.send([encodeVmac({ secret, vmac, timestamp, tail: confusion() })])
    const own = address === undefined ? undefined : parseCidr(address)
    if (own !== undefined) {
      void this.#authenticate(own, false)
      return
    }
    this.#asked = true
    const cidr = (remembered === undefined ? undefined : parseCidr(remembered)) ?? ANY_ADDRESS
    this.#link.port.send([encodeDhcp({ secret, cidr, timestamp, tail: confusion() })])
  }

  /** @param given by the server, so that it is no fault of this side when the interface cannot have it */
  async #authenticate (own: Cidr, given: boolean): Promise<void> {
    const { secret, tun, routes, server } = this.#init
    const cidr = formatCidr(own)
    try {
      await tun.setAddress(cidr)
    } catch (err) {
      // Everybody on the path can change an offer, since its hash does not cover it. That must not end the peer for good.
      const refused = given && err instanceof OptionError ? new CandyMessageError(`the server gives an address that the interface cannot have: ${cidr}`) : err as Error
      this.#link.abort(refused)
      return
    }
    routes.addressed(own, given)
    if (this.#over) return
    const timestamp = Math.floor(this.#clock.date() / 1000)
    this.#link.port.send([encodeAuth({ secret, address: own.address, timestamp, tail: confusion() })])
    this.#own = own.address
    routes.begin(own, server)
    this.#init.onAddress(cidr)
    this.#ping()
  }

  #ping (): void {
    this.#pingedAt = this.#clock.now()
    this.#link.ping(Buffer.from(this.#init.greeting))
  }

  #heard (): void { this.#heardAt = this.#clock.now() }

  /** Ends a connection that has taken too long to be accepted, or over which nothing has come for too long. */
  #check (): void {
    const { dialledAt, deadAfter } = this.#init
    const since = this.#online ? this.#heardAt : dialledAt
    if (this.#clock.now() - since <= deadAfter) return
    const what = this.#online ? 'no answer from the server for' : this.#asked ? 'the server has given no address within' : 'the server has not accepted the connection within'
    this.#link.abort(new Error(`${what} ${deadAfter / 1000} seconds`))
  }

  /**
   * The answer to our first ping after AUTH. Servers take messages and pings in their order, so all routes have come that
   * belong to the acceptance. Some of them are perhaps in the read that has brought this pong, and not handled yet.
   */
  #pong (payload: Uint8Array): void {
    const { greeting } = this.#init // some servers answer with more than they were asked, and the layer below has pings of its own
    if (Buffer.from(payload.subarray(0, greeting.length)).toString() === greeting) this.#roundTrip = this.#clock.now() - this.#pingedAt
    if (this.#answered || this.#own === 0) return
    this.#answered = true
    setImmediate(() => { this.#settle() })
  }

  /** After each read: the interface gets its routes, in one go, and the peer is told that it is online. */
  #settle (): void {
    if (!this.#answered || this.#over) return
    const { routes } = this.#init
    if (routes.changed || !this.#settled) void routes.install()
    this.#settled = true
    this.#accepted()
  }

  #accepted (): void {
    if (this.#online || this.#own === 0) return
    this.#online = true
    this.#init.onOnline()
  }

  #deliver (): void {
    const packets = this.#inbound
    if (packets.length === 0) return
    this.#inbound = []
    const { stats, tun } = this.#init
    stats.packetsIn += packets.length
    for (const packet of packets) stats.bytesIn += packet.length
    this.#init.tap.show(packets, 'in')
    stats.drops.interface += packets.length - tun.port.send(packets)
  }
}
