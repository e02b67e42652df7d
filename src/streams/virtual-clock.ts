/** A clock that stands still until it is moved: a minute of time-outs and delays runs in milliseconds, and each time in the same way. */
import { CodedError, OptionError } from '../errors.ts'
import { MAX_TIMEOUT } from '../options.ts'
import type { Clock, Timer } from '../types.ts'

/** Turns of the event loop after each timer: what was woken may itself wait for a turn, as queues of Node's streams do. */
const TURNS = 4

/** Virtual milliseconds that `until` waits. */
const WITHIN = 60_000

/** Where the time begins. */
export interface VirtualClockInit {
  /** Milliseconds of `now`. Default: 0. */
  now?: number
  /** Milliseconds of `date`, since 1970. Default: 0. */
  date?: number
}

/** What `until` waited for did not come about in time. */
export class VirtualTimeoutError extends CodedError<'ERR_VIRTUAL_TIMEOUT'> {
  override readonly name = 'VirtualTimeoutError'
  /** Virtual milliseconds, as of `now`. */
  readonly now: number

  constructor (within: number, now: number, timers: number) {
    super('ERR_VIRTUAL_TIMEOUT', `did not come about within ${within} ms: it is ${now} ms now, and ${timers === 0 ? 'no timer waits' : `timers that wait: ${timers}`}`)
    this.now = now
  }
}

/** A timer of a {@link VirtualClock}. */
export class VirtualTimer implements Timer {
  /** What it was set to, in milliseconds. */
  readonly ms: number
  /** When it runs, in milliseconds of `now`. */
  readonly due: number
  /** Timers that are due together run in this order. */
  readonly order: number
  readonly fn: () => unknown
  isRef = true
  /** Its place in the heap; -1 when it does not wait. */
  place = -1

  constructor (ms: number, due: number, order: number, fn: () => unknown) {
    this.ms = ms
    this.due = due
    this.order = order
    this.fn = fn
  }

  unref (): this {
    this.isRef = false
    return this
  }
}

const isBefore = (a: VirtualTimer, b: VirtualTimer): boolean => a.due < b.due || (a.due === b.due && a.order < b.order)

/** A binary heap whose elements know their place, so that any of them can be removed. */
class TimerHeap {
  readonly #heap: VirtualTimer[] = []

  get size (): number { return this.#heap.length }

  get first (): VirtualTimer | undefined { return this.#heap[0] }

  sorted (): VirtualTimer[] { return [...this.#heap].sort((a, b) => isBefore(a, b) ? -1 : 1) }

  add (timer: VirtualTimer): void { this.#rise(timer, this.#heap.length) }

  remove (timer: VirtualTimer): void {
    const { place } = timer
    if (this.#heap[place] !== timer) return // it has run, or is one of another clock
    timer.place = -1
    const last = this.#heap.pop() as VirtualTimer
    if (last === timer) return
    if (place > 0 && isBefore(last, this.#heap[(place - 1) >> 1])) this.#rise(last, place)
    else this.#sink(last, place)
  }

  #rise (timer: VirtualTimer, place: number): void {
    while (place > 0) {
      const up = (place - 1) >> 1
      if (!isBefore(timer, this.#heap[up])) break
      this.#put(this.#heap[up], place)
      place = up
    }
    this.#put(timer, place)
  }

  #sink (timer: VirtualTimer, place: number): void {
    for (;;) {
      let down = 2 * place + 1
      if (down >= this.#heap.length) break
      if (down + 1 < this.#heap.length && isBefore(this.#heap[down + 1], this.#heap[down])) down++
      if (!isBefore(this.#heap[down], timer)) break
      this.#put(this.#heap[down], place)
      place = down
    }
    this.#put(timer, place)
  }

  #put (timer: VirtualTimer, place: number): void {
    this.#heap[place] = timer
    timer.place = place
  }
}

/**
 * Time for tests and simulations. It goes on only by `advance`, `pass`, `until` and `run`. What is due runs each at its own time, and in the
 * order in which it was set where that is the same.
 *
 * Promises that are settled by a timer go on before the next timer runs, except in `advance`. Work outside of this thread (files, sockets
 * of the system, encryption in Node's thread pool) takes no virtual time, and is not waited for.
 */
export class VirtualClock implements Clock {
  #now: number
  #date: number
  #order = 0
  readonly #timers = new TimerHeap()
  #onTimer: (() => void) | undefined

  constructor ({ now = 0, date = 0 }: VirtualClockInit = {}) {
    this.#now = now
    this.#date = date
  }

  // Functions of their own, so that they may be handed on: `clock.now`.
  readonly now = (): number => this.#now
  readonly date = (): number => Math.floor(this.#date)

  /** Timers that wait, the earliest first. */
  protected get timers (): VirtualTimer[] { return this.#timers.sorted() }

  set (ms: number, fn: () => void): Timer {
    if (!(ms <= MAX_TIMEOUT)) throw new RangeError(`a timer of ${ms} ms`)
    const wait = Math.max(1, ms)
    return this.#add(ms, this.#now + wait, () => { fn() })
  }

  /**
   * Calls `fn` at a time of `now`, which may have fractions and be less than 1 ms away: for what happens in a simulated network. A time that
   * is over counts as now.
   *
   * @param fn - returns false when no promise can have been settled by it, which saves turns of the event loop
   */
  at (time: number, fn: () => unknown): Timer {
    if (Number.isNaN(time)) throw new RangeError('a time is a number')
    return this.#add(time - this.#now, Math.max(time, this.#now), fn)
  }

  clear (timer: Timer | undefined): void {
    if (timer instanceof VirtualTimer) this.#timers.remove(timer)
  }

  /** Time goes on; what is due by then runs, also timers that are set meanwhile. Promises go on only afterwards: mostly `pass` is meant. */
  advance (ms: number): void {
    const end = this.#now + verified('a time to pass', ms)
    while (this.#isDue(end)) this.#step()
    this.#move(end)
  }

  /** The same, with turns of the event loop behind each timer, so that what it leads to is done when the next one runs. */
  async pass (ms: number): Promise<void> {
    const end = this.#now + verified('a time to pass', ms)
    await turns()
    while (this.#isDue(end)) if (this.#step()) await turns()
    this.#move(end)
    await turns()
  }

  /**
   * Time goes on until the promise settles, or the condition holds, which is looked at behind each timer.
   *
   * @param what - `() => socket.dropped > 0`, or a promise
   * @param init - `within`: virtual milliseconds, by default 60,000
   * @returns what the promise resolves with
   * @throws {VirtualTimeoutError} when that does not come about in time; what the promise rejects with
   */
  async until (what: () => boolean, init?: { within?: number }): Promise<void>
  async until<T> (what: Promise<T>, init?: { within?: number }): Promise<T>
  async until<T> (what: Promise<T> | (() => boolean), { within = WITHIN }: { within?: number } = {}): Promise<T | undefined> {
    const end = this.#now + verified('within', within)
    let isSettled = false
    const settle = (): void => { isSettled = true }
    if (typeof what !== 'function') what.then(settle, settle)
    const isOver = typeof what === 'function' ? what : () => isSettled
    for (await turns(); !isOver();) {
      if (this.#isDue(end)) {
        if (this.#step()) await turns()
      } else if (this.#now < end) {
        this.#move(end)
        await turns()
      } else {
        throw new VirtualTimeoutError(within, this.#now, this.#timers.size)
      }
    }
    return typeof what === 'function' ? undefined : await what
  }

  /**
   * Time goes on by itself, from each timer to the next one without a pause, until the signal is aborted: for code that waits and cannot
   * move the clock.
   */
  async run (signal: AbortSignal): Promise<void> {
    const wake = (): void => { this.#onTimer?.() }
    signal.addEventListener('abort', wake, { once: true })
    for (await turns(); !signal.aborted;) {
      if (this.#isDue(Infinity)) {
        if (this.#step()) await turns()
      } else {
        await new Promise<void>((resolve) => { this.#onTimer = resolve })
        this.#onTimer = undefined
        await turns()
      }
    }
    signal.removeEventListener('abort', wake)
  }

  /** The time of the machine is set. */
  setDate (date: number): void { this.#date = date }

  #add (ms: number, due: number, fn: () => unknown): VirtualTimer {
    const timer = new VirtualTimer(ms, due, this.#order++, fn)
    this.#timers.add(timer)
    this.#onTimer?.()
    return timer
  }

  #isDue (end: number): boolean {
    const next = this.#timers.first
    return next !== undefined && next.due <= end
  }

  /** Runs the first timer. Returns whether promises may have been settled. */
  #step (): boolean {
    const timer = this.#timers.first as VirtualTimer
    this.#timers.remove(timer)
    this.#move(timer.due)
    return timer.fn() !== false
  }

  #move (to: number): void {
    if (to <= this.#now) return // somebody else has moved it further meanwhile
    this.#date += to - this.#now
    this.#now = to
  }
}

function verified (name: string, ms: number): number {
  if (!(ms >= 0 && ms < Infinity)) throw new OptionError(`${name} is a number of milliseconds, at least 0, not ${String(ms)}`)
  return ms
}

/** What is ready, and what follows from that. */
async function turns (): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise((resolve) => { setImmediate(resolve) })
}
