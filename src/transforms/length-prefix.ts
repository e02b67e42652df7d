/**
 * Length-prefixed frames, for bulk data.
 *
 * ```ts
 * const messages = over(link, lengthPrefix(u16be, { adjust: 4 })) // each element is one frame
 * ```
 */
import { TruncatedError } from '../errors.ts'
import { codec } from '../layer.ts'
import type { Batch, Core, Layer } from '../types.ts'
import { FailFastDecoder } from './fail-fast-decoder.ts'
import { MAX_LENGTH_BYTES, frameCodec, type LengthCodec, type LengthPrefixInit } from './length-codecs.ts'
import { ReassemblyBuffer } from './reassembly-buffer.ts'

/**
 * Decodes frames. A frame inside one read is a view of it; one that spans reads is copied together once, when complete. A length beyond
 * `maxFrame` is its `failure`, `ERR_FRAME_SIZE`, before anything of that frame is kept.
 */
export class LengthPrefixDecoder extends FailFastDecoder {
  readonly memory = 'passes'
  readonly #held = new ReassemblyBuffer()
  /** Bytes of the current frame, length included; while the length is incomplete, as many as may complete it. */
  #need = 0
  /** Bytes of its length; 0 while that is incomplete. */
  #head = 0
  readonly #length
  readonly #keepLength: boolean

  constructor (make: LengthCodec, init?: LengthPrefixInit) {
    super()
    this.#length = frameCodec(make, init).lengthDecoder
    this.#keepLength = init?.keepLength ?? false
  }

  /** Bytes kept of an incomplete frame: at most its length and `maxFrame`. */
  get held (): number { return this.#held.length }

  /** Memory used for them: up to four times as many bytes, or 2 KiB more. */
  get capacity (): number { return this.#held.capacity }

  /** A copy of the first bytes of the current frame, up to the maximum of a length. */
  get head (): Uint8Array { return Uint8Array.from(this.#held.peek(MAX_LENGTH_BYTES)) }

  /**
   * Decodes one frame and nothing after it, for a stream that goes on in another format.
   *
   * @returns the frame and the rest of the read; undefined when the read is used up
   * @throws {FrameSizeError} when the frame is larger than `maxFrame`, and at each later call
   */
  next (read: Uint8Array): { frame: Uint8Array, rest: Uint8Array } | undefined {
    return this.attempt(() => {
      const out: Batch = []
      const at = this.#walk(read, out, 1)
      return out.length > 0 ? { frame: out[0], rest: read.subarray(at) } : undefined
    })
  }

  protected override decode (read: Uint8Array, out: Batch): void { this.#walk(read, out, Infinity) }

  /** Decodes frames until there are `most`, or the read is used up. Returns the offset of the next frame, or the end of the read. */
  #walk (read: Uint8Array, out: Batch, most: number): number {
    let at = 0
    while (at < read.length && out.length < most) {
      const held = this.#held.length
      if (held === 0) this.#measure(read, at)
      const end = at + this.#need - held
      if (held === 0 && end <= read.length) {
        out.push(read.subarray(this.#keepLength ? at : at + this.#head, end))
      } else {
        this.#hold(read.subarray(at, end), out)
      }
      at = end
    }
    return at
  }

  /** @throws `failure`, or `ERR_TRUNCATED` inside a frame */
  override end (): void {
    super.end()
    if (this.#held.length > 0) throw new TruncatedError(`stream ended ${this.#held.length} bytes into a frame`)
  }

  #hold (part: Uint8Array, out: Batch): void {
    this.#held.append(part, this.#need)
    if (this.#held.length < this.#need) return
    if (this.#head === 0) {
      this.#measure(this.#held.peek(MAX_LENGTH_BYTES), 0)
      if (this.#held.length < this.#need) return
    }
    out.push(this.#held.take().subarray(this.#keepLength ? 0 : this.#head))
  }

  #measure (bytes: Uint8Array, at: number): void {
    const there = bytes.length - at
    this.#head = 0
    this.#need = this.#length.width(bytes, at)
    if (this.#need > there) return
    try {
      const size = this.#length(bytes, at)
      this.#head = this.#length.bytes
      this.#need = this.#head + size
    } catch (err) {
      if (!(err instanceof RangeError)) throw err
      this.#need = there + 1 // a codec without `width`: try again with each byte
    }
  }
}

/** Bytes of the elements below, unless one frame is larger: layers of messages may be below, such as WebSocket with its limit of a message. */
const MAX_ELEMENT = 65536

/**
 * Prefixes each frame with its length. The frames of a batch share buffers of up to 64 KiB: there is one write below, and no element is larger
 * that need not be.
 */
export class LengthPrefixEncoder implements Core<Uint8Array, Uint8Array> {
  readonly memory = 'copies'
  readonly #length

  constructor (make: LengthCodec, init?: LengthPrefixInit) {
    this.#length = frameCodec(make, init).lengthEncoder
  }

  /** @throws {FrameSizeError} when a frame is larger than `maxFrame` or than its length field allows; then nothing of the batch is sent */
  push (batch: Batch): Batch {
    const out: Batch = []
    let first = 0
    let size = 0
    for (let i = 0; i < batch.length; i++) {
      const bytes = MAX_LENGTH_BYTES + batch[i].length
      if (i > first && size + bytes > MAX_ELEMENT) {
        out.push(this.#join(batch, first, i, size))
        first = i
        size = 0
      }
      size += bytes
    }
    if (first < batch.length) out.push(this.#join(batch, first, batch.length, size))
    return out
  }

  #join (batch: Batch, from: number, to: number, size: number): Uint8Array {
    const out = Buffer.allocUnsafe(size)
    let at = 0
    for (let i = from; i < to; i++) {
      const frame = batch[i]
      at = this.#length.write(frame.length, out, at)
      out.set(frame, at)
      at += frame.length
    }
    return out.subarray(0, at)
  }
}

/**
 * The layer: reads below, frames above.
 *
 * @throws {OptionError} when an option is out of range
 */
export function lengthPrefix (make: LengthCodec, init?: LengthPrefixInit): Layer {
  frameCodec(make, init) // checks the options now rather than at the first link
  return codec(() => ({ decode: new LengthPrefixDecoder(make, init), encode: new LengthPrefixEncoder(make, init) }))
}
