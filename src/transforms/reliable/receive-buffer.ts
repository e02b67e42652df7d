/** The bytes of a stream that have come, in order or not, until they are read. */
import { RangeSet } from './range-set.ts'
import type { Batch } from '../../types.ts'

/** Bytes are put together in blocks, at their places; a block is given to the reader in parts. */
const BLOCK = 64 << 10

/** Blocks that are kept for all streams of a thread. */
const MOST_FREE = 32

const free: Uint8Array[] = []

/** Ranges with gaps between them. */
const MAX_GAPS = 4096

/** Milliseconds in which half of a window is read of a stream whose window grows. */
const GROWTH_TIME = 500

export interface ReceiveBufferInit {
  /** Bytes that may be sent before anything was read, and what this grows to. */
  window: number
  maxWindow: number
}

/** Its window grows for a reader that is fast. */
export class ReceiveBuffer {
  /** Offset behind the bytes without a gap. */
  next = 0
  /** Offset behind the bytes that were read. */
  read = 0
  /** Offset up to which the other side may send. */
  limit: number
  /** Length of the stream, once it is known. */
  finalSize = Infinity
  #window: number
  readonly #maxWindow: number
  /** What has come behind a gap. */
  readonly #ranges = new RangeSet()
  readonly #blocks = new Map<number, Uint8Array>()
  #block: Uint8Array | undefined
  #blockIndex = -1
  /** Blocks whose reader gives them back; the last block of which a reader keeps a part. */
  #lent: Uint8Array[] = []
  #keptIndex = -1
  /** When the measurement of the reader has begun, and what was read by then. */
  #measuredAt: number
  #measuredFrom = 0

  constructor ({ window, maxWindow }: ReceiveBufferInit, now: number) {
    this.limit = this.#window = window
    this.#maxWindow = maxWindow
    this.#measuredAt = now
  }

  /** Bytes that can be read. */
  get available (): number { return this.next - this.read }

  /** All has come, with the end. */
  get isComplete (): boolean { return this.next === this.finalSize }

  get hasGaps (): boolean { return this.#ranges.length > 0 }

  /** What is acknowledged: the end counts as a byte. */
  get delivered (): number { return this.isComplete ? this.next + 1 : this.next }

  /** Bytes of memory in use. */
  get capacity (): number { return this.#blocks.size * BLOCK }

  /** Takes bytes at an offset, those from `from` on. Returns false when it has to refuse them: beyond the window or the end, or too many gaps. */
  write (offset: number, bytes: Uint8Array, from: number, isEnd: boolean): boolean {
    const end = offset + bytes.length - from
    if (end > this.limit || end > this.finalSize) return false
    if (isEnd && this.finalSize !== end && (this.finalSize !== Infinity || this.#highest > end)) return false
    if (isEnd) this.finalSize = end
    if (end <= this.next) return true
    const begin = Math.max(offset, this.next)
    if (begin === this.next) {
      this.#put(begin, bytes, from + begin - offset)
      this.next = end
      if (this.#ranges.length > 0) this.#join()
      return true
    }
    if (this.#ranges.length >= MAX_GAPS && this.#ranges.lengthWith(begin, end) > MAX_GAPS) return false
    if (this.#ranges.add(begin, end) > 0) this.#put(begin, bytes, from)
    return true
  }

  /**
   * All bytes that can be read.
   *
   * @param isLent the reader does not keep their memory: see `giveBack`
   */
  take (now: number, isLent: boolean): Batch {
    const batch: Batch = []
    while (this.read < this.next) {
      const index = Math.floor(this.read / BLOCK)
      const from = this.read - index * BLOCK
      const to = Math.min(BLOCK, this.next - index * BLOCK)
      const block = this.#blockOf(index)
      batch.push(block.subarray(from, to))
      this.read += to - from
      if (!isLent) this.#keptIndex = index
      if (to < BLOCK) break
      this.#drop(index)
      if (index > this.#keptIndex) this.#lent.push(block)
    }
    if (this.isComplete) {
      this.#blocks.clear()
      this.#block = undefined
      this.#blockIndex = -1
    }
    this.#grow(now)
    return batch
  }

  /** All that was lent is used again. */
  giveBack (): void {
    if (this.#lent.length === 0) return
    for (const block of this.#lent) if (free.length < MOST_FREE) free.push(block)
    this.#lent = []
  }

  /** Whether so much was read that the other side should know. */
  get isGrantDue (): boolean { return this.finalSize === Infinity && (this.read + this.#window - this.limit) * 4 >= this.#window }

  /** The limit as of now, for the other side. */
  grant (): number {
    this.limit = Math.max(this.limit, this.read + this.#window)
    return this.limit
  }

  get #highest (): number { return this.#ranges.length > 0 ? this.#ranges.to(this.#ranges.length - 1) : this.next }

  /** Doubles the window where half of it was read soon. */
  #grow (now: number): void {
    if ((this.read - this.#measuredFrom) * 2 < this.#window) return
    if (now - this.#measuredAt <= GROWTH_TIME) this.#window = Math.min(this.#window * 2, this.#maxWindow)
    this.#measuredAt = now
    this.#measuredFrom = this.read
  }

  #join (): void {
    while (this.#ranges.length > 0 && this.#ranges.from(0) <= this.next) {
      this.next = Math.max(this.next, this.#ranges.to(0))
      this.#ranges.removeFirst()
    }
  }

  #put (offset: number, bytes: Uint8Array, from: number): void {
    for (let at = from; at < bytes.length;) {
      const index = Math.floor(offset / BLOCK)
      const into = offset - index * BLOCK
      const size = Math.min(bytes.length - at, BLOCK - into)
      this.#blockOf(index).set(at === 0 && size === bytes.length ? bytes : bytes.subarray(at, at + size), into)
      at += size
      offset += size
    }
  }

  #blockOf (index: number): Uint8Array {
    if (index === this.#blockIndex) return this.#block as Uint8Array
    let block = this.#blocks.get(index)
    if (block === undefined) {
      block = free.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(BLOCK).buffer)
      this.#blocks.set(index, block)
    }
    this.#block = block
    this.#blockIndex = index
    return block
  }

  #drop (index: number): void {
    this.#blocks.delete(index)
    if (index === this.#blockIndex) this.#blockIndex = -1
  }
}
