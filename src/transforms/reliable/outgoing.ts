/** The sending direction of a stream: what waits, what is on its way, what has to be sent again. */
import { RangeSet } from './range-set.ts'
import { SendBuffer } from './send-buffer.ts'
import { INITIAL_WINDOW } from './config.ts'
import type { Batch } from '../../types.ts'

/** Bytes of overhead that an element that waits counts for, so that many tiny ones are bounded too. */
const ELEMENT_OVERHEAD = 64

export class Outgoing {
  /** Offset of the next byte that was never sent. */
  next = 0
  /** Offset up to which the other side takes bytes. */
  limit = INITIAL_WINDOW
  /** What the last `fill` has written. */
  offset = 0
  size = 0
  isEnd = false
  #isEnded = false
  #isEndSent = false
  #isEndAcknowledged = false
  /** What was not sent yet, from `#first` on, and bytes of the first element that were. */
  #waiting: Batch = []
  #first = 0
  #used = 0
  #waitingBytes = 0
  readonly #buffer: SendBuffer
  /** Bytes behind a gap that were acknowledged; bytes that are to be sent again. */
  readonly #behindGap = new RangeSet()
  readonly #lost = new RangeSet()

  constructor (limit: number) { this.#buffer = new SendBuffer(limit) }

  /** Bytes that were never sent, with overhead. */
  get queued (): number { return this.#unsent + (this.#waiting.length - this.#first) * ELEMENT_OVERHEAD }

  /** Bytes that can be sent now. */
  get ready (): number { return this.#lost.total + Math.max(0, Math.min(this.#unsent, this.limit - this.next, this.#buffer.room + this.#buffer.end - this.next)) }

  /** The end can be sent now, without data. */
  get isEndReady (): boolean { return this.#isEnded && !this.#isEndSent && !this.#isEndAcknowledged && this.next === this.#final }

  /** Bytes wait, and the other side takes none. */
  get isBlocked (): boolean { return this.#unsent > 0 && this.limit <= this.next }

  /** Not everything is acknowledged. */
  get isWaiting (): boolean { return this.#unsent > 0 || this.#buffer.begin < this.next || (this.#isEnded && !this.#isEndAcknowledged) }

  /** What was sent, the end included, is not acknowledged. */
  get isUnderWay (): boolean { return this.#buffer.begin < this.next || (this.#isEndSent && !this.#isEndAcknowledged) }

  get isEnded (): boolean { return this.#isEnded }

  /** Everything was acknowledged, with the end. */
  get isDone (): boolean { return this.#isEndAcknowledged && this.#buffer.begin === this.next }

  /** Bytes that were acknowledged, without those behind a gap. */
  get acknowledged (): number { return this.#buffer.begin }

  /** Bytes of memory that what was sent takes. */
  get capacity (): number { return this.#buffer.capacity }

  get isEmpty (): boolean { return this.#buffer.begin === this.#buffer.end }

  write (batch: Batch): void {
    for (const bytes of batch) {
      if (bytes.length === 0) continue
      this.#waiting.push(bytes)
      this.#waitingBytes += bytes.length
    }
  }

  end (): void { this.#isEnded = true }

  /** Copies up to so many bytes that wait, to be sent next. */
  stage (most: number): void {
    const { room, end } = this.#buffer
    let left = Math.min(most - (end - this.next), room, this.limit - end)
    while (left > 0 && this.#first < this.#waiting.length) {
      const bytes = this.#waiting[this.#first]
      const to = Math.min(bytes.length, this.#used + left)
      const size = to - this.#used
      this.#buffer.write(bytes, this.#used, to)
      this.#waitingBytes -= size
      left -= size
      if (to === bytes.length) {
        this.#first++
        this.#used = 0
      } else {
        this.#used = to
      }
    }
    if (this.#first === this.#waiting.length) {
      if (this.#first > 0) this.#waiting = []
      this.#first = 0
    } else if (this.#first > 1024 && this.#first * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
  }

  /** Writes the next bytes, lost ones first, between `at` and `end`. Tells in its fields what that was; false: there is nothing. */
  fill (into: Uint8Array, at: number, end: number): boolean {
    const isAgain = this.#lost.length > 0
    const offset = this.offset = isAgain ? this.#lost.from(0) : this.next
    const size = this.size = Math.min(end - at, (isAgain ? this.#lost.to(0) : this.#buffer.end) - offset)
    this.isEnd = this.#isEnded && offset + size === this.#final && !this.#isEndAcknowledged
    if (size === 0 && !this.isEnd) return false
    if (size > 0) this.#buffer.copy(offset, size, into, at)
    if (isAgain) this.#lost.remove(offset, offset + size)
    else this.next += size
    if (this.isEnd) this.#isEndSent = true
    return true
  }

  acknowledge (from: number, to: number, isEnd: boolean): void {
    if (isEnd) this.#isEndAcknowledged = true
    if (to <= this.#buffer.begin) return
    if (this.#lost.length > 0) this.#lost.remove(from, to)
    if (from > this.#buffer.begin) this.#behindGap.add(from, to)
    else this.#release(to)
  }

  /** All bytes before an offset have come; the end counts as one more. False: that many were not sent. */
  acknowledgeAll (delivered: number): boolean {
    const isEnd = this.#isEndSent && delivered === this.next + 1
    if (delivered > this.next && !isEnd) return false
    if (isEnd) this.#isEndAcknowledged = true
    const to = Math.min(delivered, this.next)
    if (to <= this.#buffer.begin) return true
    this.#lost.removeBelow(to)
    this.#release(to)
    return true
  }

  /** What a packet carried has to be sent again, unless it has come by another one. */
  lose (from: number, to: number, isEnd: boolean): void {
    if (isEnd) this.#isEndSent = false
    if (to > this.#buffer.begin) this.#behindGap.forEachGap(Math.max(from, this.#buffer.begin), to, this.#addLost)
  }

  /** Nothing more is sent. */
  clear (): void {
    this.#waiting = []
    this.#first = this.#used = this.#waitingBytes = 0
    this.#lost.clear()
    this.#behindGap.clear()
    this.next = this.#buffer.end
    this.#buffer.release(this.#buffer.end)
    this.#buffer.shrink()
  }

  /** Gives memory back that is not in use. */
  shrink (): void { this.#buffer.shrink() }

  get #unsent (): number { return this.#waitingBytes + this.#buffer.end - this.next }

  /** Length of the stream, once all of it is in the buffer. */
  get #final (): number { return this.#waitingBytes === 0 ? this.#buffer.end : Infinity }

  readonly #addLost = (from: number, to: number): void => { this.#lost.add(from, to) }

  #release (to: number): void {
    let begin = to
    while (this.#behindGap.length > 0 && this.#behindGap.from(0) <= begin) {
      begin = Math.max(begin, this.#behindGap.to(0))
      this.#behindGap.removeFirst()
    }
    this.#buffer.release(begin)
  }
}
