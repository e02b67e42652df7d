/** Options of a relay: types, checks and defaults. */
import { OptionError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { verifyBytes, verifyMilliseconds } from '../../../options.ts'
import { verifyConnectionLimits, type ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import type { WebSocketFramesInit } from '../../../transforms/websocket-frames/index.ts'
import type { Clock } from '../../../types.ts'
import type { LeaseStore } from './lease-store.ts'
import { MAX_LENGTH } from '../protocol/messages.ts'
import { readNetwork, verifyNetworks, type CandyNetworkInit, type NetworkSettings } from './network-settings.ts'

/** Frame settings of a candy relay: messages of at most 1500 bytes (candy protocol, section 1.1), and one second for the closing handshake. */
export const RELAY_FRAMES: Omit<WebSocketFramesInit, 'role'> = { maxPayload: MAX_LENGTH, closeTimeout: 1000 }

/** There is a ring from each worker to each other: 16 workers take up to 480 MiB when all are busy. */
export const MAX_WORKERS = 16

/** Bounds of connections are those of {@link ConnectionLimiterInit}. */
export interface CandyRelayOptions extends ConnectionLimiterInit {
  /** Accept any timestamp, and unmasked frames, as existing servers do. Default: false: within 300 s, and masked. */
  lenient?: boolean
  /** Wrong passwords from one source in a minute; beyond it they are not checked but rejected. The loopback is exempt. Default: 120. */
  authFailures?: number
  /** Bytes queued for all slow clients together; each link has its own limit as well. Default: 256 MiB. */
  queueTotal?: number
  /** Milliseconds for a connection to complete the WebSocket handshake, and then to authenticate. Default: 10 s. */
  authTimeout?: number
  /** Milliseconds of silence after which a client is pinged, and after which its connection is ended. Default: 30 s and 60 s. */
  pingAfter?: number
  dropAfter?: number
}

/** One network, or several, selected by the path of the URL. */
export type CandyNetworksInit = CandyNetworkInit | { networks: readonly CandyNetworkInit[] }

export type CandyRelayInit = CandyRelayOptions & CandyNetworksInit & {
  /** Devices and their last addresses. Default: kept in memory only. */
  leases?: LeaseStore
  log?: Logger
  /**
   * The timestamps of clients are compared with its date. Threads with connections (`workers`) use the system clock, as objects are not
   * shared between threads. Default: the system clock.
   */
  clock?: Clock
}

export interface RelaySettings {
  networks: NetworkSettings[]
  limiter: Required<ConnectionLimiterInit>
  lenient: boolean
  authFailures: number
  queueTotal: number
  authTimeout: number
  pingAfter: number
  dropAfter: number
}

/** Checks the options and fills in defaults. @throws {OptionError} when an option is invalid */
export function readRelay (init: CandyRelayOptions & CandyNetworksInit): RelaySettings {
  const {
    lenient = false, authFailures = 120, queueTotal = 256 * 1024 * 1024, authTimeout = 10_000, pingAfter = 30_000, dropAfter = 60_000
  } = init
  verifyBytes('queueTotal', queueTotal)
  if (!Number.isSafeInteger(authFailures) || authFailures < 1) throw new OptionError(`authFailures is a whole number of at least 1, not ${String(authFailures)}`)
  for (const [name, time] of Object.entries({ authTimeout, pingAfter, dropAfter })) verifyMilliseconds(name, time)
  if (pingAfter >= dropAfter) throw new OptionError(`pingAfter, ${pingAfter} ms, is less than dropAfter, ${dropAfter} ms`)
  const networks = ('networks' in init ? init.networks : [init]).map(readNetwork)
  verifyNetworks(networks)
  return { networks, limiter: verifyConnectionLimits(init), lenient, authFailures, queueTotal, authTimeout, pingAfter, dropAfter }
}
