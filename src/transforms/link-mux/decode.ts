/** Decodes the compact wire format (link-mux protocol, section 2). */
import { TruncatedError } from '../../errors.ts'
import { FrameSizeError } from '../length-codecs.ts'
import { ReassemblyBuffer } from '../reassembly-buffer.ts'
import { LinkMuxError } from './errors.ts'
import { FrameType, INCOMPLETE, MAX_REQUEST, MAX_VARINT, readVarint, sizeOf } from './varint.ts'
import type { MuxDecoder, MuxFrames } from './frame.ts'
import type { Batch } from '../../types.ts'

type Frames = MuxFrames<number, Uint8Array, Uint8Array>

/** Maximum bytes of the content of each type; data has its own. */
const LIMITS: readonly number[] = [MAX_VARINT + MAX_REQUEST, MAX_VARINT + MAX_REQUEST, MAX_VARINT + MAX_REQUEST, 0, MAX_VARINT, 0, MAX_VARINT]

const broken = (what: string): LinkMuxError => new LinkMuxError('ERR_MUX_PROTOCOL', what)

/** A frame inside one read is a view of it; one that spans reads is copied together once. */
export class CompactDecoder implements MuxDecoder<number, Uint8Array, Uint8Array, Uint8Array> {
  readonly #limits: readonly number[]
  readonly #credit: boolean
  readonly #held = new ReassemblyBuffer()
  /** Of the current frame: bytes of its header, 0 while it is incomplete; bytes of its content; its id and type. */
  #head = 0
  #size = 0
  #id = 0
  #type = 0
  #failure: Error | undefined

  /** @param credit windows are read; else links have no credit, whatever the other side offers */
  constructor (maxData: number, credit = true) {
    this.#limits = LIMITS.map((limit, type) => type === FrameType.DATA ? maxData : limit)
    this.#credit = credit
  }

  /** Bytes kept of an incomplete frame. */
  get held (): number { return this.#held.length }

  /**
   * @throws {LinkMuxError} `ERR_MUX_PROTOCOL` for an unknown type, an invalid number, or a content that does not fit its type
   * @throws {FrameSizeError} when a content is longer than its type allows, before anything of it is kept
   */
  push (batch: Batch, frames: Frames): void {
    if (this.#failure !== undefined) throw this.#failure
    try {
      for (const read of batch) this.#decode(read, frames)
    } catch (err) {
      this.#failure = err as Error
      throw err
    }
  }

  /** @throws {TruncatedError} inside a frame */
  end (): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#held.length > 0) throw new TruncatedError(`the connection ended ${this.#held.length} bytes into a frame`)
  }

  #decode (read: Uint8Array, frames: Frames): void {
    let at = 0
    while (at < read.length) {
      if (this.#held.length > 0) {
        at = this.#continue(read, at, frames)
      } else if (this.#measure(read, at) && at + this.#head + this.#size <= read.length) {
        const start = at + this.#head
        at = start + this.#size
        this.#pass(read, start, at, frames)
      } else {
        this.#held.append(read.subarray(at), this.#head === 0 ? 0 : this.#head + this.#size)
        return
      }
    }
  }

  /** Adds to the frame that began in an earlier read; returns the offset after what was taken. */
  #continue (read: Uint8Array, at: number, frames: Frames): number {
    const held = this.#held
    if (this.#head === 0) { // a header has few bytes
      held.append(read.subarray(at, at + 1))
      at++
      if (!this.#measure(held.peek(2 * MAX_VARINT), 0)) return at
    }
    const need = this.#head + this.#size
    const end = Math.min(read.length, at + need - held.length)
    if (end > at) held.append(read.subarray(at, end), need)
    if (held.length === need) {
      const whole = held.take()
      this.#pass(whole, this.#head, need, frames)
    }
    return end
  }

  /** Reads a header. False while it is incomplete. */
  #measure (bytes: Uint8Array, at: number): boolean {
    this.#head = 0
    const first = readVarint(bytes, at, bytes.length)
    if (first === INCOMPLETE) return false
    if (first < 0) throw broken('a header is not a number in its shortest form, of 32 bits')
    const type = first % 8
    const id = (first - type) / 8
    if (id === 0 || type >= this.#limits.length) throw broken(`frame type ${type} of link ${id}`)
    const next = at + sizeOf(first)
    const size = readVarint(bytes, next, bytes.length)
    if (size === INCOMPLETE) return false
    if (size < 0) throw broken('a length is not a number in its shortest form, of 32 bits')
    if (size > this.#limits[type]) throw new FrameSizeError(`a frame of type ${type} with ${size} bytes, limit ${this.#limits[type]}`)
    this.#head = next + sizeOf(size) - at
    this.#size = size
    this.#id = id
    this.#type = type
    return true
  }

  #pass (bytes: Uint8Array, start: number, end: number, frames: Frames): void {
    const id = this.#id
    const type = this.#type
    if (type === FrameType.DATA) {
      frames.data(id, bytes.subarray(start, end))
      return
    }
    if (type === FrameType.END) {
      frames.end(id)
      return
    }
    const field = readVarint(bytes, start, end)
    if (field < 0) throw broken(`a frame of type ${type} does not begin with a number`)
    const content = start + sizeOf(field)
    if (type === FrameType.WINDOW || type === FrameType.RESET) {
      if (content < end) throw broken(`a frame of type ${type} with ${end - content} bytes too many`)
      if (type === FrameType.WINDOW) frames.window(id, field)
      else frames.reset(id, field)
      return
    }
    if (end - content > MAX_REQUEST) throw new FrameSizeError(`a request or response of ${end - content} bytes, limit ${MAX_REQUEST}`)
    const body = Uint8Array.from(bytes.subarray(content, end)) // kept for long
    if (type === FrameType.REJECT) {
      frames.reject(id, field, body.length === 0 ? undefined : body)
      return
    }
    const window = field === 0 || !this.#credit ? undefined : field
    if (type === FrameType.OPEN) frames.open(id, body, window)
    else frames.accept(id, body, window)
  }
}
