/** Messages between the main thread and the workers. Packets between workers use `worker-rings.ts`. */
import type { MessagePort } from 'node:worker_threads'
import type { ProtocolMismatch } from '../../../../transports/first-read.ts'
import type { ConnectionLimiterInit, ConnectionLimiterStats } from '../../../../limits/connection-limiter.ts'
import type { BindOptions } from '../../../common/rebindable-listener.ts'
import type { Cidr } from '../../../../net/ipv4.ts'
import type { Batch, Endpoint } from '../../../../types.ts'
import type { Member, SwitchSettings } from '../member.ts'
import type { Route } from '../../protocol/routes.ts'
import type { Traffic } from '../stats.ts'

/** Two rings and a port between two workers, from the side of one of them. */
export interface WorkerRingInit {
  incoming: SharedArrayBuffer
  outgoing: SharedArrayBuffer
  /** Wakes the other worker. */
  port: MessagePort
}

export interface WorkerInit {
  index: number
  /** The number of workers. */
  count: number
  /** By index of the other worker; undefined at its own index. */
  rings: Array<WorkerRingInit | undefined>
  limits: Limits
  /** Milliseconds for each step of a handshake. */
  handshakeTimeout: number | undefined
}

/** Settings for all connections, which may change. */
export interface Limits {
  limiter: Required<ConnectionLimiterInit>
  /** Accept unmasked frames. */
  unmasked: boolean
  queueTotal: number
}

/** The state of a member that the packet path needs. */
export interface MemberState {
  address: number
  behind: readonly Cidr[] | undefined
  gateways: ReadonlySet<number>
  routes: readonly Route[]
}

/**
 * From the main thread. Networks and listeners have numbers; a connection has the id that its worker gave it, and id modulo the number
 * of workers is the index of that worker.
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
  /** A control message has been handled: the worker continues with the next message of this connection. */
  | { type: 'done', id: number }
  | { type: 'tap', id: number, isOn: boolean }
  /** Bytes of tap copies that have been processed. */
  | { type: 'seen', bytes: number }

/** From a worker. */
export type WorkerEvent =
  | { type: 'listening', listener: number }
  | { type: 'not listening', listener: number, fault: Fault }
  | { type: 'closed', listener: number }
  /** The network has been removed; the traffic of its members was reported before. */
  | { type: 'no network', network: number }
  | { type: 'open', id: number, listener: number, remote: Endpoint, path: string, isCounted: boolean }
  | { type: 'protocol mismatch', listener: number, mismatch: ProtocolMismatch }
  /** A control message. The connection waits for `done`. `received`: messages received so far, including this one. */
  | { type: 'message', id: number, message: Uint8Array, received: number }
  | { type: 'greeting', id: number, greeting: Uint8Array }
  | { type: 'reject', id: number, reason: Parameters<Member['reject']>[0], detail: string, received: number }
  /** The connection has ended; without a fault when the client closed it. */
  | { type: 'end', id: number, fault?: Fault, received: number }
  | { type: 'counts', counts: Counts }
  | { type: 'tapped', id: number, direction: 'in' | 'out', messages: Batch, missed: number }
  | { type: 'log', level: 'warn' | 'error', fields: object, message: string }

/** An error in a form that can be sent to another thread. */
export interface Fault {
  message: string
  code: string | undefined
  /** For a protocol violation. */
  closeCode?: number
}

/** Changes since the last report. */
export interface Counts {
  /** Connections that have sent something, and the total of their messages. */
  heard: Array<[id: number, received: number]>
  /** Traffic by connection, including connections of other workers: drops on the way to them. */
  traffic: Array<{ network: number | undefined, id: number, traffic: Traffic, queued: number }>
  /** Messages for connections that had already ended, by network. */
  late: Array<[network: number, messages: number]>
  /** Counters of this worker's limiter since its start. */
  limiter: ConnectionLimiterStats
}
