/** One connection of a candy relay: who it is, what waits for it, and how it ends. */
import { CloseCode, type WebSocketLink } from '../../transforms/websocket-frames/index.ts'
import type { Pass } from '../../transports/gate.ts'
import type { Cidr } from '../../tun/ipv4.ts'
import { Backlog } from '../../backlog.ts'
import { Rate } from '../../rate.ts'
import { TokenBucket } from '../../token-bucket.ts'
import type { Batch, Endpoint } from '../../types.ts'
import type { Client } from './address-pool.ts'
import type { Network } from './network.ts'
import type { Route } from './routes.ts'
import { newTraffic, type Refusal } from './stats.ts'

/** What the other side is told, and with which code. Existing clients take any close frame for a lost connection. */
export const REFUSALS: Readonly<Record<Exclude<Refusal, 'source'>, { closeCode: number, reason: string }>> = {
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

const NO_GATEWAYS: ReadonlySet<number> = new Set()

/** Where a copy of what a connection carries goes. The messages are only read, and at once. */
export type Tap = (messages: Batch, direction: 'in' | 'out', session: Session) => void

export class Session implements Client {
  readonly link: WebSocketLink
  readonly network: Network
  readonly remote: Endpoint
  readonly pass: Pass
  /** Virtual address; 0 until AUTH. */
  address = 0
  /** The 16 characters of its VMAC, once it has sent one. */
  device: string | undefined
  /** What the client says it runs, `os::version::host`; any text of at most 125 bytes. */
  client = ''
  /** Networks that a route leads to through this member. */
  behind: readonly Cidr[] | undefined
  /** What it was told by ROUTE, and the next hops of that. */
  routes: readonly Route[] = []
  gateways: ReadonlySet<number> = NO_GATEWAYS
  /** Milliseconds of the relay's clock: since when it is connected, and when the last frame of any kind came. */
  readonly since: number
  heardAt: number
  /** Messages for this client out of the read that is being handled. */
  pending: Batch = []
  /** What waited for it when that was last looked at, in bytes: its part of the relay's total. */
  queued = 0
  /** Of whom that is, and since when. */
  readonly backlog: Backlog<Session>
  readonly traffic = newTraffic()
  /** How many more messages to all it may send in this second. */
  broadcasts: number
  /** What it may send besides, where that has a limit. */
  #packets: TokenBucket | undefined
  #bytes: TokenBucket | undefined
  /** Bytes, both ways, of the last second. */
  readonly rateIn: Rate
  readonly rateOut: Rate
  taps: readonly Tap[] | undefined
  #ended = false

  constructor (link: WebSocketLink, network: Network, remote: Endpoint, pass: Pass, now: number) {
    this.link = link
    this.backlog = new Backlog(link.port)
    this.network = network
    this.remote = remote
    this.pass = pass
    this.since = now
    this.heardAt = now
    this.rateIn = new Rate(now)
    this.rateOut = new Rate(now)
    this.broadcasts = network.broadcastRate
    network.enter(this)
  }

  /** Its identity in the tables of addresses. */
  get owner (): this { return this }

  /** Nothing more is taken from it or sent to it. */
  get ended (): boolean { return this.#ended }

  /** Takes the limits of its network. What it has used up stays used up, unless the limit is another one. */
  limit (): void {
    const { packetRate, byteRate } = this.network.settings
    this.#packets = limited(this.#packets, packetRate)
    this.#bytes = limited(this.#bytes, byteRate)
  }

  /** Before a read is handled. */
  refill (): void {
    if (this.#packets === undefined && this.#bytes === undefined) return
    const now = performance.now()
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
  tick (now: number): void {
    this.broadcasts = this.network.broadcastRate
    this.rateIn.sample(this.traffic.bytesIn, now)
    this.rateOut.sample(this.traffic.bytesOut, now)
  }

  /** Ends the connection for what the client did, and counts it. */
  refuse (why: keyof typeof REFUSALS): void {
    if (this.#ended) return
    this.network.refused(this, why)
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

function limited (bucket: TokenBucket | undefined, rate: number | undefined): TokenBucket | undefined {
  if (rate === undefined || bucket?.rate === rate) return rate === undefined ? undefined : bucket
  return new TokenBucket({ rate }, performance.now())
}
