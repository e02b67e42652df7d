/** What can be said about a relay as a whole, checked and ready for use. */
import { OptionError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { verifyBytes, verifyMilliseconds } from '../../../options.ts'
import { verifyConnectionLimits, type ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import type { WebSocketFramesInit } from '../../../transforms/websocket-frames/index.ts'
import type { Clock } from '../../../types.ts'
import type { LeaseStore } from './lease-store.ts'
import { MAX_LENGTH } from '../protocol/messages.ts'
import { readNetwork, verifyNetworks, type CandyNetworkInit, type NetworkSettings } from './network-settings.ts'

/** What the frame layer of a candy relay allows: one message of at most 1500 bytes (candy protocol, section 1.1), and a second to say goodbye. */
export const RELAY_FRAMES: Omit<WebSocketFramesInit, 'role'> = { maxPayload: MAX_LENGTH, closeTimeout: 1000 }

/** Rings between all of them: with 16 that is 480 MiB when all are busy with each other. */
export const MAX_WORKERS = 16

/** Bounds of connections are those of {@link ConnectionLimiterInit}. */
export interface CandyRelayOptions extends ConnectionLimiterInit {
  /** Accept any time stamp, and frames without a mask, as an existing server does. Default: false: within 300 s, and masked. */
  lenient?: boolean
  /** Wrong passwords that one source may try in a minute; more are refused without a look. The loopback is exempt. Default: 120. */
  authFailures?: number
  /** Bytes that may wait for slow clients, all of them together; each for itself has the limit of its link. Default: 256 MiB. */
  queueTotal?: number
  /** Milliseconds that a connection may take to authenticate, and before that to become a WebSocket. Default: 10 s. */
  authTimeout?: number
  /** Milliseconds of silence after which a client is pinged, and after which it is dropped. Default: 30 s and 60 s. */
  pingAfter?: number
  dropAfter?: number
}

/** One network, or several by the path of the URL. */
export type CandyNetworksInit = CandyNetworkInit | { networks: readonly CandyNetworkInit[] }

export type CandyRelayInit = CandyRelayOptions & CandyNetworksInit & {
  /** Which device had which address. Default: they are forgotten at the end. */
  leases?: LeaseStore
  log?: Logger
  /**
   * Its date is what the time stamps of clients are compared with. Threads with connections (`workers`) go by the clock of the system,
   * since no object reaches into another thread. Default: that of the system.
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

/** Throws `OptionError` when something cannot work. */
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
