/** How links that follow one another look on the wire: chunks, each a length of four bytes, big-endian, and as many bytes. */
import type { Batch } from '../../types.ts'

/** Bytes of a length. */
export const HEAD = 4

/** Lengths that are none: a direction of a link is at its end, by itself or by a reset. */
export const END = 0
export const RESET = 0xffff_ffff

/** The same: the opening has arrived. Only where both sides have agreed on it. */
export const ACKNOWLEDGED = 0xffff_fffe

/** Bytes of an opening. */
export const MAX_STREAM_HEADER = 4096

/** Copying so many bytes costs less than writing two pieces of memory at once. */
const SMALL = 2048

/** How a direction of a link ends. */
export type Ending = 'ended' | 'reset'

/** The other side has reset the link, not the connection under it. */
export class LinkResetError extends Error {
  override readonly name = 'LinkResetError'
  readonly code = 'ERR_LINK_RESET'
}

function headOf (length: number): Uint8Array {
  const head = Buffer.allocUnsafe(HEAD)
  head.writeUInt32BE(length)
  return head
}

/** Empty when there is nothing in the batch, since a chunk of no bytes is an end. */
export function chunkOf (batch: Batch): Batch {
  let length = 0
  for (const bytes of batch) length += bytes.length
  return length === 0 ? [] : [headOf(length), ...batch]
}

export const acknowledgement = (): Batch => [headOf(ACKNOWLEDGED)]

export const endOf = (ending: Ending): Batch => [headOf(ending === 'ended' ? END : RESET)]

/** The same bytes, in one piece when they are few. */
export function joined (batch: Batch): Batch {
  if (batch.length < 2) return batch
  let length = 0
  for (const bytes of batch) length += bytes.length
  return length <= SMALL ? [Buffer.concat(batch, length)] : batch
}
