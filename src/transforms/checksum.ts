/**
 * A checksum for each frame. With a length that leaves it out, `stack(lengthPrefix(u16be, { adjust: 4 }), checksum('crc32'))` is the
 * framing of natpass: length, CRC-32 of the payload, payload.
 */
import * as zlib from 'node:zlib'
import crcOfPackage from 'crc/calculators/crc32'
import { OptionError } from '../errors.ts'
import { codec } from '../layer.ts'
import type { Batch, Core, Layer } from '../types.ts'
import { FailFastDecoder } from './fail-fast-decoder.ts'

/** A function of the `crc` package, or of its `calculators`, which copy less. The low bits of the result are used. */
export type ChecksumFunction = (bytes: Buffer) => number

/** Options of {@link checksum}. */
export interface ChecksumInit {
  /** Width of the checksum in bytes: 1 to 4. 4 for `crc32`; required for a function. */
  bytes?: number
  /** Position of the checksum relative to the data. Default: before. */
  position?: 'before' | 'behind'
  /** Byte order. Default: big-endian. */
  order?: 'big' | 'little'
}

/** A checksum does not match, or a frame is too short for one. */
export class ChecksumError extends Error {
  override readonly name = 'ChecksumError'
  readonly code = 'ERR_CHECKSUM'
}

/** CRC-32 of zlib: native where Node has it (20.15, 22.2 and later), else in JavaScript, with the same result. */
export const crc32: (bytes: Uint8Array) => number = zlib.crc32 ?? ((bytes: Uint8Array) => crcOfPackage(bytes) >>> 0)

const MAX_BYTES = 4

const asBuffer = (data: Uint8Array): Buffer => {
  return data instanceof Buffer ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

interface Settings {
  sum: (bytes: Uint8Array) => number
  bytes: number
  before: boolean
  big: boolean
}

function settings (kind: 'crc32' | ChecksumFunction, { bytes, position = 'before', order = 'big' }: ChecksumInit = {}): Settings {
  const width = bytes ?? (kind === 'crc32' ? MAX_BYTES : 0)
  if (kind !== 'crc32' && typeof kind !== 'function') throw new OptionError("a checksum is 'crc32' or a function")
  if (!Number.isInteger(width) || width < 1 || width > MAX_BYTES) throw new OptionError(`bytes is ${bytes}, a checksum has 1 to ${MAX_BYTES}`)
  if (position !== 'before' && position !== 'behind') throw new OptionError(`position is ${String(position)}, not before or behind`)
  if (order !== 'big' && order !== 'little') throw new OptionError(`order is ${String(order)}, not big or little`)
  const of = kind === 'crc32' ? crc32 : (data: Uint8Array) => kind(asBuffer(data))
  const shift = 8 * (MAX_BYTES - width)
  return {
    // truncated to the width, so that sums compare whatever their sign
    sum: (data) => (of(data) << shift) >>> shift,
    bytes: width,
    before: position === 'before',
    big: order === 'big'
  }
}

/** Checks each frame and returns the data as a view. The first mismatch is its `failure`, `ERR_CHECKSUM`. */
export class ChecksumDecoder extends FailFastDecoder {
  readonly memory = 'passes'
  readonly #of

  constructor (kind: 'crc32' | ChecksumFunction, init?: ChecksumInit) {
    super()
    this.#of = settings(kind, init)
  }

  protected override decode (frame: Uint8Array, out: Batch): void {
    const { sum, bytes, before, big } = this.#of
    if (frame.length < bytes) throw new ChecksumError(`frame of ${frame.length} bytes, its checksum has ${bytes}`)
    const split = before ? bytes : frame.length - bytes
    const payload = before ? frame.subarray(split) : frame.subarray(0, split)
    const at = before ? 0 : split
    let found = 0
    for (let i = 0; i < bytes; i++) found = (found << 8) | frame[big ? at + i : at + bytes - 1 - i]
    if (sum(payload) !== found >>> 0) throw new ChecksumError(`checksum of ${payload.length} bytes does not match`)
    out.push(payload)
  }
}

/** Adds a checksum to each frame. The frames of a batch share one buffer. */
export class ChecksumEncoder implements Core<Uint8Array, Uint8Array> {
  readonly memory = 'copies'
  readonly #of

  constructor (kind: 'crc32' | ChecksumFunction, init?: ChecksumInit) {
    this.#of = settings(kind, init)
  }

  push (batch: Batch): Batch {
    const { sum, bytes, before, big } = this.#of
    let size = batch.length * bytes
    for (const payload of batch) size += payload.length
    const out = Buffer.allocUnsafe(size)
    let start = 0
    return batch.map((payload) => {
      const at = before ? start : start + payload.length
      let rest = sum(payload)
      for (let i = 0; i < bytes; i++) {
        out[big ? at + bytes - 1 - i : at + i] = rest
        rest >>>= 8
      }
      out.set(payload, before ? start + bytes : start)
      const frame = out.subarray(start, start + bytes + payload.length)
      start += frame.length
      return frame
    })
  }
}

/**
 * The layer: frames with a checksum below, without above.
 *
 * @throws {OptionError} when an option is out of range
 */
export function checksum (kind: 'crc32' | ChecksumFunction, init?: ChecksumInit): Layer {
  settings(kind, init) // checks the options now rather than at the first link
  return codec(() => ({ decode: new ChecksumDecoder(kind, init), encode: new ChecksumEncoder(kind, init) }))
}
