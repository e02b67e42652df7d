/** What a connection is given: its bounds, its network, and whom it tells. */
import type { StreamErrorCode } from './errors.ts'
import { MAX_WINDOW, type Segment } from './segment.ts'
import { OptionError } from '../../../../errors.ts'
import { verifyBytes, verifyMilliseconds } from '../../../../options.ts'
import type { Clock } from '../../../../types.ts'

/** Bounds of a connection. */
export interface ConnectionLimits {
  /** Bytes of what was written and is not acknowledged. Default: 1 MiB. */
  sendBuffer?: number
  /** Bytes of what has come and was not read. Default: 1 MiB. */
  receiveBuffer?: number
  /** Times that an unanswered SYN is sent again, after 1 s at first. Default: 6, so that a dial fails after 127 s. */
  synRetries?: number
  /** Times in a row that unacknowledged data is sent again, after 0.2 s at least at first. Default: 15, so that a connection is lost after 15 minutes or more. */
  retries?: number
  /** Milliseconds that the addresses of an ended connection stay in use on the side that has ended it first. Default: 5000. */
  timeWait?: number
  /**
   * Milliseconds of silence until the first keep-alive probe. Ten probes follow, one per second, then the connection ends with `ETIMEDOUT`.
   * Default: no keep-alive, so that who only reads never learns that the other side is gone.
   */
  keepAlive?: number
}

/** With all defaults. */
export type ConnectionSettings = Required<Omit<ConnectionLimits, 'keepAlive'>> & Pick<ConnectionLimits, 'keepAlive'>

export const CONNECTION_DEFAULTS: ConnectionSettings = { sendBuffer: 1 << 20, receiveBuffer: 1 << 20, synRetries: 6, retries: 15, timeWait: 5000 }

const MAX_RETRIES = 1000

/** @throws {OptionError} when one is out of range */
export function verifyLimits ({ sendBuffer, receiveBuffer, synRetries, retries, timeWait, keepAlive }: ConnectionSettings): void {
  verifyBytes('sendBuffer', sendBuffer)
  if (verifyBytes('receiveBuffer', receiveBuffer) > MAX_WINDOW) throw new OptionError(`receiveBuffer is at most ${MAX_WINDOW} bytes, not ${receiveBuffer}`)
  verifyMilliseconds('timeWait', timeWait)
  if (keepAlive !== undefined) verifyMilliseconds('keepAlive', keepAlive)
  for (const [name, value] of Object.entries({ synRetries, retries })) {
    if (!Number.isInteger(value) || value < 0 || value > MAX_RETRIES) throw new OptionError(`${name} is a whole number, 0 to ${MAX_RETRIES}, not ${String(value)}`)
  }
}

export interface ConnectionInit extends ConnectionSettings {
  clock: Clock
  /** Bytes of data in a segment that the network takes. */
  maxData: number
  /** The first sequence number. */
  sequence: number
  /** Passes a segment to the network. It may come back from there before this returns. */
  send: (segment: Segment) => void
  events: ConnectionEvents
}

/** Called by a connection after it has taken a segment, and before it answers. */
export interface ConnectionEvents {
  /** The handshake is complete. */
  opened (): void
  /** There is more to read, or the end. */
  readable (): void
  /** There is room again for what is written. */
  writable (): void
  /** The connection has broken. */
  failed (code: StreamErrorCode): void
  /** It exists no more, and its addresses are free. Called once, last. */
  gone (): void
}
