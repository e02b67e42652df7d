/**
 * Encodings of a length in front of a frame. Each codec is a factory in the form of `it-length-prefixed`, so that it works for {@link
 * lengthPrefix} and {@link controlFrames}.
 */
import { OptionError } from '../errors.ts'

/** Reads the length at `at` (default 0). Throws RangeError when it is incomplete; then more bytes are awaited. */
export interface LengthDecoder {
  (data: { readonly byteLength: number, subarray (from: number, to: number): Uint8Array }, at?: number): number
  /** Bytes of the last length. */
  bytes: number
  /**
   * Bytes of the length at `at`, as far as its first byte tells, so that an incomplete length is detected without an error. `bytes` has at
   * least that byte. Optional.
   */
  width? (bytes: Uint8Array, at: number): number
}

/** What a length is read from: also a list of bytes. */
export type Bytes = Parameters<LengthDecoder>[0]

/** Returns a length as bytes. Throws `ERR_FRAME_SIZE` when the value does not fit. */
export interface LengthEncoder {
  (value: number): Uint8Array<ArrayBuffer>
  /** Bytes of the last length. */
  bytes: number
  /** Writes the length into `into`, without allocating; returns the offset after it. Optional. */
  write? (value: number, into: Uint8Array, at: number): number
}

/** Makes the two functions for one link: their `bytes` is state. */
export type LengthCodec = () => { lengthDecoder: LengthDecoder, lengthEncoder: LengthEncoder }

/** A frame is larger than the limit or than its length field allows, or its length is invalid. */
export class FrameSizeError extends Error {
  override readonly name = 'FrameSizeError'
  readonly code = 'ERR_FRAME_SIZE'
  /** The first bytes of the connection, where it begins with this frame: it may speak another protocol. */
  first?: Uint8Array
}

/** Maximum bytes of a length; one that is still incomplete after them is an error. */
export const MAX_LENGTH_BYTES = 8

/** Default maximum of a length on the wire: that of two bytes. */
const DEFAULT_MAX_LENGTH = 65535

/** Options of {@link lengthPrefix}. */
export interface LengthPrefixInit {
  /**
   * Bytes of a frame that its length does not count, such as a checksum after the length; negative when the length counts itself. Default:
   * 0.
   */
  adjust?: number
  /** Maximum bytes of a frame in both directions, without its length, with `adjust`. Default: 65535 + `adjust`. */
  maxFrame?: number
  /** Leave the length in front of each frame that is decoded, for code that passes frames on as they came. Default: false. */
  keepLength?: boolean
}

/** The bytes up to `to`, as an array that can be indexed. */
function upTo (data: Bytes, to: number): Uint8Array {
  if (data.byteLength < to) throw new RangeError('length cut short')
  return data instanceof Uint8Array ? data : data.subarray(0, to)
}

function unfit (value: number, max: number): FrameSizeError {
  return new FrameSizeError(`length ${value} does not fit its field, which holds 0 to ${max}`)
}

function bigEndian (bytes: number): LengthCodec {
  const max = 2 ** (8 * bytes) - 1

  return () => {
    const lengthDecoder = (data: Bytes, at = 0): number => {
      const head = upTo(data, at + bytes)
      let value = 0
      for (let i = at; i < at + bytes; i++) value = value * 256 + head[i] // no shift: bit 31 is not a sign
      return value
    }

    const write = (value: number, into: Uint8Array, at: number): number => {
      if (!(value >= 0 && value <= max)) throw unfit(value, max)
      for (let i = bytes - 1; i >= 0; i--) {
        into[at + i] = value
        value = Math.floor(value / 256)
      }
      return at + bytes
    }

    const lengthEncoder = (value: number): Uint8Array<ArrayBuffer> => {
      const head = new Uint8Array(bytes)
      write(value, head, 0)
      return head
    }

    return {
      lengthDecoder: Object.assign(lengthDecoder, { bytes, width: () => bytes }),
      lengthEncoder: Object.assign(lengthEncoder, { bytes, write })
    }
  }
}

/** Two bytes, big-endian: up to 65535. */
export const u16be = bigEndian(2)

/** Four bytes, big-endian: up to 4 GiB - 1; set `maxFrame` to the maximum of the protocol. */
export const u32be = bigEndian(4)

const RUSTDESK_MAX = 0x3fff_ffff

/**
 * The length of a RustDesk frame: a little-endian integer of 1 to 4 bytes, whose two lowest bits are the number of bytes after the first;
 * up to 1 GiB - 1. Written in the shortest form, read in any.
 */
export const rustdeskLength: LengthCodec = () => {
  const width = (bytes: Uint8Array, at: number): number => (bytes[at] & 3) + 1

  const lengthDecoder = (data: Bytes, at = 0): number => {
    const bytes = width(upTo(data, at + 1), at)
    const head = upTo(data, at + bytes)
    let value = 0
    for (let i = at + bytes - 1; i >= at; i--) value = value * 256 + head[i]
    lengthDecoder.bytes = bytes
    return Math.floor(value / 4)
  }
  lengthDecoder.bytes = 1
  lengthDecoder.width = width

  const write = (value: number, into: Uint8Array, at: number): number => {
    if (!(value >= 0 && value <= RUSTDESK_MAX)) throw unfit(value, RUSTDESK_MAX)
    const bytes = value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x40_0000 ? 3 : 4
    let rest = value * 4 + bytes - 1
    for (let i = 0; i < bytes; i++) {
      into[at + i] = rest
      rest = Math.floor(rest / 256)
    }
    lengthEncoder.bytes = bytes
    return at + bytes
  }

  const lengthEncoder = (value: number): Uint8Array<ArrayBuffer> => {
    const head = new Uint8Array(4)
    return head.subarray(0, write(value, head, 0))
  }
  lengthEncoder.bytes = 1
  lengthEncoder.write = write

  return { lengthDecoder, lengthEncoder }
}

/** The last one that was made: servers need the same for each connection, and it keeps nothing from one call to the next. */
let last: { make: LengthCodec, adjust: number | undefined, maxFrame: number | undefined, codec: ReturnType<typeof newFrameCodec> } | undefined

/** Both functions of a codec in terms of whole frames: with `adjust`, the limit, `write` and `width`; a width of 0 is unknown. */
export function frameCodec (make: LengthCodec, { adjust, maxFrame }: LengthPrefixInit = {}): ReturnType<typeof newFrameCodec> {
  if (last === undefined || last.make !== make || last.adjust !== adjust || last.maxFrame !== maxFrame) last = { make, adjust, maxFrame, codec: newFrameCodec(make, { adjust, maxFrame }) }
  return last.codec
}

function newFrameCodec (make: LengthCodec, { adjust = 0, maxFrame: limit }: { adjust: number | undefined, maxFrame: number | undefined }) {
  if (!Number.isSafeInteger(adjust)) throw new OptionError(`adjust is ${adjust}, an integer is needed`)
  if (limit === undefined && adjust < -DEFAULT_MAX_LENGTH) throw new OptionError(`adjust is ${adjust}, below -${DEFAULT_MAX_LENGTH} it needs maxFrame beside it`)
  const maxFrame = limit ?? DEFAULT_MAX_LENGTH + adjust
  if (!Number.isSafeInteger(maxFrame) || maxFrame < 0) throw new OptionError(`maxFrame is ${maxFrame}, an integer of 0 or more is needed`)
  const inner = make()

  function check (size: number): void {
    if (!(size >= 0 && size <= maxFrame)) throw new FrameSizeError(`frame of ${size} bytes, limit ${maxFrame}`)
  }

  function lengthDecoder (data: Bytes, at = 0): number {
    let size
    try {
      size = inner.lengthDecoder(data, at) + adjust
    } catch (err) {
      if (err instanceof RangeError && data.byteLength - at >= MAX_LENGTH_BYTES) throw new FrameSizeError(`no length in ${MAX_LENGTH_BYTES} bytes`)
      throw err
    }
    if (inner.lengthDecoder.bytes > MAX_LENGTH_BYTES) throw new FrameSizeError(`no length in ${MAX_LENGTH_BYTES} bytes`) // as with fewer bytes
    check(size)
    lengthDecoder.bytes = inner.lengthDecoder.bytes
    return size
  }
  lengthDecoder.bytes = 0
  lengthDecoder.width = (bytes: Uint8Array, at: number): number => inner.lengthDecoder.width?.(bytes, at) ?? 0

  function write (size: number, into: Uint8Array, at: number): number {
    check(size)
    if (inner.lengthEncoder.write !== undefined) return inner.lengthEncoder.write(size - adjust, into, at)
    const head = inner.lengthEncoder(size - adjust)
    into.set(head, at)
    return at + head.length
  }

  function lengthEncoder (size: number): Uint8Array<ArrayBuffer> {
    const head = new Uint8Array(MAX_LENGTH_BYTES)
    const bytes = write(size, head, 0)
    lengthEncoder.bytes = bytes
    return head.subarray(0, bytes)
  }
  lengthEncoder.bytes = 0
  lengthEncoder.write = write

  return { lengthDecoder, lengthEncoder }
}
