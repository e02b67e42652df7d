/** A member of a network in the packet path: what it may send, and how messages reach it. */
import { objectList } from '../../../buffers/object-list.ts'
import { SendQueue } from '../../../limits/send-queue.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import type { Cidr } from '../../../net/ipv4.ts'
import type { Batch, Clock, PacketPort } from '../../../types.ts'
import { Credit } from './broadcast-budget.ts'
import { FrameLimiter } from './frame-limiter.ts'
import type { Route } from '../protocol/routes.ts'
import type { NetworkSettings } from './settings.ts'
import { leadsTo } from './sdwan.ts'
import { newTraffic, type CandyRejectReason, type Traffic } from './stats.ts'

const NO_GATEWAYS: ReadonlySet<number> = new Set()
const NO_ROUTES: readonly Route[] = []

/** Gets a copy of the traffic of a connection. It may only read the messages, and only during the call. */
export type Tap = (messages: Batch, direction: 'in' | 'out') => void

/** The settings of a network that the packet path needs. */
export type SwitchSettings = Pick<NetworkSettings, 'range' | 'sourceCheck' | 'broadcast' | 'isolate' | 'packetRate' | 'byteRate' | 'frameRate' | 'broadcastRate'>

/** A network from the view of its members. */
export interface MemberNetwork {
  readonly clock: Clock
  readonly settings: SwitchSettings
  /** The member with this address. */
  get (address: number): Member | undefined
  /** Sends to the member with this address, which may be the sender; false when there is none. */
  unicast (from: Member, destination: number, message: Uint8Array): boolean
  /** Sends to all except the sender. */
  broadcast (from: Member, message: Uint8Array): void
}

export abstract class Member {
  network: MemberNetwork
  readonly port: PacketPort
  /** Virtual address; 0 until AUTH. */
  address = 0
  /** Messages received from it, including the current one. */
  received = 0
  /** Networks that routes lead to through this member. */
  behind: readonly Cidr[] | undefined
  /** Next hops of the routes that were pushed to it. */
  gateways: ReadonlySet<number> = NO_GATEWAYS
  /** Messages for this member from the current read. */
  pending: Batch = objectList()
  /** Bytes queued for it when last checked: its part of the total. */
  queued = 0
  /** Records the senders of queued messages, and their time. */
  readonly sendQueue: SendQueue<Member | undefined>
  traffic = newTraffic()
  /** Its own credit for messages to all. New members start without, so that reconnecting does not help. */
  readonly broadcasts = new Credit()
  taps: readonly Tap[] | undefined
  readonly frameLimiter: FrameLimiter
  /** The routes that were pushed to it. */
  #routes = NO_ROUTES
  // Cache for flows: the result for the last destination. Initially 0.0.0.0, which is not a next hop.
  #lastDestination = 0
  #lastNexthop = 0
  #lastMay = false
  /** Rate limits for what it sends to others, if there are any. */
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

  /** Whether it has a route to this address through this next hop. Called once for each packet. */
  mayRoute (destination: number, nexthop: number): boolean {
    if (destination !== this.#lastDestination || nexthop !== this.#lastNexthop) {
      this.#lastDestination = destination
      this.#lastNexthop = nexthop
      this.#lastMay = leadsTo(this.#routes, destination, nexthop)
    }
    return this.#lastMay
  }

  /** Ended: nothing more is received from it or sent to it. */
  abstract readonly ended: boolean

  /**
   * Counts a violation by the client, and ends the connection.
   *
   * @param detail what was wrong and what was expected, for the log
   */
  abstract reject (reason: Extract<CandyRejectReason, 'malformed' | 'unauthenticated' | 'not_owner'>, detail: string): void

  /** Applies the limits of its network, once it has an address. A limit that did not change keeps its state. */
  limit (): void {
    const { clock, settings: { packetRate, byteRate, frameRate } } = this.network
    this.#packets = limited(this.#packets, packetRate, clock)
    this.#bytes = limited(this.#bytes, byteRate, clock)
    this.frameLimiter.limit(frameRate)
    this.broadcasts.begin(clock.now())
  }

  /** Called after each batch of frames. Settles when the next may be read; undefined for now. */
  throttled (frames: number): Promise<void> | undefined {
    const held = this.frameLimiter.spend(frames, this.received)
    if (held !== undefined) this.traffic.throttled++
    return held
  }

  /** Drops a message of this member: it counts against the limit of frames that are not forwarded. */
  discard (reason: keyof Traffic['drops']): void {
    this.traffic.drops[reason]++
    this.frameLimiter.ignored()
  }

  /** Refills the rate limits, before a read is handled. */
  refill (): void {
    if (this.#packets === undefined && this.#bytes === undefined) return
    const now = this.network.clock.now()
    this.#packets?.refill(now)
    this.#bytes?.refill(now)
  }

  /** Whether a message of this length is within the rate limits; if so, spends it. */
  mayPay (length: number): boolean {
    return (this.#packets === undefined || this.#packets.take(1)) && (this.#bytes === undefined || this.#bytes.take(length))
  }

  /** Copies what it has sent or received to the taps. */
  tapped (messages: Batch, direction: 'in' | 'out'): void {
    if (this.taps === undefined) return
    for (const tap of this.taps) tap(messages, direction)
  }

  /** Called once a second. */
  tick (_now: number): void {
    this.sendQueue.update(this.network.clock.now()) // releases the sender of the last message, once that has left
  }
}

function limited (bucket: TokenBucket | undefined, rate: number | undefined, clock: Clock): TokenBucket | undefined {
  if (rate === undefined || bucket?.rate === rate) return rate === undefined ? undefined : bucket
  return new TokenBucket({ rate }, clock.now())
}
