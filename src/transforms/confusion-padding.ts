/**
 * Random padding behind each frame, so that its length says less about its content: payload, pad, number of pad bytes
 * (one byte).
 */
import { randomFillSync } from 'node:crypto'
import { OptionError } from '../errors.ts'
import { codec } from '../layer.ts'
import type { Batch, Core, Layer } from '../types.ts'
import { FailFastDecoder } from './fail-fast-decoder.ts'

export interface ConfusionPaddingInit {
  /** Most bytes of padding that are sent with a frame: 0 to 255. Each number up to it is equally likely. Default: 64. */
  max?: number
}

/** A frame claims more padding than it has bytes, or lacks the count. */
export class PaddingError extends Error {
  override readonly name = 'PaddingError'
  readonly code = 'ERR_PADDING'
}

export const DEFAULT_MAX_PADDING = 64

/** What a count of one byte can say. */
const MAX_PADDING = 255

/** Random bytes are drawn in stock: a system call for each packet would cost more than all the rest. */
const pool = Buffer.alloc(16384)
let used = pool.length

/** Where `size` fresh bytes of the pool begin. */
function draw (size: number): number {
  if (used + size > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += size
  return used - size
}

/**
 * Takes the padding off, as many bytes as a frame says, whatever `max` is here. What is handed up is a view. A count that
 * cannot be is its `failure`, `ERR_PADDING`.
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

/** Puts padding of random length and content behind each frame. The frames of a batch share one buffer. */
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
      const pad = Math.floor(pool.readUInt32LE(draw(4)) / 2 ** 32 * (this.#max + 1)) // 32 bits: a remainder of 8 would favour small numbers
      const from = draw(pad)
      pool.copy(out, at, from, from + pad)
      at += pad
      out[at] = pad
      at += 1
      return out.subarray(start, at)
    })
  }
}

/** The layer: padded frames below, frames above. `ERR_OPTION` when `max` cannot work. */
export function confusionPadding (init?: ConfusionPaddingInit): Layer {
  const encode = new ConfusionPaddingEncoder(init) // has no state, so all links share it
  return codec(() => ({ decode: new ConfusionPaddingDecoder(), encode }))
}
