/**
 * Removes truncated frames from the bytes of a client. No I/O.
 *
 * Some clients write without blocking and ignore partial writes: when their send buffer is full, a frame ends anywhere, and the next frame
 * follows at once. Its declared length then covers the head of the next frame, and the bytes read as the header after it come from the
 * middle of a payload.
 *
 * The frames are still masked here. Payloads are unmasked byte by byte to look at them, and not changed.
 */
import { ReassemblyBuffer } from '../reassembly-buffer.ts'
import { OptionError } from '../../errors.ts'
import { isTextAt, keyBefore } from './masked-payload.ts'
import type { Plausible, Trusted } from './plausible.ts'
import { MAX_CONTROL_PAYLOAD, Opcode } from './protocol.ts'
import { MAX_RECOVERIES, Recoveries } from './recoveries.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Clock } from '../../types.ts'

export interface FrameResyncInit {
  /** Maximum bytes of a payload, 125 to 65535: the 64-bit form of the length is not read here. */
  maxPayload: number
  plausible: Plausible
  trusted: Trusted
  /** Called when frames are in sync again, with the number of bytes removed, those of the truncated frame included. */
  onResync: (skippedBytes: number) => void
  /** Default: that of the system. */
  clock?: Clock
}

/** Maximum bytes to search for the next frame. */
const SEARCH = 4096

/** Maximum bytes of a header: 2, 2 of length, 4 of mask. */
const MAX_HEADER = 8

/** Bytes of an incomplete frame that are enough to judge whether it is plausible. */
const PREFIX = 256

/** First bytes of unfragmented messages: FIN, no reserved bit, opcode. */
const TEXT = 0x80 | Opcode.TEXT
const BINARY = 0x80 | Opcode.BINARY
const CLOSE = 0x80 | Opcode.CLOSE
const PONG = 0x80 | Opcode.PONG

/** A header that spans reads is assembled here. */
const scratch = new Uint8Array(MAX_HEADER)

/**
 * Returns good frames as views of the reads; only one that spans reads is a copy. No read is kept.
 *
 * Out of sync is: an invalid header (such clients never fragment), or an implausible frame with an invalid header after it, or with a
 * trusted frame inside, or that is a close or invalid text. Then the frame before it is taken for the truncated one, unless an earlier call
 * has returned it, and the next frame is searched after the first byte of that one: in its payload, when it was truncated there, or in the
 * bogus header that the beginnings of two frames have made. An implausible frame alone is accepted: newer clients may send it.
 *
 * A truncated frame that happens to end where another frame ends cannot be told from a good one here.
 */
export class FrameResync {
  readonly #maxPayload: number
  readonly #plausible: Plausible
  readonly #trusted: Trusted
  readonly #onResync: (skippedBytes: number) => void
  readonly #recoveries: Recoveries
  #gaveUp: string | undefined
  /** The start of a frame that spans reads, and the bytes of that frame; 0 while its header is incomplete. */
  readonly #held = new ReassemblyBuffer()
  #need = 0
  /** `#held` has a doubtful frame and the one before it, or bytes to search: to be judged together with the next read. */
  #isDoubtful = false
  /** Offset in `#held` where the search continues; 0 when there is none. */
  #searchAt = 0
  /** Bytes of the last frame that this call returns: the end of the last element of its result. */
  #last = 0
  // The last header.
  #opcode = 0
  #size = 0

  /** @throws {OptionError} when `maxPayload` is out of range */
  constructor ({ maxPayload, plausible, trusted, onResync, clock = systemClock }: FrameResyncInit) {
    if (!Number.isSafeInteger(maxPayload) || maxPayload < MAX_CONTROL_PAYLOAD || maxPayload > 0xffff) throw new OptionError(`maxPayload: ${maxPayload} bytes, ${MAX_CONTROL_PAYLOAD} to 65535`)
    this.#maxPayload = maxPayload
    this.#plausible = plausible
    this.#trusted = trusted
    this.#onResync = onResync
    this.#recoveries = new Recoveries(clock)
  }

  /** Bytes held back: at most two frames, or during a search 4096 bytes and one frame. */
  get held (): number { return this.#held.length }

  /** The reason why everything is returned unchanged from now on, with the bytes held back, so that the decoder reports the error. */
  get gaveUp (): string | undefined { return this.#gaveUp }

  push (reads: Uint8Array[]): Uint8Array[] {
    if (this.#gaveUp !== undefined) return reads
    const out: Uint8Array[] = []
    this.#last = 0
    for (const read of reads) {
      if (this.#gaveUp !== undefined) out.push(read)
      else this.#scan(read, out)
    }
    return out
  }

  #scan (read: Uint8Array, out: Uint8Array[]): void {
    let at = this.#held.length > 0 && !this.#isDoubtful ? this.#resume(read, out) : 0
    if (this.#isDoubtful) {
      read = Buffer.concat([this.#held.take(), read.subarray(at)])
      this.#isDoubtful = false
      at = this.#searchAt > 0 ? this.#search(read, this.#searchAt, out) : 0
    }
    if (at >= 0) this.#walk(read, at, out)
  }

  /** Processes frames from `at` on, where one begins. */
  #walk (bytes: Uint8Array, at: number, out: Uint8Array[]): void {
    let from = at
    while (at < bytes.length) {
      const end = bytes.length
      const head = this.#header(bytes, at, end)
      const length = head + this.#size
      const isGood = head === 0 || (head > 0 && this.#isPlausible(bytes, at, head, end))
      if (isGood || (head > 0 && !this.#isBroken(bytes, from, at, head))) {
        if (head > 0 && length <= end - at) {
          this.#last = length
          at += length
          continue
        }
        pass(bytes, from, at, out)
        this.#need = head === 0 ? 0 : length
        this.#isDoubtful = !isGood
        this.#held.append(isGood ? bytes.subarray(at) : this.#withdraw(bytes.subarray(at), out), this.#need)
        return
      }
      pass(bytes, from, at, out)
      bytes = this.#withdraw(bytes.subarray(at), out)
      from = at = this.#search(bytes, 1, out)
      if (at < 0) return
    }
    pass(bytes, from, at, out)
  }

  /** Continues the frame that the last read left unfinished. Returns the offset of the rest of this read. */
  #resume (read: Uint8Array, out: Uint8Array[]): number {
    const held = this.#held
    const known = held.length
    if (this.#need === 0) {
      scratch.set(held.peek(MAX_HEADER))
      scratch.set(read.subarray(0, MAX_HEADER - known), known)
      const head = this.#header(scratch, 0, Math.min(MAX_HEADER, known + read.length))
      if (head === 0) held.append(read)
      if (head === 0) return read.length
      this.#isDoubtful = head < 0
      if (head < 0) return 0
      this.#need = head + this.#size
    }
    const part = read.subarray(0, this.#need - known)
    held.append(part, this.#need)
    const isWhole = held.length === this.#need
    const frame = isWhole ? held.take() : held.peek(PREFIX)
    const isGood = this.#isPlausible(frame, 0, this.#header(frame, 0, frame.length), frame.length)
    if (isWhole && isGood) {
      out.push(frame)
      this.#last = frame.length
    } else if (!isGood) {
      if (isWhole) held.append(frame, frame.length)
      this.#isDoubtful = true
    }
    return part.length
  }

  /**
   * Reads a frame header (RFC 6455, section 5.2).
   *
   * @returns bytes of the header, 0 when it is incomplete, -1 when it is invalid for an unfragmented message of this client
   */
  #header (bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) return 0
    const first = bytes[at]
    if (first !== BINARY && first !== TEXT && (first < CLOSE || first > PONG)) return -1
    if (end - at < 2) return 0
    const second = bytes[at + 1]
    if (second < 0x80) return -1
    let size = second & 0x7f
    let head = 6
    if (size > MAX_CONTROL_PAYLOAD) {
      if (size === 127 || first > BINARY) return -1
      if (end - at < 4) return 0
      size = bytes[at + 2] << 8 | bytes[at + 3]
      if (size < 126 || size > this.#maxPayload) return -1
      head = 8
    }
    if (end - at < head) return 0
    this.#opcode = first & 0x0f
    this.#size = size
    return head
  }

  /** For the frame at `at`, with the last header. */
  #isPlausible (bytes: Uint8Array, at: number, head: number, end: number): boolean {
    const size = this.#size
    at += head
    return this.#plausible(this.#opcode, bytes, at, Math.min(size, end - at), size, keyBefore(bytes, at))
  }

  /**
   * Whether the implausible frame at `at`, with the last header, comes from a truncated one.
   *
   * @param from offset of the first frame before it in `bytes`
   */
  #isBroken (bytes: Uint8Array, from: number, at: number, head: number): boolean {
    // The decoder would end the connection for invalid text or an invalid close code.
    const next = at + head + this.#size
    if (this.#opcode === Opcode.CLOSE || (this.#opcode === Opcode.TEXT && !isTextAt(bytes, at + head, next))) return true
    const before = at > from ? this.#last : 0
    return this.#header(bytes, next, bytes.length) < 0 || this.#find(bytes, at - before + 1, Math.min(next, bytes.length)) > 0
  }

  /** Takes back the last frame that this call would return, if any. Returns a copy of it and of the bytes after it. */
  #withdraw (bytes: Uint8Array, out: Uint8Array[]): Uint8Array {
    if (this.#last === 0) return Buffer.concat([bytes])
    const piece = out.pop() as Uint8Array
    const kept = piece.length - this.#last
    this.#last = 0
    pass(piece, 0, kept, out)
    return Buffer.concat([piece.subarray(kept), bytes])
  }

  /**
   * Searches the next frame in all bytes held; the first byte is that of the truncated frame.
   *
   * @returns its offset; -1 when more bytes are needed, or when it has given up
   */
  #search (bytes: Uint8Array, from: number, out: Uint8Array[]): number {
    this.#searchAt = 0
    const found = this.#find(bytes, from, Math.min(bytes.length, 1 + SEARCH))
    if (found < 0 && ~found <= SEARCH) {
      this.#searchAt = ~found
      this.#isDoubtful = true
      this.#held.append(bytes)
      return -1
    }
    if (found < 0) this.#gaveUp = `no frame in the ${SEARCH} bytes behind one that was cut`
    else if (!this.#recoveries.take()) this.#gaveUp = `more than ${MAX_RECOVERIES} cut frames in a minute`
    if (this.#gaveUp !== undefined) {
      out.push(bytes)
      return -1
    }
    this.#onResync(found)
    return found
  }

  /**
   * The offset of the first trusted frame, from `from` > 0 up to `to`; or the complement of the offset where one may begin that needs more
   * bytes, or of `to`.
   */
  #find (bytes: Uint8Array, from: number, to: number): number {
    const end = bytes.length
    for (let at = from; at < to; at++) {
      if (bytes[at] !== BINARY) continue
      const head = this.#header(bytes, at, end)
      if (head === 0) return ~at
      if (head < 0) continue
      const have = Math.min(this.#size, end - at - head)
      const isTrusted = this.#trusted(bytes, at + head, have, this.#size, keyBefore(bytes, at + head))
      if (isTrusted === true) return at
      if (isTrusted === undefined && have < this.#size) return ~at
    }
    return ~to
  }
}

function pass (bytes: Uint8Array, from: number, to: number, out: Uint8Array[]): void {
  if (from < to) out.push(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to))
}
