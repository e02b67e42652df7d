/** One connection of a candy relay: who it is, what waits for it, and how it ends. */
import { CloseCode, type WebSocketLink } from '../../transforms/websocket-frames/index.ts'
import type { Cidr } from '../../tun/ipv4.ts'
import type { Batch, Endpoint } from '../../types.ts'
import type { Device } from './address-pool.ts'
import type { Network } from './network.ts'

/** Why a connection was refused; the keys of the relay's counters. */
export type Refusal = 'malformed' | 'password' | 'clock' | 'unauthenticated' | 'foreign' | 'address' | 'range' | 'pool' | 'taken' | 'limit' | 'timeout'

/** What the other side is told, and with which code. Existing clients take any close frame for a lost connection. */
const REFUSALS: Readonly<Record<Refusal, { closeCode: number, reason: string }>> = {
  malformed: { closeCode: CloseCode.PROTOCOL_ERROR, reason: 'malformed message' },
  password: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'wrong password' },
  clock: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'clock differs by more than 300 seconds' },
  unauthenticated: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'not authenticated' },
  foreign: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'source is not your address' },
  address: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'address not allowed' },
  range: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'this relay gives no addresses, choose one' },
  pool: { closeCode: CloseCode.TRY_AGAIN_LATER, reason: 'no free address' },
  taken: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'address in use by another device' },
  limit: { closeCode: CloseCode.TRY_AGAIN_LATER, reason: 'too many connections' },
  timeout: { closeCode: CloseCode.POLICY_VIOLATION, reason: 'timeout' }
}

export class Session {
  readonly link: WebSocketLink
  readonly network: Network
  readonly remote: Endpoint
  /** Virtual address; 0 until AUTH. */
  address = 0
  /** The 16 characters of its VMAC; before that, and without one, itself alone. */
  device: Device = Symbol('a device without VMAC')
  /** What the client says it runs, `os::version::host`; any text of at most 125 bytes. */
  client = ''
  /** Networks that a route leads to through this member. */
  behind: readonly Cidr[] | undefined
  /** Milliseconds of the relay's clock: since when it is connected, and when the last frame of any kind came. */
  readonly since: number
  heardAt: number
  /** Messages for this client out of the read that is being handled. */
  pending: Batch = []
  /** What waited for it when that was last looked at, in bytes: its part of the relay's total. */
  queued = 0
  /** How many more messages to all it may send in this second. */
  broadcasts: number
  #ended = false

  constructor (link: WebSocketLink, network: Network, remote: Endpoint, now: number) {
    this.link = link
    this.network = network
    this.remote = remote
    this.since = now
    this.heardAt = now
    this.broadcasts = network.broadcastRate
  }

  /** Nothing more is taken from it or sent to it. */
  get ended (): boolean { return this.#ended }

  /** Ends the connection for what the client did, and counts it. */
  refuse (why: Refusal): void {
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
