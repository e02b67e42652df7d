/** One connection of a candy peer to its server, from the handshake to its end (candy protocol, section 1.5). */
import { objectList } from '../../../buffers/object-list.ts'
import { typeDemux } from '../../../transforms/type-demux.ts'
import type { WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import { SendQueue, bufferedAmountOf } from '../../../limits/send-queue.ts'
import { OptionError } from '../../../errors.ts'
import { destinationOf, formatCidr, isIpv4, parseCidr, type Cidr } from '../../../net/ipv4.ts'
import type { Logger } from '../../../log.ts'
import type { Tun } from '../../../tun/device.ts'
import { every } from '../../../streams/clock.ts'
import type { Batch, Clock } from '../../../types.ts'
import { FORWARD_PACKET, forwardDestination, forwardSource, isRouted, OUTER_LENGTH, stripOuter, writeOuter } from '../protocol/forward.ts'
import { ANY_ADDRESS, confusion, decodeDhcp, encodeAuth, encodeDhcp, encodeVmac } from '../protocol/handshake.ts'
import type { Secret } from '../protocol/hashes.ts'
import { CandyMessageError, MAX_LENGTH, MessageType, MIN_LENGTH } from '../protocol/messages.ts'
import type { DirectPaths } from './direct/direct-paths.ts'
import type { PeerRoutes } from './routes.ts'
import type { PeerTaps } from './taps.ts'
import type { CandyPeerStats } from './stats.ts'

export interface PeerSessionInit {
  link: WebSocketLink
  /** The address of the server in the underlying network; undefined when it is not IPv4. */
  server?: number
  tun: Pick<Tun, 'mtu' | 'setAddress'>
  routes: Pick<PeerRoutes, 'size' | 'changed' | 'nexthopOf' | 'accepts' | 'checkNetwork' | 'addressed' | 'begin' | 'take' | 'install'>
  secret: Secret
  vmac: string
  /** The configured CIDR; undefined: assigned by the server. */
  address?: string
  /** The CIDR to request first. */
  remembered?: string
  /** Sent in pings, `candy::os::version::host`; servers answer pings of this form only. */
  greeting: string
  clock: Clock
  /** When the dial started, by that clock. */
  dialledAt: number
  /** Milliseconds between pings. */
  pingInterval: number
  /** Milliseconds from `dialledAt` for the server to accept the peer, and later of silence after which the connection is lost. */
  deadAfter: number
  stats: Omit<CandyPeerStats, 'routes' | 'failures' | 'restored'>
  /** Takes the messages about direct paths; undefined while there are none. */
  direct (): Pick<DirectPaths, 'noticed' | 'conn' | 'discovery' | 'general' | 'routed'> | undefined
  /** Packets for the interface. */
  deliver (packets: Batch): void
  /** The interface has the address, and AUTH has been sent. */
  onAddress (cidr: string): void
  /** The server has answered after AUTH, so it has accepted the peer. The routes are installed, unless that answer is a packet that overtook them. */
  onOnline (): void
  readonly log: Pick<Logger, 'error'>
  /** Gets the packets sent. */
  readonly tap: Pick<PeerTaps, 'isOn' | 'show'>
}

/** Handlers by message type. Types that this peer does not use, and unknown ones, are ignored. */
const receive = typeDemux<PeerSession>({
  [MessageType.FORWARD]: (message, session) => { session.forward(message) },
  [MessageType.DHCP]: (message, session) => { session.offered(message) },
  [MessageType.ROUTE]: (message, session) => { session.route(message) },
  [MessageType.CONN]: (message, session) => { session.toDirect('conn', message) },
  [MessageType.DISCOVERY]: (message, session) => { session.toDirect('discovery', message) },
  [MessageType.GENERAL]: (message, session) => { session.toDirect('general', message) }
}, { unknown: () => {} })

/** Milliseconds between checks of the deadlines; a tenth of `deadAfter` when that is shorter. */
const CHECK_INTERVAL = 1000

/** Bytes queued in memory beyond the kernel's send buffer, above which the interface is not read: then programs slow down, and nothing is lost. */
const HIGH_WATER = 128 * 1024

export class PeerSession {
  readonly #init: PeerSessionInit
  readonly #clock: Clock
  readonly #link: WebSocketLink
  readonly #sendQueue: SendQueue
  /** Packets for the interface from the current read. */
  #inbound: Batch = objectList()
  #isAddressRequested = false
  /** The own address, once AUTH has been sent with it. */
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

  /** The round-trip time of the last answered ping in milliseconds. */
  get roundTrip (): number | undefined { return this.#roundTrip }

  /** Bytes queued for the server, in memory and, as far as known, in the kernel. */
  get queued (): number { return bufferedAmountOf(this.#link.port) }

  /** Settles when the queue is below the high-water mark, or the connection has ended. Undefined when it is below now. */
  drained (): Promise<void> | undefined {
    const { port } = this.#link
    return port.queued > HIGH_WATER ? port.drained?.() : undefined
  }

  /** Runs until the connection has ended; rejects with its error, unless the server has closed it. */
  async run (): Promise<void> {
    const { pingInterval, deadAfter } = this.#init
    const link = this.#link
    link.onText = link.onPing = () => { this.#heard() }
    link.onPong = (payload) => {
      this.#heard()
      this.#pong(payload)
    }
    // whatever arrives: a server may count only frames from the peer, and a peer that only receives sends none
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
      const reason = port.queued >= port.limit ? 'queue' : 'offline' // 0 with room left: the connection has ended, which `run` is about to report
      stats.drops[reason] += messages.length
      return
    }
    this.#sendQueue.enqueued(bytes, this, now)
    stats.packetsOut += messages.length
    stats.bytesOut += bytes
    if (sent !== undefined) tap.show(sent, 'out')
  }

  /** The FORWARD message of a packet, built in place with its headroom. Undefined when it is not IPv4 or too long. */
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
    this.#accepted() // a server forwards only to clients that it has accepted
    const packet = message.length < MIN_LENGTH.FORWARD ? undefined : stripOuter(message.subarray(FORWARD_PACKET))
    const { stats, tun } = this.#init
    // some servers forward messages that are longer than the protocol allows
    if (packet === undefined || (message.length > MAX_LENGTH && packet.length > tun.mtu)) stats.drops.malformed++
    else if (isRouted(message) && !this.#init.routes.accepts(destinationOf(packet))) stats.drops.destination++
    else {
      this.#inbound.push(packet)
      this.#init.direct()?.noticed(forwardSource(message), forwardDestination(message), message.length - FORWARD_PACKET)
    }
  }

  /** A message about direct paths, which other members make. */
  toDirect (type: 'conn' | 'discovery' | 'general', message: Uint8Array): void {
    if (this.#own === 0) return
    try {
      this.#init.direct()?.[type](message)
    } catch (err) {
      this.#init.stats.drops.message++
      if (!(err instanceof CandyMessageError)) this.#init.log.error({ err, type }, 'a fault of this peer, in a message about direct paths') // the server has no part in it
    }
  }

  /** The server takes messages. */
  get isReady (): boolean { return this.#own !== 0 && !this.#over }

  /** Sends a message. False before AUTH, and when the queue is full or the connection has ended. */
  say (message: Uint8Array): boolean { return this.#own !== 0 && this.#link.port.send([message]) > 0 }

  /** The answer to DHCP. Existing servers leave junk after the text of the address, which decoding ignores. */
  offered (message: Uint8Array): void {
    if (!this.#isAddressRequested) return
    this.#isAddressRequested = false
    const offer = decodeDhcp(message)
    if (!this.#init.secret.verify(offer)) throw new CandyMessageError('the server has another password')
    const { routes, server } = this.#init
    routes.checkNetwork(offer.cidr, server)
    void this.#authenticate(offer.cidr, true)
  }

  /** Servers push their routes in answer to AUTH, and may push more later. */
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
    this.#isAddressRequested = true
    const cidr = (remembered === undefined ? undefined : parseCidr(remembered)) ?? ANY_ADDRESS
    this.#link.port.send([encodeDhcp({ secret, cidr, timestamp, tail: confusion() })])
  }

  /** @param given assigned by the server, so that its rejection by the interface is not an error of this peer */
  async #authenticate (own: Cidr, given: boolean): Promise<void> {
    const { secret, tun, routes, server } = this.#init
    const cidr = formatCidr(own)
    try {
      await tun.setAddress(cidr)
    } catch (err) {
      // An offer can be forged on the path, as its hash does not cover it. That must not stop the peer for good.
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

  /** Ends a connection that was not accepted in time, or that has been silent for too long. */
  #check (): void {
    const { dialledAt, deadAfter } = this.#init
    const since = this.#online ? this.#heardAt : dialledAt
    if (this.#clock.now() - since <= deadAfter) return
    const what = this.#online ? 'no answer from the server for' : this.#isAddressRequested ? 'the server has given no address within' : 'the server has not accepted the connection within'
    this.#link.abort(new Error(`${what} ${deadAfter / 1000} seconds`))
  }

  /**
   * The answer to the first ping after AUTH. Servers handle messages and pings in order, so all routes that follow AUTH have arrived.
   * Some of them may be in the read that contains this pong, and not handled yet.
   */
  #pong (payload: Uint8Array): void {
    const { greeting } = this.#init // some servers append to the payload, and the frame layer has pings of its own
    if (Buffer.from(payload.subarray(0, greeting.length)).toString() === greeting) this.#roundTrip = this.#clock.now() - this.#pingedAt
    if (this.#answered || this.#own === 0) return
    this.#answered = true
    setImmediate(() => { this.#settle() })
  }

  /** Called after each read: installs the routes at once, and reports that the peer is online. */
  #settle (): void {
    if (!this.#answered || this.#over) return
    const { routes } = this.#init
    if (routes.changed || !this.#settled) {
      this.#init.direct()?.routed()
      void routes.install()
    }
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
    this.#init.deliver(packets)
  }
}
