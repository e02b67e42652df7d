/** One connection of a candy relay: who it is, and how it ends. */
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
import type { NetworkSettings } from './network-settings.ts'
import { OriginalClient } from './original-client.ts'
import type { CandyRejectReason, Traffic } from './stats.ts'

/** Times that one connection may take another address at once, and then in a minute: each may cost another member its place. */
export const MOVES = { burst: 4, rate: 4 / 60 } as const

/** What a ping says of its client, to be shown; empty for a mere sign of life. */
export const clientOf = (ping: Uint8Array): string => shown(readGreeting(ping)?.client ?? '')

/** Why a connection is ended for what its client did. */
export type SessionRefusal = CandyRejectReason & Closing

/** A network as its connections know it, those that have no address yet included. */
export interface SessionNetwork extends MemberNetwork {
  readonly settings: NetworkSettings
  readonly size: number
  /** Where dynamic addresses come from. */
  readonly pool: AddressPool | undefined
  get (address: number): Session | undefined
  /** What the current read has brought for others leaves. */
  flush (from: Member): void
  /** Whether an address belongs to its device, whoever is there. */
  isReserved (address: number): boolean
  /** A connection has come. */
  addSession (session: Session): void
  /** A connection has said which device it is. */
  identify (session: Session): void
  /** Gives an address to a connection. */
  join (session: Session, address: number): void
  /** What others have carried for it. */
  count (traffic: Traffic, session?: Session): void
  wrongClock (session: Session, timestamp: number | undefined): void
  /** Counts it, logs it, and ends it. */
  reject (session: Session, reason: SessionRefusal, detail: string): void
  /** The connection has come to its end. */
  removeSession (session: Session): void
}

export class Session extends Member implements Client {
  readonly link: WebSocketLink
  declare readonly network: SessionNetwork
  readonly remote: Endpoint
  readonly slot: ConnectionSlot
  /** The 16 characters of its VMAC, once it has sent one. */
  device: string | undefined
  /** How many more times it may take another address now. */
  readonly moves: TokenBucket
  /** What the client says it runs, `os::version::host`; any text of at most 125 bytes. */
  client = ''
  readonly original: OriginalClient
  /** Milliseconds of the relay's clock: since when it is connected, and when the last frame of any kind came. */
  readonly since: number
  heardAt: number
  /** Bytes, both ways, of the last second. */
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

  /** Its identity in the tables of addresses. */
  get owner (): this { return this }

  /** Nothing more is taken from it or sent to it. */
  get ended (): boolean { return this.#ended }

  override tick (now: number): void {
    super.tick(now)
    this.original.tick(now)
    this.rate.sample(this.traffic, now)
  }

  reject (reason: SessionRefusal, detail: string): void {
    if (!this.#ended) this.network.reject(this, reason, detail)
  }

  /** Leaves the network at once and closes the connection. */
  end (reason: Closing): void {
    if (this.#ended) return
    this.#ended = true
    this.network.removeSession(this)
    closeFor(this.link, reason)
  }

  /** The connection is gone, or broken beyond a closing handshake. */
  drop (err: Error): void {
    this.#ended = true
    this.network.removeSession(this)
    this.link.abort(err)
  }
}
