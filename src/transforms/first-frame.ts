/**
 * The one frame in front of a raw stream: it says what the connection is for, and every byte behind it belongs to whoever takes
 * the connection over.
 *
 * ```ts
 * const { frame, rest } = await firstFrame(link, u32be, { maxFrame: 4096 })
 * await bridge(rest, other)
 * ```
 */
import { TruncatedError } from '../errors.ts'
import type { Batch, Link } from '../types.ts'
import { wrapLink } from '../streams/wrap-link.ts'
import { Collector } from './collector.ts'
import { frameCodec, FrameSizeError, MAX_LENGTH_BYTES, type LengthCodec, type LengthPrefixInit } from './length-codecs.ts'

/** Bytes of a read that tell what is spoken there. */
const FIRST_BYTES = 256

/** Takes one frame, and nothing behind it. The synchronous core of {@link firstFrame}. */
export class FirstFrameDecoder {
  readonly #length
  readonly #held = new Collector()
  /** Bytes of its length, 0 while that is cut. */
  #head = 0
  /** Bytes of the whole, length included; while the length is cut, as many as it may be readable with. */
  #need = 1

  constructor (make: LengthCodec, init?: LengthPrefixInit) {
    this.#length = frameCodec(make, init).lengthDecoder
  }

  /** Bytes kept so far. */
  get held (): number { return this.#held.length }

  /** A copy of the first of them. */
  get head (): Uint8Array { return Uint8Array.from(this.#held.peek(MAX_LENGTH_BYTES)) }

  /**
   * Takes the next read.
   *
   * @returns the frame and what is left of the read, once it is complete
   * @throws {FrameSizeError} beyond `maxFrame`, before anything of such a frame is kept
   */
  push (read: Uint8Array): { frame: Uint8Array, rest: Uint8Array } | undefined {
    let at = 0
    while (at < read.length) {
      const part = read.subarray(at, at + this.#need - this.#held.length)
      this.#held.append(part, this.#need)
      at += part.length
      if (this.#held.length < this.#need) return undefined
      if (this.#head === 0) this.#measure()
      if (this.#head > 0 && this.#held.length === this.#need) {
        return { frame: this.#held.take().subarray(this.#head), rest: read.subarray(at) }
      }
    }
    return undefined
  }

  #measure (): void {
    const bytes = this.#held.peek(MAX_LENGTH_BYTES)
    this.#need = Math.max(this.#length.width(bytes, 0), bytes.length) // a width of 0 is unknown
    if (this.#need > bytes.length) return
    try {
      const size = this.#length(bytes, 0)
      this.#head = this.#length.bytes
      this.#need = this.#head + size
    } catch (err) {
      if (!(err instanceof RangeError)) throw err
      this.#need = bytes.length + 1
    }
  }
}

/**
 * Reads the first frame of a link.
 *
 * @returns the frame, undefined when the link ended before it began; and the link as if the frame had never been there
 * @throws {FrameSizeError} for a frame beyond `maxFrame`; {@link TruncatedError} when the link ends inside it; else what broke
 *   the link. The link is not aborted
 */
export async function firstFrame (link: Link, make: LengthCodec, init?: LengthPrefixInit): Promise<{ frame: Uint8Array | undefined, rest: Link }> {
  const decoder = new FirstFrameDecoder(make, init)
  const iterator = link.source[Symbol.asyncIterator]()
  for (;;) {
    const { done, value: batch } = await iterator.next()
    if (done === true) {
      if (decoder.held > 0) throw new TruncatedError(`stream ended ${decoder.held} bytes into its first frame`)
      return { frame: undefined, rest: link }
    }
    for (const [i, read] of batch.entries()) {
      const found = pushed(decoder, read)
      if (found === undefined) continue
      const { frame, rest } = found
      const behind = [...(rest.length > 0 ? [rest] : []), ...batch.slice(i + 1)]
      return { frame, rest: withSource(link, resumed(iterator, behind)) }
    }
  }
}

function pushed (decoder: FirstFrameDecoder, read: Uint8Array): ReturnType<FirstFrameDecoder['push']> {
  const before = decoder.held
  try {
    return decoder.push(read)
  } catch (err) {
    if (err instanceof FrameSizeError) err.first = Buffer.concat([decoder.head.subarray(0, before), read.subarray(0, FIRST_BYTES)])
    throw err
  }
}

/** The same link, read from elsewhere. */
const withSource = (link: Link, source: AsyncIterable<Batch>): Link => wrapLink(link, { source, flow: undefined })

/** What is left of a batch, then the rest of the iterator: no stage in between, so nothing to pay a read. */
function resumed (iterator: AsyncIterator<Batch>, behind: Batch): AsyncIterable<Batch> {
  let isFirst = behind.length > 0
  const source: AsyncIterableIterator<Batch> = {
    next () {
      if (!isFirst) return iterator.next()
      isFirst = false
      return Promise.resolve({ done: false, value: behind })
    },
    async return () {
      isFirst = false
      await iterator.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => source
  }
  return source
}
