/** Which link may send next: the source that is written to the link below. */
import type { MuxEncoder } from './frame.ts'
import type { Batch } from '../../types.ts'

/** Bytes of data that a link sends in one turn, at least. */
const QUANTUM = 16 << 10

/** Turns that fit into one write. */
const TURNS = 4

/** Control frames that may wait to be written, more than links need: beyond it nothing more is read, nor opened. */
const MAX_CONTROL = 8192

/** What a link has to send. */
export interface Sender {
  /** There is something that may be sent now. */
  readonly isReady: boolean
  /** It is in one of the lists of the scheduler, which alone sets this. */
  isListed: boolean
  /** Encodes up to `most` bytes of data; a message that is larger goes as a whole. Returns the bytes of data. */
  write (most: number): number
}

/** Called without an error when the link below has taken everything. */
type Written = (err?: Error) => void

/**
 * Each write has all control frames first, then data in turns (link-mux protocol, section 5.3). A link that had nothing to send gets its first turn
 * before those that have waited for theirs longer, once; then it takes its place behind them. So a quiet link does not wait for busy ones, and
 * nobody gains by pausing.
 */
export class FrameScheduler<Out> implements AsyncIterableIterator<Batch<Out>> {
  readonly #encoder: Pick<MuxEncoder<never, never, never, Out>, 'take'>
  readonly #quantum: number
  #fresh: Sender[] = []
  #waiting: Sender[] = []
  /** Control frames since the last write. */
  #controlFrames = 0
  #isFinished = false
  #isScheduled = false
  /** Called when the link below has taken the write that is under way, and the next one. */
  #writing: Written[] = []
  #written: Written[] = []
  /** The pending read of the link below. */
  #pending: ((result: IteratorResult<Batch<Out>>) => void) | undefined

  constructor (encoder: Pick<MuxEncoder<never, never, never, Out>, 'take'>, maxData: number) {
    this.#encoder = encoder
    this.#quantum = Math.max(QUANTUM, maxData)
  }

  /** So many control frames wait that what asks for more has to wait as well. */
  get isHeldUp (): boolean { return this.#controlFrames > MAX_CONTROL }

  next (): Promise<IteratorResult<Batch<Out>>> {
    return new Promise((resolve) => {
      this.#pending = resolve
      this.#settle()
      this.#produce()
    })
  }

  /** The link below writes no more; its `sink` tells why. */
  return (): Promise<IteratorResult<Batch<Out>>> { return Promise.resolve({ done: true, value: undefined }) }

  [Symbol.asyncIterator] (): this { return this }

  /** The sender may have become ready. */
  wake (sender: Sender): void {
    if (!sender.isListed && sender.isReady) {
      sender.isListed = true
      this.#fresh.push(sender)
    }
    this.#schedule()
  }

  /** A control frame was encoded. */
  control (): void {
    this.#controlFrames++
    this.#schedule()
  }

  /** Calls `done` when the link below has taken what was encoded so far, or with the error when the connection ends before. */
  afterWrite (done: Written): void {
    this.#written.push(done)
    this.#schedule()
  }

  /** Ends the connection once all is written. */
  finish (): void {
    this.#isFinished = true
    this.#schedule()
  }

  /** Ends at once. */
  fail (err: Error): void {
    this.#fresh = []
    this.#waiting = []
    this.#writing.push(...this.#written)
    this.#written = []
    this.#settle(err)
    this.#encoder.take()
    this.finish()
  }

  /** Once all that is ready now has run, so that what many links send together is one write. */
  #schedule (): void {
    if (this.#isScheduled || this.#pending === undefined) return
    this.#isScheduled = true
    process.nextTick(this.#run)
  }

  readonly #run = (): void => {
    this.#isScheduled = false
    this.#produce()
  }

  #produce (): void {
    const pending = this.#pending
    if (pending === undefined) return
    this.#takeTurns()
    const value = this.#encoder.take()
    this.#controlFrames = 0
    this.#writing = this.#written
    this.#written = []
    if (value.length > 0) {
      this.#pending = undefined
      pending({ done: false, value })
      return
    }
    this.#settle()
    if (!this.#isFinished) return
    this.#pending = undefined
    pending({ done: true, value: undefined })
  }

  #settle (err?: Error): void {
    const writing = this.#writing
    if (writing.length === 0) return
    this.#writing = []
    for (const done of writing) done(err)
  }

  #takeTurns (): void {
    let left = TURNS * this.#quantum
    let empty = 0
    while (left > 0) {
      const isFresh = this.#fresh.length > 0
      const sender = isFresh ? this.#fresh.shift() : this.#waiting.shift()
      if (sender === undefined) return
      if (!isFresh && !sender.isReady) { // it had its turn, and nothing since
        sender.isListed = false
        continue
      }
      const bytes = sender.write(Math.min(this.#quantum, left))
      left -= bytes
      empty = bytes === 0 ? empty + 1 : 0
      this.#waiting.push(sender)
      if (empty > this.#waiting.length) return
    }
  }
}
