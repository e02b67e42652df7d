/** One connection of a candy relay: its identity, and how it ends. */
import type { WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import type { ConnectionSlot } from '../../../limits/connection-limiter.ts'
import { TrafficRateMeter } from '../../../limits/rate-meter.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { shown } from '../../../text/shown.ts'
import type { Endpoint } from '../../../types.ts'
import type { AddressPool, Client } from './address-pool.ts'
import { closeFor, type Closing } from '../protocol/closings.ts'
import { readGreeting } from '../protocol/greeting.ts'
import { Member, type MemberNetwork } from './member.ts'
import type { NetworkSettings } from './settings.ts'
import { OriginalClient } from './original-client.ts'
import type { CandyRejectReason, Traffic } from './stats.ts'

/** Address changes of one connection: the burst, and the rate a minute. Each may end the connection of another member. */
export const MOVES = { burst: 4, rate: 4 / 60 } as const

/** The greeting in a ping, for display; empty for other pings. */
export const clientOf = (ping: Uint8Array): string => shown(readGreeting(ping)?.client ?? '')

/** Why a connection is ended for what its client did. */
export type SessionRefusal = CandyRejectReason & Closing

/** A network from the view of its connections, including those without an address. */
export interface SessionNetwork extends MemberNetwork {
  readonly settings: NetworkSettings
  readonly size: number
  /** The source of dynamic addresses. */
  readonly pool: AddressPool | undefined
  get (address: number): Session | undefined
  /** Writes the messages for others from the current read. */
  flush (from: Member): void
  /** Whether an address is reserved for its device, independent of connections. */
  isReserved (address: number): boolean
  /** Adds a new connection. */
  addSession (session: Session): void
  /** A connection has sent its VMAC. */
  identify (session: Session): void
  /** Gives an address to a connection. */
  join (session: Session, address: number): void
  /** Adds what another thread has forwarded for it. */
  count (traffic: Traffic, session?: Session): void
  wrongClock (session: Session, timestamp: number | undefined): void
  /** Counts, logs and ends a connection. */
  reject (session: Session, reason: SessionRefusal, detail: string): void
  /** Removes a connection that has ended. */
  removeSession (session: Session): void
}

export class Session extends Member implements Client {
  readonly link: WebSocketLink
  declare readonly network: SessionNetwork
  readonly remote: Endpoint
  readonly slot: ConnectionSlot
  /** The 16 characters of its VMAC, once it has sent one. */
  device: string | undefined
  /** Bounds its address changes. */
  readonly moves: TokenBucket
  /** The client's greeting, `os::version::host`; any text of at most 125 bytes. */
  client = ''
  readonly original: OriginalClient
  /** Milliseconds of the relay's clock: when it connected, and when the last frame of any kind arrived. */
  readonly since: number
  heardAt: number
  /** Bytes in both directions during the last second. */
  readonly rate: TrafficRateMeter
  #ended = false

  constructor (link: WebSocketLink, network: SessionNetwork, remote: Endpoint, slot: ConnectionSlot, now: number) {
    super(network, link.port)
    this.link = link
    this.original = new OriginalClient(link, this)
    this.remote = remote
    this.slot = slot
    this.since = now
    this.moves = new TokenBucket(MOVES, now)
    this.heardAt = now
    this.rate = new TrafficRateMeter(now)
    network.addSession(this)
  }

  /** The identity under which it holds addresses. */
  get owner (): this { return this }

  /** Ended: nothing more is received from it or sent to it. */
  get ended (): boolean { return this.#ended }

  override tick (now: number): void {
    super.tick(now)
    this.original.tick(now)
    this.rate.sample(this.traffic, now)
  }

  reject (reason: SessionRefusal, detail: string): void {
    if (!this.#ended) this.network.reject(this, reason, detail)
  }

  /** Leaves the network at once, then closes the connection. */
  end (reason: Closing): void {
    if (this.#ended) return
    this.#ended = true
    this.network.removeSession(this)
    closeFor(this.link, reason)
  }

  /** The connection has been lost, or is too broken for a closing handshake. */
  drop (err: Error): void {
    this.#ended = true
    this.network.removeSession(this)
    this.link.abort(err)
  }
}
