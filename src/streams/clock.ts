/** The system clock, and intervals, delays and deadlines by any clock. */
import type { Clock, Timer } from '../types.ts'

/**
 * A timer of Node, followed by one turn of the event loop, so that data that has arrived by then is read first. Otherwise a process that
 * was busy for longer than a time-out would time out although the answer is in the socket.
 */
class SystemTimer implements Timer {
  readonly #timer: NodeJS.Timeout
  #turn: NodeJS.Immediate | undefined

  constructor (ms: number, fn: () => void) {
    this.#timer = setTimeout(() => {
      this.#turn = setImmediate(fn) // holds the process for this turn: without that an idle one would not take it
    }, ms)
  }

  unref (): this {
    this.#timer.unref()
    return this
  }

  clear (): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#turn)
  }
}

/** `performance` for monotonic time, `Date` for time stamps, timers of Node that fire after pending reads. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  set: (ms, fn) => new SystemTimer(ms, fn),
  clear: (timer) => { (timer as SystemTimer | undefined)?.clear() }
}

/** Calls a function repeatedly, until `stop`. */
export interface Interval {
  stop (): void
  /** The interval does not keep the process alive. */
  unref (): this
}

/** Calls `fn` every `ms` milliseconds, counted from the start of the call before. */
export function every (clock: Clock, ms: number, fn: () => void): Interval { return new Repeated(clock, ms, fn) }

class Repeated implements Interval {
  readonly #clock: Clock
  readonly #ms: number
  readonly #fn: () => void
  #timer: Timer | undefined
  #isRef = true

  constructor (clock: Clock, ms: number, fn: () => void) {
    this.#clock = clock
    this.#ms = ms
    this.#fn = fn
    this.#set()
  }

  stop (): void {
    this.#clock.clear(this.#timer)
  }

  unref (): this {
    this.#isRef = false
    this.#timer?.unref()
    return this
  }

  #set (): void {
    this.#timer = this.#clock.set(this.#ms, this.#run)
    if (!this.#isRef) this.#timer.unref()
  }

  readonly #run = (): void => {
    this.#set() // before the call, which may take long, or throw
    this.#fn()
  }
}

export interface WaitInit {
  /** Cancels the delay. Default: none. */
  signal?: AbortSignal
  /** Keep the process alive. Default: true. */
  ref?: boolean
}

/** Settles after `ms` milliseconds. Rejects with an `AbortError`, whose `cause` is the reason, when the signal is aborted. */
export function wait (clock: Clock, ms: number, { signal, ref = true }: WaitInit = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortError(signal))
      return
    }
    const aborted = (): void => {
      clock.clear(timer)
      reject(abortError(signal))
    }
    const timer = clock.set(ms, () => {
      signal?.removeEventListener('abort', aborted)
      resolve()
    })
    if (!ref) timer.unref()
    signal?.addEventListener('abort', aborted, { once: true })
  })
}

/** The error of Node's own delays. */
const abortError = (signal: AbortSignal | undefined): Error =>
  Object.assign(new Error('The operation was aborted', { cause: signal?.reason }), { name: 'AbortError', code: 'ABORT_ERR' })
