/** Decodes WebSocket messages (RFC 6455, sections 5.2 to 5.6). No I/O. */
import { isUtf8 } from 'node:buffer'
import { ReassemblyBuffer } from '../reassembly-buffer.ts'
import { closeOf } from './close-payload.ts'
import { DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_PAYLOAD, verifyFrames, type FrameDecoderInit, type FrameHandlers, type Tolerance } from './decoder-init.ts'
import { applyMask, maskWayOf, type MaskWay } from './mask.ts'
import { CloseCode, MAX_CONTROL_PAYLOAD, Opcode, WebSocketProtocolError } from './protocol.ts'
import { TruncatedError } from '../../errors.ts'
import type { Batch, Core } from '../../types.ts'

const hex = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`

const NOTHING: Batch = []

/** The first byte of an unfragmented binary message: the only frame without further checks, as nearly all are such. */
const WHOLE_BINARY = 0x80 | Opcode.BINARY

/** Maximum bytes of a header: 2, up to 8 of length, 4 of mask. */
const MAX_HEADER = 14

// Out of the methods for each frame: V8 inlines only short ones.
const notShortest = (size: number, bytes: number): WebSocketProtocolError => new WebSocketProtocolError(`a length of ${size} in ${bytes} bytes, expected in its shortest form`)

/** The length of 8 bytes at `at`. @throws {WebSocketProtocolError} */
function longLength (bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8)
  if (view.getUint32(0) >= 0x8000_0000) throw new WebSocketProtocolError('the highest bit of a length of 8 bytes is set, expected 0')
  const size = view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4) // a product: shifts have 32 bits
  if (size < 0x1_0000) throw notShortest(size, 8)
  return size
}

/**
 * A binary message inside one read is a view of it, unmasked in place. A frame that spans reads is joined once.
 *
 * When the input breaks the protocol, the messages before the error are returned and `failure` is set; the next call throws it.
 */
export class FrameDecoder implements Core {
  readonly #masked: boolean
  #maxPayload: number
  readonly #maxFragments: number
  readonly #tolerate: Tolerance
  readonly #handlers: FrameHandlers
  /** The start of a frame that spans reads, and the bytes of that frame; 0 while its header is incomplete. */
  readonly #held = new ReassemblyBuffer()
  #need = 0
  /** The fragments of an unfinished message. */
  readonly #fragments = new ReassemblyBuffer()
  #fragmentCount = 0
  #message: number = Opcode.CONTINUATION
  #closed = false
  #failure: WebSocketProtocolError | undefined
  /** Frames decoded so far, and the number that the current call may still decode. */
  #frames = 0
  #left = 0
  #rest: Batch = []
  /** Bytes of all earlier reads, and the offset of the current frame in this one. */
  #before = 0
  #at = 0
  // The last header.
  #first = 0
  #size = 0
  #key = 0
  #hasKey = false

  constructor (init: FrameDecoderInit, handlers: FrameHandlers = {}) {
    verifyFrames(init)
    const { role, maxPayload = DEFAULT_MAX_PAYLOAD, maxFragments = DEFAULT_MAX_FRAGMENTS, tolerate = {} } = init
    this.#masked = role === 'server'
    this.#maxPayload = maxPayload
    this.#maxFragments = maxFragments
    this.#tolerate = tolerate
    this.#handlers = handlers
  }

  /** The error in the input, if there was one. */
  get failure (): WebSocketProtocolError | undefined { return this.#failure }

  /** Bytes held of an unfinished frame or message. */
  get held (): number { return this.#held.length + this.#fragments.length }

  /** Memory used for them. */
  get capacity (): number { return this.#held.capacity + this.#fragments.capacity }

  /** Bytes that the current frame still needs, 0 between frames; undefined inside a header or a fragmented message. */
  get bytesLeft (): number | undefined {
    if (this.#message !== Opcode.CONTINUATION) return undefined
    if (this.#held.length === 0) return 0
    return this.#need > 0 ? this.#need - this.#held.length : undefined
  }

  /** Frames decoded since the start, control frames included. */
  get frames (): number { return this.#frames }

  /** The reads that the last call has left, for the next call. */
  get rest (): Batch { return this.#rest }

  /** Drops `rest`. */
  discardRest (): void { this.#rest = NOTHING }

  /** @param limit maximum number of frames to decode; what is left is `rest` */
  push (reads: Batch, limit = 0x7fff_ffff): Batch {
    if (this.#failure !== undefined) throw this.#failure
    const out: Batch = []
    this.#rest = NOTHING
    this.#left = limit
    try {
      for (let i = 0; i < reads.length; i++) {
        const read = reads[i]
        const at = this.#scan(read, out)
        this.#before += at
        if (at === read.length) continue
        this.#rest = [read.subarray(at), ...reads.slice(i + 1)]
        break
      }
    } catch (err) {
      if (!(err instanceof WebSocketProtocolError)) throw err
      err.message += `, in the frame at byte ${this.#before + this.#at} of the stream`
      this.#failure = err
    }
    return out
  }

  /** Sets the maximum bytes of a message, from the next frame on. @throws {OptionError} when it is out of range */
  limitPayload (maxPayload: number): void {
    verifyFrames({ maxPayload })
    this.#maxPayload = maxPayload
  }

  /** Accounts for bytes of the stream that were removed before the next read. */
  skip (bytes: number): void { this.#before += bytes }

  /** @throws {TruncatedError} when the stream ended inside a frame or a fragmented message */
  end (): void {
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#closed && (this.#held.length > 0 || this.#message !== Opcode.CONTINUATION)) throw new TruncatedError('the stream ended inside a WebSocket message')
  }

  /** Returns the offset where it has stopped. */
  #scan (read: Uint8Array, out: Batch): number {
    const end = read.length
    this.#at = -this.#held.length
    let at = this.#held.length > 0 ? this.#resume(read, out) : 0
    if (at === end || this.#closed) return end
    const way = maskWayOf(read)
    while (at < end && !this.#closed) {
      if (this.#left === 0) return at
      this.#at = at
      const head = this.#header(read, at, end)
      if (head === 0 || end - at < head + this.#size) {
        this.#need = head === 0 ? 0 : head + this.#size
        this.#held.append(read.subarray(at, end), this.#need)
        return end
      }
      at += head
      this.#frame(read, at, at + this.#size, way, out)
      at += this.#size
    }
    return end
  }

  /** Continues the frame that the last read left unfinished. Returns the offset of the rest of this read. */
  #resume (read: Uint8Array, out: Batch): number {
    const held = this.#held
    let at = 0
    if (this.#need === 0) {
      const known = held.length
      held.append(read.subarray(0, MAX_HEADER - known))
      const start = held.peek(MAX_HEADER)
      const head = this.#header(start, 0, start.length)
      if (head === 0) return read.length // still incomplete, so all of this short read is header
      this.#need = head + this.#size
      if (held.length > this.#need) { // a short frame: the longest header took bytes of the next frame
        at = this.#need - known
        held.take()
        this.#frame(start, head, this.#need, maskWayOf(start), out)
        return at
      }
      at = Math.min(read.length, MAX_HEADER - known)
    }
    const part = read.subarray(at, at + this.#need - held.length)
    if (part.length > 0) held.append(part, this.#need)
    if (held.length === this.#need) {
      const frame = held.take()
      this.#frame(frame, this.#header(frame, 0, frame.length), frame.length, maskWayOf(frame), out)
    }
    return at + part.length
  }

  /**
   * Reads and checks a frame header (section 5.2); its size is checked before any payload is kept.
   *
   * @returns bytes of the header, 0 when it is incomplete
   */
  #header (bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 2) return 0
    const first = bytes[at]
    const second = bytes[at + 1]
    const hasKey = second >= 0x80
    let size = second & 0x7f
    let head = 2
    if (size === 126) {
      if (end - at < 4) return 0
      size = bytes[at + 2] << 8 | bytes[at + 3]
      if (size < 126) throw notShortest(size, 2)
      head = 4
    } else if (size === 127) {
      if (end - at < 10) return 0
      size = longLength(bytes, at + 2)
      head = 10
    }
    if (first !== WHOLE_BINARY || hasKey !== this.#masked || size > this.#maxPayload || this.#message !== Opcode.CONTINUATION) this.#check(first, size, hasKey)
    if (hasKey) {
      if (end - at < head + 4) return 0
      this.#key = bytes[at + head] << 24 | bytes[at + head + 1] << 16 | bytes[at + head + 2] << 8 | bytes[at + head + 3]
      head += 4
    }
    this.#first = first
    this.#size = size
    this.#hasKey = hasKey
    return head
  }

  #check (first: number, size: number, hasKey: boolean): void {
    if (hasKey !== this.#masked) {
      if (hasKey) throw new WebSocketProtocolError('a frame with a mask, a server must not mask')
      if (this.#tolerate.unmasked !== true) throw new WebSocketProtocolError('a frame without a mask, a client must mask')
    }
    if ((first & 0x70) !== 0) throw new WebSocketProtocolError(`a reserved bit is set (first byte ${hex(first)}), expected none without an extension`)
    const opcode = first & 0x0f
    if (opcode >= Opcode.CLOSE) {
      if (opcode > Opcode.PONG) throw new WebSocketProtocolError(`unknown opcode ${opcode}, expected 0 to 2 or 8 to 10`)
      if (first < 0x80) throw new WebSocketProtocolError(`a control frame is fragmented (first byte ${hex(first)}), expected in one piece`)
      if (size <= MAX_CONTROL_PAYLOAD) return
      if (this.#tolerate.longControl !== true) throw new WebSocketProtocolError(`a control frame carries ${size} bytes, at most ${MAX_CONTROL_PAYLOAD}`)
      if (size > this.#maxPayload) throw new WebSocketProtocolError(`a control frame carries ${size} bytes, at most ${this.#maxPayload}`, CloseCode.TOO_BIG)
      return
    }
    if (opcode > Opcode.BINARY) throw new WebSocketProtocolError(`unknown opcode ${opcode}, expected 0 to 2 or 8 to 10`)
    if (opcode === Opcode.CONTINUATION && this.#message === Opcode.CONTINUATION) throw new WebSocketProtocolError('a continuation of nothing, expected the beginning of a message')
    if (opcode !== Opcode.CONTINUATION && this.#message !== Opcode.CONTINUATION) throw new WebSocketProtocolError('a new message inside a fragmented one, expected a continuation')
    if (opcode === Opcode.TEXT && this.#handlers.onText === undefined) throw new WebSocketProtocolError('a text message, expected a binary one', CloseCode.UNSUPPORTED_DATA)
    const total = this.#fragments.length + size
    if (total > this.#maxPayload) throw new WebSocketProtocolError(`a message of ${total} bytes or more, at most ${this.#maxPayload}`, CloseCode.TOO_BIG)
  }

  #frame (bytes: Uint8Array, from: number, to: number, way: MaskWay, out: Batch): void {
    this.#frames++
    this.#left--
    if (this.#hasKey && this.#key !== 0) applyMask(bytes, from, to, this.#key, way)
    const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from)
    const opcode = this.#first & 0x0f
    if (opcode === Opcode.BINARY && this.#first >= 0x80) out.push(payload)
    else if (opcode >= Opcode.CLOSE) this.#control(opcode, payload)
    else if (opcode === Opcode.TEXT && this.#first >= 0x80) this.#text(payload)
    else this.#fragment(opcode, payload, out)
  }

  #fragment (opcode: number, payload: Uint8Array, out: Batch): void {
    if (opcode !== Opcode.CONTINUATION) this.#message = opcode
    if (++this.#fragmentCount > this.#maxFragments) throw new WebSocketProtocolError(`a message of more than ${this.#maxFragments} fragments`, CloseCode.POLICY_VIOLATION)
    this.#fragments.append(payload)
    if (this.#first < 0x80) return
    const whole = this.#fragments.take()
    const isText = this.#message === Opcode.TEXT
    this.#message = Opcode.CONTINUATION
    this.#fragmentCount = 0
    if (isText) this.#text(whole)
    else out.push(whole)
  }

  #text (payload: Uint8Array): void {
    if (!isUtf8(payload)) throw new WebSocketProtocolError('text is not UTF-8', CloseCode.INVALID_DATA)
    this.#handlers.onText?.(payload)
  }

  #control (opcode: number, payload: Uint8Array): void {
    if (opcode === Opcode.PING) this.#handlers.onPing?.(payload)
    else if (opcode === Opcode.PONG) this.#handlers.onPong?.(payload)
    else {
      const { code, reason } = closeOf(payload, this.#tolerate.rawClose === true)
      this.#closed = true
      this.#handlers.onClose?.(code, reason)
    }
  }
}
