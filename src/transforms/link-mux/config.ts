/** The limits of a multiplexed connection. */
import { OptionError } from '../../errors.ts'
import { verifyBytes, verifyMilliseconds } from '../../options.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Clock } from '../../types.ts'

/** Maximum bytes of credit, and of a window. */
export const MAX_WINDOW = 0xffff_ffff

/** Limits of {@link linkMux}. */
export interface LinkMuxLimits {
  /** Bytes of one link that may wait for its reader: the credit of the other side, where the link has credit. Default: 256 KiB. */
  window?: number
  /**
   * Bytes up to which the window of a link may grow: it doubles while half of it is read within half a second and little of that had to wait,
   * so for links with a fast reader, and while the windows of all links stay within `maxUnread`. Only of links with credit, and not of those
   * with messages. Default: 1 MiB, or `window` where that is more.
   */
  maxWindow?: number
  /** Bytes of all links together that may wait for their readers; exceeded by at most one read. Default: 16 MiB. */
  maxUnread?: number
  /** Links at one time, with those that are not accepted yet. Default: 1024. */
  maxLinks?: number
  /** Links that are not accepted yet, of each side. Default: 128. */
  maxHalfOpen?: number
  /** Messages of one link that wait for its reader, of links that keep messages. Further ones are dropped and counted. Default: 1024. */
  maxMessages?: number
  /** Bound in bytes of what waits to be sent by `port` of one link. Default: 256 KiB. */
  queueLimit?: number
  /**
   * Milliseconds that a reader may hold up the whole connection, until its link is reset; and that too many answers may wait to be written,
   * until the connection ends. Default: 10 000.
   */
  stallTimeout?: number
  /** Milliseconds for the other side to end the connection after this one has. Default: 3000. */
  closeTimeout?: number
  /** Default: that of the system. */
  clock?: Clock
}

export type Settings = Required<LinkMuxLimits>

const DEFAULTS: Omit<Settings, 'clock'> = {
  window: 256 << 10,
  maxWindow: 1 << 20,
  maxUnread: 16 << 20,
  maxLinks: 1024,
  maxHalfOpen: 128,
  maxMessages: 1024,
  queueLimit: 256 << 10,
  stallTimeout: 10_000,
  closeTimeout: 3000
}

/** @throws {OptionError} when a limit is out of range */
export function settingsOf (init: LinkMuxLimits): Settings {
  const limit = (name: keyof typeof DEFAULTS): number => init[name] ?? DEFAULTS[name]
  const count = (name: keyof typeof DEFAULTS): number => {
    const value = limit(name)
    if (!Number.isSafeInteger(value) || value < 1) throw new OptionError(`${name} is a whole number, at least 1, not ${String(value)}`)
    return value
  }
  const window = verifyBytes('window', limit('window'))
  const maxWindow = verifyBytes('maxWindow', init.maxWindow ?? Math.max(window, DEFAULTS.maxWindow))
  if (window > maxWindow || maxWindow > MAX_WINDOW) throw new OptionError(`window is at most maxWindow, and that at most ${MAX_WINDOW} bytes, not ${window} and ${maxWindow}`)
  return {
    window,
    maxWindow,
    maxUnread: verifyBytes('maxUnread', limit('maxUnread')),
    maxLinks: count('maxLinks'),
    maxHalfOpen: count('maxHalfOpen'),
    maxMessages: count('maxMessages'),
    queueLimit: verifyBytes('queueLimit', limit('queueLimit')),
    stallTimeout: verifyMilliseconds('stallTimeout', limit('stallTimeout')),
    closeTimeout: verifyMilliseconds('closeTimeout', limit('closeTimeout')),
    clock: init.clock ?? systemClock
  }
}
