/**
 * One frame in front of a raw byte stream: it tells what the connection is for.
 *
 * ```ts
 * const { frame, rest } = await firstFrame(link, u32be, { maxFrame: 4096 })
 * await bridge(rest, other)
 * ```
 */
import { TruncatedError } from '../errors.ts'
import type { Link } from '../types.ts'
import { resumed } from '../streams/resumed.ts'
import { FrameSizeError, type LengthCodec, type LengthPrefixInit } from './length-codecs.ts'
import { LengthPrefixDecoder } from './length-prefix.ts'

/** Bytes that are enough to detect another protocol. */
const FIRST_BYTES = 256

/** Decodes one frame and nothing after it. The synchronous core of {@link firstFrame}. */
export class FirstFrameDecoder {
  readonly #frames

  constructor (make: LengthCodec, init?: LengthPrefixInit) {
    this.#frames = new LengthPrefixDecoder(make, init)
  }

  /** Bytes kept so far. */
  get held (): number { return this.#frames.held }

  /** A copy of the first kept bytes. */
  get head (): Uint8Array { return this.#frames.head }

  /**
   * Takes the next read.
   *
   * @returns once complete: the frame, in its own memory, and the rest of the read
   * @throws {FrameSizeError} when the frame is larger than `maxFrame`, before anything of it is kept
   */
  push (read: Uint8Array): { frame: Uint8Array, rest: Uint8Array } | undefined {
    const found = this.#frames.next(read)
    if (found === undefined) return undefined
    const frame = Buffer.allocUnsafeSlow(found.frame.length) // not from the pool, as it may be kept
    frame.set(found.frame)
    return { frame, rest: found.rest }
  }
}

/**
 * Reads the first frame of a link.
 *
 * @returns the frame, undefined when the link ended before it began; and a link of the bytes after it
 * @throws {FrameSizeError} for a frame beyond `maxFrame`; {@link TruncatedError} when the link ends inside it; else the error that broke
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
      return { frame, rest: resumed(link, iterator, behind) }
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
