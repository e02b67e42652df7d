/** Frames of natpass: a length of two bytes, the CRC-32 of the payload, the payload (natpass protocol, section 1.1). */
import { codec, stack } from '../../../layer.ts'
import { checksum, ChecksumError, crc32 } from '../../../transforms/checksum.ts'
import { u16be } from '../../../transforms/length-codecs.ts'
import { lengthPrefix, LengthPrefixDecoder } from '../../../transforms/length-prefix.ts'
import type { Core } from '../../../types.ts'

/** Bytes of the length, which counts the payload alone. */
export const LENGTH_BYTES = 2

/** Bytes of the checksum, in front of the payload. */
export const CHECKSUM_BYTES = 4

/** Maximum bytes of a payload. */
export const MAX_PAYLOAD = 65535

/** Bytes below, payloads above. */
export const frames = stack(lengthPrefix(u16be, { adjust: CHECKSUM_BYTES }), checksum('crc32'))

/** For a relay: bytes below; above, frames up as they came, with length and checksum, and whole frames down. */
export const rawFrames = codec(() => ({ decode: new LengthPrefixDecoder(u16be, { adjust: CHECKSUM_BYTES, keepLength: true }), encode: unchanged }))

const unchanged: Core = { push: (batch) => batch, memory: 'passes' }

/**
 * Checks the checksum of a whole frame.
 *
 * @throws {ChecksumError} when it does not match
 */
export function verifyChecksum (frame: Uint8Array): void {
  const found = (frame[LENGTH_BYTES] << 24 | frame[LENGTH_BYTES + 1] << 16 | frame[LENGTH_BYTES + 2] << 8 | frame[LENGTH_BYTES + 3]) >>> 0
  if (crc32(frame.subarray(LENGTH_BYTES + CHECKSUM_BYTES)) !== found) throw new ChecksumError(`checksum of ${frame.length - LENGTH_BYTES - CHECKSUM_BYTES} bytes does not match`)
}

/** The frame of a payload of at most {@link MAX_PAYLOAD} bytes. */
export function frameOfPayload (payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + CHECKSUM_BYTES + payload.length)
  frame.set(payload, LENGTH_BYTES + CHECKSUM_BYTES)
  return sealFrame(frame)
}

/** Writes length and checksum in front of a payload that is in place. */
export function sealFrame (frame: Buffer): Buffer {
  const payload = frame.subarray(LENGTH_BYTES + CHECKSUM_BYTES)
  frame.writeUInt16BE(payload.length)
  frame.writeUInt32BE(crc32(payload), LENGTH_BYTES)
  return frame
}
