/** A member of a network as the packet path knows it: what may come from it, and where that goes which is for it. */
import { SendQueue } from '../../../limits/send-queue.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import type { Cidr } from '../../../net/ipv4.ts'
import type { Batch, Clock, PacketPort } from '../../../types.ts'
import { Credit } from './broadcast-budget.ts'
import { FrameLimiter } from './frame-limiter.ts'
import type { Route } from '../protocol/routes.ts'
import type { NetworkSettings } from './network-settings.ts'
import { leadsTo } from './sdwan.ts'
import { newTraffic, type CandyRejectReason, type Traffic } from './stats.ts'

const NO_GATEWAYS: ReadonlySet<number> = new Set()
const NO_ROUTES: readonly Route[] = []

/** Where a copy of what a connection carries goes. The messages are only read, and at once. */
export type Tap = (messages: Batch, direction: 'in' | 'out', member: Member) => void

/** What the packet path has to know of the settings of a network. */
export type SwitchSettings = Pick<NetworkSettings, 'range' | 'sourceCheck' | 'broadcast' | 'isolate' | 'packetRate' | 'byteRate' | 'frameRate' | 'broadcastRate'>

/** A network as its members know it. */
export interface MemberNetwork {
  readonly clock: Clock
  readonly settings: SwitchSettings
  /** Who has the address. */
  get (address: number): Member | undefined
  /** To whoever has the address, the sender itself included; false when nobody has it. */
  unicast (from: Member, destination: number, message: Uint8Array): boolean
  /** To all but the sender. */
  broadcast (from: Member, message: Uint8Array): void
}

export abstract class Member {
  network: MemberNetwork
  readonly port: PacketPort
  /** Virtual address; 0 until AUTH. */
  address = 0
  /** Messages that came from it, the one that is being handled included. */
  received = 0
  /** Networks that a route leads to through this member. */
  behind: readonly Cidr[] | undefined
  /** Next hops of the routes that it was told. */
  gateways: ReadonlySet<number> = NO_GATEWAYS
  /** Messages for this member out of the read that is being handled. */
  pending: Batch = []
  /** What waited for it when that was last looked at, in bytes: its part of the total. */
  queued = 0
  /** Of whom that is, and since when. */
  readonly sendQueue: SendQueue<Member | undefined>
  traffic = newTraffic()
  /** For messages to all, its own part. Who is new has nothing yet, else it would pay to connect again and again. */
  readonly broadcasts = new Credit()
  taps: readonly Tap[] | undefined
  readonly frameLimiter: FrameLimiter
  /** What it was told by ROUTE. */
  #routes = NO_ROUTES
  // Packets of one flow follow each other. 0.0.0.0 is no next hop, so it may be the one before the first.
  #lastDestination = 0
  #lastNexthop = 0
  #lastMay = false
  /** What it may send besides, where that has a limit. */
  #packets: TokenBucket | undefined
  #bytes: TokenBucket | undefined

  constructor (network: MemberNetwork, port: PacketPort, frameLimiter = new FrameLimiter(network.clock)) {
    this.network = network
    this.port = port
    this.frameLimiter = frameLimiter
    this.sendQueue = new SendQueue(port)
  }

  get routes (): readonly Route[] { return this.#routes }

  set routes (routes: readonly Route[]) {
    this.#routes = routes
    this.#lastNexthop = 0
  }

  /** Whether it has a route to this address by way of this next hop. Asked once a packet. */
  mayRoute (destination: number, nexthop: number): boolean {
    if (destination !== this.#lastDestination || nexthop !== this.#lastNexthop) {
      this.#lastDestination = destination
      this.#lastNexthop = nexthop
      this.#lastMay = leadsTo(this.#routes, destination, nexthop)
    }
    return this.#lastMay
  }

  /** Nothing more is taken from it or sent to it. */
  abstract readonly ended: boolean

  /**
   * Ends the connection for what the client did, and counts it.
   *
   * @param detail what was wrong and what was expected, for the log
   */
  abstract reject (reason: Extract<CandyRejectReason, 'malformed' | 'unauthenticated' | 'not_owner'>, detail: string): void

  /** Takes the limits of its network, in which it has an address. What it has used up stays used up, unless the limit is another one. */
  limit (): void {
    const { clock, settings: { packetRate, byteRate, frameRate } } = this.network
    this.#packets = limited(this.#packets, packetRate, clock)
    this.#bytes = limited(this.#bytes, byteRate, clock)
    this.frameLimiter.limit(frameRate)
    this.broadcasts.begin(clock.now())
  }

  /** A portion of so many frames of it has been dealt with. Settles when the next one may be; undefined for at once. */
  throttled (frames: number): Promise<void> | undefined {
    const held = this.frameLimiter.spend(frames, this.received)
    if (held !== undefined) this.traffic.throttled++
    return held
  }

  /** A message of it goes nowhere: paced as all is that carries nothing to others. */
  discard (reason: keyof Traffic['drops']): void {
    this.traffic.drops[reason]++
    this.frameLimiter.ignored()
  }

  /** Before a read is handled. */
  refill (): void {
    if (this.#packets === undefined && this.#bytes === undefined) return
    const now = this.network.clock.now()
    this.#packets?.refill(now)
    this.#bytes?.refill(now)
  }

  /** Whether it may send a message of this length now. */
  mayPay (length: number): boolean {
    return (this.#packets === undefined || this.#packets.take(1)) && (this.#bytes === undefined || this.#bytes.take(length))
  }

  /** Copies what it has sent or got, while somebody wants to see it. */
  tapped (messages: Batch, direction: 'in' | 'out'): void {
    if (this.taps === undefined) return
    for (const tap of this.taps) tap(messages, direction, this)
  }

  /** Once a second. */
  tick (_now: number): void {
    this.sendQueue.update(this.network.clock.now()) // else the sender of the last message would stay with it
  }
}

function limited (bucket: TokenBucket | undefined, rate: number | undefined, clock: Clock): TokenBucket | undefined {
  if (rate === undefined || bucket?.rate === rate) return rate === undefined ? undefined : bucket
  return new TokenBucket({ rate }, clock.now())
}
