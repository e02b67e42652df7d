/** Random padding after each frame, to obscure its length: payload, padding, number of padding bytes (one byte). */
import { randomFillSync } from 'node:crypto'
import { OptionError } from '../errors.ts'
import { codec } from '../layer.ts'
import type { Batch, Core, Layer } from '../types.ts'
import { FailFastDecoder } from './fail-fast-decoder.ts'

/** Options of {@link confusionPadding}. */
export interface ConfusionPaddingInit {
  /** Maximum bytes of padding per frame: 0 to 255, uniformly distributed. Default: 64. */
  max?: number
}

/** A frame claims more padding than it has bytes, or is empty. */
export class PaddingError extends Error {
  override readonly name = 'PaddingError'
  readonly code = 'ERR_PADDING'
}

const DEFAULT_MAX_PADDING = 64

/** Maximum of a one-byte count. */
const MAX_PADDING = 255

/** Random bytes in stock: a system call per packet would cost more than everything else. */
const pool = Buffer.alloc(16384)
let used = pool.length

/** The offset of `size` fresh bytes in the pool. */
function draw (size: number): number {
  if (used + size > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += size
  return used - size
}

/**
 * Removes the padding that a frame declares, whatever `max` is here. Results are views. An impossible count is its `failure`,
 * `ERR_PADDING`.
 */
export class ConfusionPaddingDecoder extends FailFastDecoder {
  readonly memory = 'passes'

  protected override decode (frame: Uint8Array, out: Batch): void {
    if (frame.length === 0) throw new PaddingError('empty frame, the padding count is missing')
    const pad = frame[frame.length - 1]
    const size = frame.length - 1 - pad
    if (size < 0) throw new PaddingError(`${pad} bytes of padding in a frame of ${frame.length}`)
    out.push(frame.subarray(0, size))
  }
}

/** Adds random padding to each frame. The frames of a batch share one buffer. */
export class ConfusionPaddingEncoder implements Core<Uint8Array, Uint8Array> {
  readonly memory = 'copies'
  readonly #max

  constructor ({ max = DEFAULT_MAX_PADDING }: ConfusionPaddingInit = {}) {
    if (!Number.isInteger(max) || max < 0 || max > MAX_PADDING) throw new OptionError(`max is ${max}, padding has 0 to ${MAX_PADDING} bytes`)
    this.#max = max
  }

  push (batch: Batch): Batch {
    let size = batch.length * (this.#max + 1)
    for (const payload of batch) size += payload.length
    const out = Buffer.allocUnsafe(size)
    let at = 0
    return batch.map((payload) => {
      const start = at
      out.set(payload, at)
      at += payload.length
      const pad = Math.floor(pool.readUInt32LE(draw(4)) / 2 ** 32 * (this.#max + 1)) // 32 bits: the remainder of 8 would favour small numbers
      const from = draw(pad)
      pool.copy(out, at, from, from + pad)
      at += pad
      out[at] = pad
      at += 1
      return out.subarray(start, at)
    })
  }
}

/**
 * The layer: padded frames below, frames above.
 *
 * @throws {OptionError} when `max` is out of range
 */
export function confusionPadding (init?: ConfusionPaddingInit): Layer {
  const encode = new ConfusionPaddingEncoder(init) // stateless, so all links share it
  return codec(() => ({ decode: new ConfusionPaddingDecoder(), encode }))
}
