/** What the thread that decides and those that forward packets tell each other. Packets go another way, see `worker-rings.ts`. */
import type { MessagePort } from 'node:worker_threads'
import type { ProtocolMismatch } from '../../../../transports/first-read.ts'
import type { ConnectionLimiterInit, ConnectionLimiterStats } from '../../../../limits/connection-limiter.ts'
import type { BindOptions } from '../../../common/rebindable-listener.ts'
import type { Cidr } from '../../../../net/ipv4.ts'
import type { Batch, Endpoint } from '../../../../types.ts'
import type { Member, SwitchSettings } from '../member.ts'
import type { Route } from '../../protocol/routes.ts'
import type { Traffic } from '../stats.ts'

/** Two rings and a port between two workers, from the point of view of one of them. */
export interface WorkerRingInit {
  incoming: SharedArrayBuffer
  outgoing: SharedArrayBuffer
  /** Wakes the other one. */
  port: MessagePort
}

export interface WorkerInit {
  index: number
  /** How many there are. */
  count: number
  /** To each other worker; undefined at its own index. */
  rings: Array<WorkerRingInit | undefined>
  limits: Limits
  /** Milliseconds for each step of a handshake. */
  handshakeTimeout: number | undefined
}

/** What is the same for all connections, and may change. */
export interface Limits {
  limiter: Required<ConnectionLimiterInit>
  /** Take frames without a mask. */
  unmasked: boolean
  queueTotal: number
}

/** What the packet path has to know of a member. */
export interface MemberState {
  address: number
  behind: readonly Cidr[] | undefined
  gateways: ReadonlySet<number>
  routes: readonly Route[]
}

/**
 * From the thread that decides. A network has a number, a listener as well; a connection has the number that its worker gave it, of
 * which the rest by the number of workers is the index of that worker.
 */
export type WorkerCommand =
  | { type: 'limits', limits: Limits }
  | { type: 'listen', listener: number, fd: number, tls: BindOptions['tls'], trustedProxies: BindOptions['trustedProxies'] }
  | { type: 'certificate', listener: number, tls: NonNullable<BindOptions['tls']> }
  | { type: 'unlisten', listener: number }
  | { type: 'network', network: number, settings: SwitchSettings }
  | { type: 'no network', network: number }
  | { type: 'member', network: number, id: number, state: MemberState }
  | { type: 'remove member', network: number, id: number }
  | { type: 'send', id: number, messages: Batch }
  | { type: 'ping', id: number }
  | { type: 'close', id: number, code: number, reason: string }
  | { type: 'abort', id: number }
  /** A message that was told has been dealt with: what came after it has its turn. */
  | { type: 'done', id: number }
  | { type: 'tap', id: number, isOn: boolean }
  /** Bytes of copies that were looked at. */
  | { type: 'seen', bytes: number }

/** From a worker. */
export type WorkerEvent =
  | { type: 'listening', listener: number }
  | { type: 'not listening', listener: number, fault: Fault }
  | { type: 'closed', listener: number }
  /** What its members have carried was told before. */
  | { type: 'no network', network: number }
  | { type: 'open', id: number, listener: number, remote: Endpoint, path: string, isCounted: boolean }
  | { type: 'protocol mismatch', listener: number, mismatch: ProtocolMismatch }
  /** One to decide upon. The connection waits for `done`. `received`: messages that have come, that one included. */
  | { type: 'message', id: number, message: Uint8Array, received: number }
  | { type: 'greeting', id: number, greeting: Uint8Array }
  | { type: 'reject', id: number, reason: Parameters<Member['reject']>[0], detail: string, received: number }
  /** The connection is gone; without a fault when the client said goodbye. */
  | { type: 'end', id: number, fault?: Fault, received: number }
  | { type: 'counts', counts: Counts }
  | { type: 'tapped', id: number, direction: 'in' | 'out', messages: Batch, missed: number }
  | { type: 'log', level: 'warn' | 'error', fields: object, message: string }

/** An error of a link, with what is left of it on the way between threads. */
export interface Fault {
  message: string
  code: string | undefined
  /** Of one that broke the protocol. */
  closeCode?: number
}

/** What has happened since the last time. */
export interface Counts {
  /** Connections that something was heard from, and how many messages have come from each since its beginning. */
  heard: Array<[id: number, received: number]>
  /** Of connections, also of those of other workers: what could not be passed on to them. */
  traffic: Array<{ network: number | undefined, id: number, traffic: Traffic, queued: number }>
  /** Messages that came for a connection when it had gone, by network. */
  late: Array<[network: number, messages: number]>
  /** Of the limiter of this worker, since it has begun. */
  limiter: ConnectionLimiterStats
}
