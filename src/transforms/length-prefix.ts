/**
 * Frames behind their length, for links where data flows fast.
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
 * Takes frames out of reads. A frame inside one read is a view of it; one that spans reads is joined once, when complete.
 * A length beyond `maxFrame` is its `failure`, `ERR_FRAME_SIZE`, before anything is kept for that frame.
 */
export class LengthPrefixDecoder extends FailFastDecoder {
  readonly memory = 'passes'
  readonly #held = new ReassemblyBuffer()
  /** Bytes of the frame under way, length included; while the length itself is cut, as many as it may be readable with. */
  #need = 0
  /** Bytes of its length, 0 while that is cut. */
  #head = 0
  readonly #length

  constructor (make: LengthCodec, init?: LengthPrefixInit) {
    super()
    this.#length = frameCodec(make, init).lengthDecoder
  }

  /** Bytes kept of a frame that is not complete: its length and `maxFrame` at most. */
  get held (): number { return this.#held.length }

  /** Bytes of memory in use for them: up to four times as many, or 2 KiB more. */
  get capacity (): number { return this.#held.capacity }

  /** A copy of the first bytes of the frame under way, as many as a length has at most. */
  get head (): Uint8Array { return Uint8Array.from(this.#held.peek(MAX_LENGTH_BYTES)) }

  /**
   * Takes one frame, and nothing behind it: for whoever has another use for what follows.
   *
   * @returns the frame and what is left of the read; undefined when that is used up
   * @throws {FrameSizeError} beyond `maxFrame`, from then on each time
   */
  next (read: Uint8Array): { frame: Uint8Array, rest: Uint8Array } | undefined {
    return this.attempt(() => {
      const out: Batch = []
      const at = this.#walk(read, out, 1)
      return out.length > 0 ? { frame: out[0], rest: read.subarray(at) } : undefined
    })
  }

  protected override decode (read: Uint8Array, out: Batch): void { this.#walk(read, out, Infinity) }

  /** From frame to frame, until so many are there or the read is used up. Returns where in it the next one begins, if it has not ended. */
  #walk (read: Uint8Array, out: Batch, most: number): number {
    let at = 0
    while (at < read.length && out.length < most) {
      const held = this.#held.length
      if (held === 0) this.#measure(read, at)
      const end = at + this.#need - held
      if (held === 0 && end <= read.length) {
        out.push(read.subarray(at + this.#head, end))
      } else {
        this.#hold(read.subarray(at, end), out)
      }
      at = end
    }
    return at
  }

  /** Throws `failure`, or `ERR_TRUNCATED` inside a frame. */
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
    out.push(this.#held.take().subarray(this.#head))
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
      this.#need = there + 1 // a codec without a width: try again with each byte
    }
  }
}

/** Puts each frame behind its length: one buffer a batch, so one write below, whatever the number of frames. */
export class LengthPrefixEncoder implements Core<Uint8Array, Uint8Array> {
  readonly memory = 'copies'
  readonly #length

  constructor (make: LengthCodec, init?: LengthPrefixInit) {
    this.#length = frameCodec(make, init).lengthEncoder
  }

  /** Throws `ERR_FRAME_SIZE` on a frame beyond `maxFrame`, or beyond what its length can say; then nothing of the batch is sent. */
  push (batch: Batch): Batch {
    if (batch.length === 0) return []
    let size = batch.length * MAX_LENGTH_BYTES
    for (const frame of batch) size += frame.length
    const out = Buffer.allocUnsafe(size)
    let at = 0
    for (const frame of batch) {
      at = this.#length.write(frame.length, out, at)
      out.set(frame, at)
      at += frame.length
    }
    return [out.subarray(0, at)]
  }
}

/** The layer: reads below, frames above. Options that cannot work are refused here, with `ERR_OPTION`. */
export function lengthPrefix (make: LengthCodec, init?: LengthPrefixInit): Layer {
  frameCodec(make, init) // checks the options now rather than at the first link
  return codec(() => ({ decode: new LengthPrefixDecoder(make, init), encode: new LengthPrefixEncoder(make, init) }))
}
