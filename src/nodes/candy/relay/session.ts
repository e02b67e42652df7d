/** One connection of a candy relay: who it is, and how it ends. */
import { CloseCode, type WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import type { Pass } from '../../../limits/gate.ts'
import { Rate } from '../../../limits/rate.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { shown } from '../../../text/shown.ts'
import type { Endpoint } from '../../../types.ts'
import type { AddressPool, Client } from './address-pool.ts'
import { readGreeting } from '../protocol/greeting.ts'
import { Member, type MemberNetwork } from './member.ts'
import type { NetworkSettings } from './network-settings.ts'
import { OriginalClient } from './original-client.ts'
import type { Refusal, Traffic } from './stats.ts'

/** What the other side is told, and with which code. Existing clients take any close frame for a lost connection. */
export const REFUSALS: Readonly<Record<Exclude<Refusal, 'source' | 'protocol'>, { closeCode: number, reason: string }>> = {
  malformed: { closeCode: CloseCode.PROTOCOL_ERROR, reason: 'malformed message' },
  password: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'wrong password' },
  clock: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'clock differs by more than 300 seconds' },
  replay: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'used from another address before' },
  rate: { closeCode: CloseCode.TRY_AGAIN_LATER, reason: 'too many attempts from your address' },
  unauthenticated: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'not authenticated' },
  foreign: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'source is not your address' },
  address: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'address not allowed' },
  range: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'this relay gives no addresses, choose one' },
  pool: { closeCode: CloseCode.TRY_AGAIN_LATER, reason: 'no free address' },
  full: { closeCode: CloseCode.TRY_AGAIN_LATER, reason: 'the network is full' },
  taken: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'address in use by another device' },
  timeout: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'timeout' },
  path: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'unknown network' },
  limit: { closeCode: CloseCode.TRY_AGAIN_LATER, reason: 'too many connections' }
}

/** Times that one connection may take another address at once, and then in a minute: each may cost another member its place. */
export const MOVES = { burst: 4, rate: 4 / 60 } as const

/** What a ping says of its client, to be shown; empty for a mere sign of life. */
export const clientOf = (ping: Uint8Array): string => shown(readGreeting(ping)?.client ?? '')

/** A network as its connections know it, those that have no address yet included. */
export interface SessionNetwork extends MemberNetwork {
  readonly settings: NetworkSettings
  readonly size: number
  /** Where dynamic addresses come from. */
  readonly pool: AddressPool | undefined
  holder (address: number): Session | undefined
  /** What the current read has brought for others leaves. */
  flush (from: Member): void
  /** Whether an address belongs to its device, whoever is there. */
  keeps (address: number): boolean
  /** A connection has come. */
  enter (session: Session): void
  /** A connection has said which device it is. */
  identify (session: Session): void
  /** Gives an address to a connection. */
  join (session: Session, address: number): void
  /** What others have carried for it. */
  count (traffic: Traffic, session?: Session): void
  wrongClock (session: Session, timestamp: number | undefined): void
  refused (session: Session, why: Refusal, reason: string): void
  /** The connection has come to its end. */
  gone (session: Session): void
}

export class Session extends Member implements Client {
  readonly link: WebSocketLink
  declare readonly network: SessionNetwork
  readonly remote: Endpoint
  readonly pass: Pass
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
  readonly rateIn: Rate
  readonly rateOut: Rate
  #ended = false

  constructor (link: WebSocketLink, network: SessionNetwork, remote: Endpoint, pass: Pass, now: number) {
    super(network, link.port)
    this.link = link
    this.original = new OriginalClient(link, this)
    this.remote = remote
    this.pass = pass
    this.since = now
    this.moves = new TokenBucket(MOVES, now)
    this.heardAt = now
    this.rateIn = new Rate(now)
    this.rateOut = new Rate(now)
    network.enter(this)
  }

  /** Its identity in the tables of addresses. */
  get owner (): this { return this }

  /** Nothing more is taken from it or sent to it. */
  get ended (): boolean { return this.#ended }

  override tick (now: number): void {
    super.tick(now)
    this.original.tick(now)
    this.rateIn.sample(this.traffic.bytesIn, now)
    this.rateOut.sample(this.traffic.bytesOut, now)
  }

  refuse (why: keyof typeof REFUSALS, reasonForLog: string): void {
    if (this.#ended) return
    this.network.refused(this, why, reasonForLog)
    const { closeCode, reason } = REFUSALS[why]
    this.end(closeCode, reason)
  }

  /** Leaves the network at once and closes the connection. */
  end (closeCode: number, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.network.gone(this)
    this.link.close(closeCode, reason)
  }

  /** The connection is gone, or broken beyond a closing handshake. */
  drop (err: Error): void {
    this.#ended = true
    this.network.gone(this)
    this.link.abort(err)
  }
}
