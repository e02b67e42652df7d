/** The wire format of sequential streams: chunks, each a length of four bytes, big-endian, and as many bytes. */
import type { Batch } from '../../types.ts'

/** Bytes of a length. */
export const HEAD = 4

/** Reserved lengths: the end of a direction, orderly or by reset. */
export const END = 0
export const RESET = 0xffff_ffff

/** Reserved length: acknowledges a stream header. Only where both sides have agreed on it. */
export const ACKNOWLEDGED = 0xffff_fffe

/** Maximum bytes of a stream header. */
export const MAX_STREAM_HEADER = 4096

/** Bytes up to which copying costs less than writing two buffers. */
const SMALL = 2048

/** How a direction of a stream has ended. */
export type Ending = 'ended' | 'reset'

function headOf (length: number): Uint8Array {
  const head = Buffer.allocUnsafe(HEAD)
  head.writeUInt32BE(length)
  return head
}

/** Empty when the batch has no bytes, since a chunk without bytes is an end. */
export function chunkOf (batch: Batch): Batch {
  let length = 0
  for (const bytes of batch) length += bytes.length
  return length === 0 ? [] : [headOf(length), ...batch]
}

export const acknowledgement = (): Batch => [headOf(ACKNOWLEDGED)]

export const endOf = (ending: Ending): Batch => [headOf(ending === 'ended' ? END : RESET)]

/** The same bytes, in one buffer when they are few. */
export function joined (batch: Batch): Batch {
  if (batch.length < 2) return batch
  let length = 0
  for (const bytes of batch) length += bytes.length
  return length <= SMALL ? [Buffer.concat(batch, length)] : batch
}
