/** The clock of the system, and what is made of any clock: intervals, waiting, deadlines. */
import type { Clock, Timer } from '../types.ts'

/**
 * A timer of Node, and one more turn of the event loop: when it is due, what has arrived by then is read first. A process that was busy
 * for longer than a time-out finds the answer in the socket, and Node would call the timer before it looks there.
 */
class SystemTimer implements Timer {
  readonly #timer: NodeJS.Timeout
  #turn: NodeJS.Immediate | undefined

  constructor (ms: number, fn: () => void) {
    this.#timer = setTimeout(() => {
      this.#turn = setImmediate(fn)
      if (!this.#timer.hasRef()) this.#turn.unref()
    }, ms)
  }

  unref (): this {
    this.#timer.unref()
    this.#turn?.unref()
    return this
  }

  clear (): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#turn)
  }
}

/** Steady time of `performance`, time stamps of `Date`, timers of Node that come after what has arrived. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  set: (ms, fn) => new SystemTimer(ms, fn),
  clear: (timer) => { (timer as SystemTimer | undefined)?.clear() }
}

/** Something that happens again and again, until `stop`. */
export interface Interval {
  stop (): void
  /** From now on it does not keep the process alive. */
  unref (): this
}

/** Calls `fn` every so many milliseconds, each counted from when the call before it began. */
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
    this.#set() // before the call, which may take time of its own, or throw
    this.#fn()
  }
}

export interface WaitInit {
  /** Ends the waiting. Default: nothing does. */
  signal?: AbortSignal
  /** The process stays alive for it. Default: true. */
  ref?: boolean
}

/** Settles after so many milliseconds. Rejects with an `AbortError`, whose `cause` is the reason, when the signal asks for an end. */
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

/** What Node's own waiting functions reject with. */
const abortError = (signal: AbortSignal | undefined): Error =>
  Object.assign(new Error('The operation was aborted', { cause: signal?.reason }), { name: 'AbortError', code: 'ABORT_ERR' })
