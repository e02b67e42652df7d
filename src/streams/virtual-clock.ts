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
  /** What the date was when, so that rounding does not add up. */
  #date: { readonly set: number, readonly at: number }
  #order = 0
  readonly #timers = new TimerHeap()
  /** Called when a timer was set. */
  readonly #wakers = new Set<() => void>()
  /** What the last timer leads to: until that is done nobody runs the next one. */
  #turning: Promise<void> | undefined

  /** @throws {OptionError} when a time is no number, or `now` is less than 0 */
  constructor ({ now = 0, date = 0 }: VirtualClockInit = {}) {
    this.#now = verified('now', now)
    this.#date = { set: verifiedDate(date), at: now }
  }

  // Functions of their own, so that they may be handed on: `clock.now`.
  readonly now = (): number => this.#now
  readonly date = (): number => Math.floor(this.#date.set + (this.#now - this.#date.at))

  /** Timers that wait, the earliest first. */
  protected get timers (): VirtualTimer[] { return this.#timers.sorted() }

  /** @throws {OptionError} when that is no time of a timer */
  set (ms: number, fn: () => void): Timer {
    if (typeof ms !== 'number' || !(ms <= MAX_TIMEOUT)) throw new OptionError(`a timer takes a number of milliseconds, at most ${MAX_TIMEOUT}, not ${String(ms)}`)
    const wait = Math.max(1, ms)
    return this.#add(ms, this.#now + wait, () => { fn() })
  }

  /**
   * Calls `fn` at a time of `now`, which may have fractions and be less than 1 ms away: for what happens in a simulated network. A time that
   * is over counts as now.
   *
   * @param fn - returns false when no promise can have been settled by it, which saves turns of the event loop
   * @throws {OptionError} when the time is no finite number
   */
  at (time: number, fn: () => unknown): Timer {
    if (!Number.isFinite(time)) throw new OptionError(`a time is a number of milliseconds, not ${String(time)}`)
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

  /**
   * The same, with four turns of the event loop behind each timer, so that what it leads to is done when the next one runs. What takes more
   * turns goes on later. That is so also where several callers move the clock.
   */
  async pass (ms: number): Promise<void> {
    const end = this.#now + verified('a time to pass', ms)
    await turns()
    for (;;) {
      while (this.#turning !== undefined) await this.#turning
      if (!this.#isDue(end)) break
      if (this.#step()) await this.#turns()
    }
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
   * @throws {OptionError} when the condition returns something else than true or false, such as a promise
   */
  async until (what: () => boolean, init?: { within?: number }): Promise<void>
  async until<T> (what: Promise<T>, init?: { within?: number }): Promise<T>
  async until<T> (what: Promise<T> | (() => boolean), { within = WITHIN }: { within?: number } = {}): Promise<T | undefined> {
    const end = this.#now + verified('within', within)
    let isSettled = false
    const settle = (): void => { isSettled = true }
    if (typeof what !== 'function') what.then(settle, settle)
    const isOver = typeof what === 'function' ? () => verifiedCondition(what()) : () => isSettled
    for (await turns(); !isOver();) {
      if (this.#turning !== undefined) {
        await this.#turning
      } else if (this.#isDue(end)) {
        if (this.#step()) await this.#turns()
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
    let wakeUp = (): void => {}
    const wake = (): void => { wakeUp() }
    signal.addEventListener('abort', wake)
    this.#wakers.add(wake)
    try {
      for (await turns(); !signal.aborted;) {
        if (this.#turning !== undefined) {
          await this.#turning
        } else if (this.#isDue(Infinity)) {
          if (this.#step()) await this.#turns()
        } else {
          await new Promise<void>((resolve) => { wakeUp = resolve })
          await turns()
        }
      }
    } finally {
      this.#wakers.delete(wake)
      signal.removeEventListener('abort', wake)
    }
  }

  /**
   * The time of the machine is set.
   *
   * @throws {OptionError} when that is no number
   */
  setDate (date: number): void { this.#date = { set: verifiedDate(date), at: this.#now } }

  #add (ms: number, due: number, fn: () => unknown): VirtualTimer {
    const timer = new VirtualTimer(ms, due, this.#order++, fn)
    this.#timers.add(timer)
    for (const wake of this.#wakers) wake()
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

  /** Not back: somebody else may have moved it further meanwhile. */
  #move (to: number): void { this.#now = Math.max(this.#now, to) }

  async #turns (): Promise<void> {
    const turning = this.#turning = turns()
    await turning
    if (this.#turning === turning) this.#turning = undefined
  }
}

function verified (name: string, ms: number): number {
  if (!Number.isFinite(ms) || ms < 0) throw new OptionError(`${name} is a number of milliseconds, at least 0, not ${String(ms)}`)
  return ms
}

function verifiedDate (date: number): number {
  if (!Number.isFinite(date)) throw new OptionError(`a date is a number of milliseconds, not ${String(date)}`)
  return date
}

function verifiedCondition (holds: boolean): boolean {
  if (typeof holds !== 'boolean') throw new OptionError('a condition returns true or false, and no promise')
  return holds
}

/** What is ready, and what follows from that. */
async function turns (): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise((resolve) => { setImmediate(resolve) })
}
