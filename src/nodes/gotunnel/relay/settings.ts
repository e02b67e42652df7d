/** The options of a gotunnel relay. */
import { verifyIdentities, type IdentityInit, type VerifiedIdentity } from './identities.ts'
import { OptionError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { verifyBytes, verifyMilliseconds } from '../../../options.ts'
import type { Clock } from '../../../types.ts'
import { verifyConnectionLimits, type ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import { DEFAULT_BUFFER_TOTAL, DEFAULT_STALL_TIMEOUT, DEFAULT_UNANSWERED_TIMEOUT, MODES, type Mode } from '../protocol/options.ts'

export interface GotunnelRelayOptions extends ConnectionLimiterInit {
  identities: readonly IdentityInit[]
  /** Default: `auto`. */
  mode?: Mode
  /** The local address that mapped ports listen on. Default: all of them. */
  bind?: string
  /** Ports of all identities at one time. Default: 4096. */
  maxPorts?: number
  /** Users of all ports at one time. Default: 16384. */
  maxUsers?: number
  /** Users of one port that wait for a data connection. Default: 1024; of all ports 4096. */
  maxWaiting?: number
  /** User connections at one time from one source. Default: 1024. */
  usersPerSource?: number
  /**
   * Bytes buffered for all users, while readers are slower than writers. Beyond it stalled users are ended. Default: 256 MiB.
   */
  bufferTotal?: number
  /** Unknown tokens from one source in a minute; beyond it its tokens are not checked. The loopback is exempt. Default: 120. */
  authFailures?: number
}

export interface GotunnelRelayInit extends GotunnelRelayOptions {
  /** Milliseconds for the first frame. Default: 10 s. */
  firstFrameTimeout?: number
  /** Milliseconds without a ping after which a client is dropped (gotunnel protocol, section 6). Default: 30 s. */
  dropAfter?: number
  /** Milliseconds that a user waits for its data connection (section 6). Default: 60 s. */
  waitTimeout?: number
  /** Milliseconds until a data connection that does not answer is ended. Default: 5 s. */
  acknowledgeTimeout?: number
  /** Milliseconds without a TCP acknowledgement after which a user, or its data connection, is ended. Default: 45 s. */
  unansweredTimeout?: number
  /** Milliseconds without progress after which a user may be ended while the buffers of all exceed `bufferTotal`. Default: 10 s. */
  stallTimeout?: number
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

export interface RelaySettings {
  identities: VerifiedIdentity[]
  mode: Mode
  bind: string | undefined
  maxPorts: number
  maxWaiting: number
  bufferTotal: number
  authFailures: number
  /** For the control port and, separately, for the users of all ports. */
  limiter: Required<ConnectionLimiterInit>
  userLimiter: Required<ConnectionLimiterInit>
  firstFrameTimeout: number
  dropAfter: number
  waitTimeout: number
  acknowledgeTimeout: number
  unansweredTimeout: number
  stallTimeout: number
}

/**
 * The data connections of all users of a client come from its one address, and many of them may be half-open at once. When paired with
 * a user they no longer count here, but against the limits of users.
 */
const DEFAULT_PER_SOURCE = 4096
const WAITING_IN_ALL = 4096

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readRelay ({
  identities, mode = 'auto', bind, maxPorts = 4096, maxUsers = 16_384, maxWaiting = 1024, usersPerSource = 1024, bufferTotal = DEFAULT_BUFFER_TOTAL, authFailures = 120,
  perSource = DEFAULT_PER_SOURCE, maxHalfOpen, maxConnections, firstFrameTimeout = 10_000, dropAfter = 30_000, waitTimeout = 60_000, acknowledgeTimeout = 5000,
  unansweredTimeout = DEFAULT_UNANSWERED_TIMEOUT, stallTimeout = DEFAULT_STALL_TIMEOUT
}: Omit<GotunnelRelayInit, 'log' | 'clock'>): RelaySettings {
  if (!MODES.includes(mode)) throw new OptionError(`mode is one of ${MODES.join(', ')}, not ${String(mode)}`)
  for (const [name, count] of Object.entries({ maxPorts, maxWaiting, maxUsers, usersPerSource, authFailures })) {
    if (!Number.isSafeInteger(count) || count < 1) throw new OptionError(`${name} is a whole number of at least 1, not ${String(count)}`)
  }
  const verified = verifyIdentities(identities)
  const reserved = verified.reduce((sum, [{ reserveUsers = 0 }]) => sum + reserveUsers, 0)
  if (reserved > maxUsers) throw new OptionError(`maxUsers is at least what identities have reserved, ${reserved}, not ${maxUsers}`)
  return {
    identities: verified,
    mode,
    bind,
    maxPorts,
    maxWaiting,
    bufferTotal: verifyBytes('bufferTotal', bufferTotal),
    authFailures,
    limiter: verifyConnectionLimits({ perSource, maxHalfOpen, maxConnections }),
    userLimiter: verifyConnectionLimits({ perSource: usersPerSource, maxHalfOpen: Math.max(WAITING_IN_ALL, maxWaiting), maxConnections: maxUsers }),
    firstFrameTimeout: verifyMilliseconds('firstFrameTimeout', firstFrameTimeout),
    dropAfter: verifyMilliseconds('dropAfter', dropAfter),
    waitTimeout: verifyMilliseconds('waitTimeout', waitTimeout),
    acknowledgeTimeout: verifyMilliseconds('acknowledgeTimeout', acknowledgeTimeout),
    unansweredTimeout: verifyMilliseconds('unansweredTimeout', unansweredTimeout),
    stallTimeout: verifyMilliseconds('stallTimeout', stallTimeout)
  }
}
