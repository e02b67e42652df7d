/**
 * Takes cut frames out of the bytes of a client. No I/O.
 *
 * Some clients write without blocking and ignore how much of a frame was taken: when their send buffer is full, the frame ends
 * anywhere and the next one follows right behind. Its declared length then covers the head of the next frame, and what is read
 * as the header after it is some bytes from the middle of a payload.
 *
 * The frames here are still masked. What is looked at is unmasked byte by byte and left as it is.
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
  /** The largest payload in bytes, 125 to 65535: a larger one needs a form of length that is not read here. */
  maxPayload: number
  plausible: Plausible
  trusted: Trusted
  /** Frames are read again after so many bytes were taken out, those of the cut frame included. */
  onResync: (skippedBytes: number) => void
  /** Default: that of the system. */
  clock?: Clock
}

/** Bytes in which the next frame has to begin. */
const SEARCH = 4096

/** Bytes in front of a payload: 2, 2 of length, 4 of mask. */
const MAX_HEADER = 8

/** Bytes of an incomplete frame that are enough to see whether it is plausible. */
const PREFIX = 256

/** First bytes of whole messages: FIN, no reserved bit, opcode. */
const TEXT = 0x80 | Opcode.TEXT
const BINARY = 0x80 | Opcode.BINARY
const CLOSE = 0x80 | Opcode.CLOSE
const PONG = 0x80 | Opcode.PONG

/** A header that spans reads is put together here. */
const scratch = new Uint8Array(MAX_HEADER)

/**
 * Passes good frames on as views of the reads; only one that spans reads is a copy. Nothing of a read is kept.
 *
 * A failure is a header that cannot be (such clients never fragment), or an implausible frame with such a header behind it, or with
 * a trusted frame inside, or that is a close or no text. Then the frame before it is taken for the cut one, if it was not passed on by an
 * earlier call, and the next frame is searched behind that one's first byte: in its payload, when it was cut there, or in the bogus
 * header that the beginnings of two frames have made. An implausible frame alone is no failure: newer clients may send it.
 *
 * A cut frame that happens to end where another frame ends cannot be told from a good one here.
 */
export class FrameResync {
  readonly #maxPayload: number
  readonly #plausible: Plausible
  readonly #trusted: Trusted
  readonly #onResync: (skippedBytes: number) => void
  readonly #recoveries: Recoveries
  #gaveUp: string | undefined
  /** The start of a frame that spans reads, and how many bytes that frame has; 0 while its header is cut. */
  readonly #held = new ReassemblyBuffer()
  #need = 0
  /** What is held is a doubtful frame and the one before it, or what is searched: to be looked at together with the next read. */
  #isDoubtful = false
  /** Where the search goes on in what is held; 0 when nothing is searched. */
  #searchAt = 0
  /** Bytes of the last frame that this call passes on: the end of the last element of its result. */
  #last = 0
  // The header that was read last.
  #opcode = 0
  #size = 0

  /** Throws `OptionError` for a limit that cannot be. */
  constructor ({ maxPayload, plausible, trusted, onResync, clock = systemClock }: FrameResyncInit) {
    if (!Number.isSafeInteger(maxPayload) || maxPayload < MAX_CONTROL_PAYLOAD || maxPayload > 0xffff) throw new OptionError(`maxPayload: ${maxPayload} bytes, ${MAX_CONTROL_PAYLOAD} to 65535`)
    this.#maxPayload = maxPayload
    this.#plausible = plausible
    this.#trusted = trusted
    this.#onResync = onResync
    this.#recoveries = new Recoveries(clock)
  }

  /** Bytes that were neither passed on nor taken out yet: at most two frames, or while it searches 4096 bytes and one frame. */
  get held (): number { return this.#held.length }

  /** Why everything is passed on unchanged from now on, the bytes that were held included, for the decoder to name the fault. */
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

  /** From frame to frame; `at` is where one begins. */
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

  /** Adds to the frame that the last read left unfinished. Returns where the rest of this read begins. */
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
   * Reads a frame's header, RFC 6455 section 5.2.
   *
   * @returns the header's length, 0 when it is cut, -1 when it is none of a whole message of this client
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

  /** Of the frame at `at`, whose header was read last. */
  #isPlausible (bytes: Uint8Array, at: number, head: number, end: number): boolean {
    const size = this.#size
    at += head
    return this.#plausible(this.#opcode, bytes, at, Math.min(size, end - at), size, keyBefore(bytes, at))
  }

  /**
   * Whether the implausible frame at `at`, whose header was read last, comes from a cut one.
   *
   * @param from where the frames before it begin in `bytes`
   */
  #isBroken (bytes: Uint8Array, from: number, at: number, head: number): boolean {
    // The decoder would end the connection over what is no text or no close code.
    const next = at + head + this.#size
    if (this.#opcode === Opcode.CLOSE || (this.#opcode === Opcode.TEXT && !isTextAt(bytes, at + head, next))) return true
    const before = at > from ? this.#last : 0
    return this.#header(bytes, next, bytes.length) < 0 || this.#find(bytes, at - before + 1, Math.min(next, bytes.length)) > 0
  }

  /** Takes back the last frame that this call was to pass on, if there is one. Returns a copy of that and of these bytes behind it. */
  #withdraw (bytes: Uint8Array, out: Uint8Array[]): Uint8Array {
    if (this.#last === 0) return Buffer.concat([bytes])
    const piece = out.pop() as Uint8Array
    const kept = piece.length - this.#last
    this.#last = 0
    pass(piece, 0, kept, out)
    return Buffer.concat([piece.subarray(kept), bytes])
  }

  /**
   * Looks for the next frame in all that is in hand, whose first byte is that of the cut frame.
   *
   * @returns where it begins; -1 when that takes more bytes, or when it has given up
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

  /** Where the first trusted frame begins, `from` > 0 up to `to`; or the complement of where one may begin that takes more bytes, or of `to`. */
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
