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
import { FrameSizeError, type LengthCodec, type LengthPrefixInit } from './length-codecs.ts'
import { LengthPrefixDecoder } from './length-prefix.ts'

/** Bytes of a read that tell what is spoken there. */
const FIRST_BYTES = 256

/** Takes one frame, and nothing behind it. The synchronous core of {@link firstFrame}. */
export class FirstFrameDecoder {
  readonly #frames

  constructor (make: LengthCodec, init?: LengthPrefixInit) {
    this.#frames = new LengthPrefixDecoder(make, init)
  }

  /** Bytes kept so far. */
  get held (): number { return this.#frames.held }

  /** A copy of the first of them. */
  get head (): Uint8Array { return this.#frames.head }

  /**
   * Takes the next read.
   *
   * @returns the frame, in memory of its own, and what is left of the read, once it is complete
   * @throws {FrameSizeError} beyond `maxFrame`, before anything of such a frame is kept
   */
  push (read: Uint8Array): { frame: Uint8Array, rest: Uint8Array } | undefined {
    const found = this.#frames.next(read)
    if (found === undefined) return undefined
    const frame = Buffer.allocUnsafeSlow(found.frame.length) // not of the pool, as it may be kept
    frame.set(found.frame)
    return { frame, rest: found.rest }
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
