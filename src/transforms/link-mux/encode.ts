/** Encodes the compact wire format (link-mux protocol, section 2). */
import { FrameSizeError } from '../length-codecs.ts'
import { FrameType, MAX_FIELD, MAX_REQUEST, MAX_VARINT, sizeOf, writeVarint } from './varint.ts'
import type { MuxEncoder } from './frame.ts'
import type { Batch } from '../../types.ts'

/** Bytes from which data is passed on as it is, not copied into the buffer of the headers. */
const LARGE = 2048

const HEAD = 2 * MAX_VARINT
const SMALLEST_BLOCK = 256
const LARGEST_BLOCK = 16 << 10
const NOTHING = new Uint8Array(0)

/** Frames of one `take` share buffers: one for all headers and small contents, unless there are many. */
export class CompactEncoder implements MuxEncoder<number, Uint8Array, Uint8Array, Uint8Array> {
  readonly #credit: boolean
  #out: Batch = []
  #block: Uint8Array = NOTHING
  /** The bytes of the block from here on are not in `#out` yet. */
  #from = 0
  #used = 0
  /** Bytes that the last `take` needed in blocks. */
  #usual = 0
  #total = 0

  /** @param credit windows are written; else each is 0, for links without credit */
  constructor (credit = true) { this.#credit = credit }

  /** @throws {FrameSizeError} when the request is longer than 4096 bytes; nothing is encoded then */
  open (id: number, request: Uint8Array, window: number | undefined): void { this.#content(id, FrameType.OPEN, this.#windowOf(window), request) }

  /** @throws {FrameSizeError} as `open` */
  accept (id: number, response: Uint8Array, window: number | undefined): void { this.#content(id, FrameType.ACCEPT, this.#windowOf(window), response) }

  /** @throws {FrameSizeError} as `open` */
  reject (id: number, code: number, response: Uint8Array = NOTHING): void { this.#content(id, FrameType.REJECT, code, response) }

  data (id: number, bytes: Uint8Array): void {
    const isLarge = bytes.length >= LARGE
    this.#head(id, FrameType.DATA, bytes.length, isLarge ? 0 : bytes.length)
    if (isLarge) {
      this.#cut()
      this.#out.push(bytes)
    } else {
      this.#block.set(bytes, this.#used)
      this.#used += bytes.length
    }
  }

  window (id: number, bytes: number): void { this.#number(id, FrameType.WINDOW, bytes) }

  end (id: number): void { this.#head(id, FrameType.END, 0, 0) }

  reset (id: number, code: number): void { this.#number(id, FrameType.RESET, code) }

  take (): Batch {
    this.#cut()
    const out = this.#out
    this.#out = []
    this.#block = NOTHING
    this.#from = this.#used = 0
    this.#usual = this.#total
    this.#total = 0
    return out
  }

  #windowOf (window: number | undefined): number { return this.#credit ? window ?? 0 : 0 }

  #content (id: number, type: number, field: number, content: Uint8Array): void {
    if (content.length > MAX_REQUEST) throw new FrameSizeError(`a request or response of ${content.length} bytes, limit ${MAX_REQUEST}`)
    const size = sizeOf(field) + content.length
    this.#head(id, type, size, size)
    this.#used = writeVarint(field, this.#block, this.#used)
    this.#block.set(content, this.#used)
    this.#used += content.length
  }

  #number (id: number, type: number, value: number): void {
    const field = Math.min(value, MAX_FIELD)
    const size = sizeOf(field)
    this.#head(id, type, size, size)
    this.#used = writeVarint(field, this.#block, this.#used)
  }

  /** Writes a header; `room` bytes behind it are in the same block. */
  #head (id: number, type: number, length: number, room: number): void {
    const need = HEAD + room
    if (this.#block.length - this.#used < need) {
      this.#cut()
      const size = Math.min(LARGEST_BLOCK, Math.max(SMALLEST_BLOCK, this.#usual, 2 * this.#block.length))
      this.#block = Buffer.allocUnsafe(Math.max(size, need)) // small ones share memory, for as long as a write takes
      this.#from = this.#used = 0
    }
    const start = this.#used
    this.#used = writeVarint(length, this.#block, writeVarint(id * 8 + type, this.#block, start))
    this.#total += this.#used - start + room
  }

  /** What was written so far becomes an element. */
  #cut (): void {
    if (this.#used > this.#from) this.#out.push(this.#block.subarray(this.#from, this.#used))
    this.#from = this.#used
  }
}
