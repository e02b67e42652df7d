/** Reads masked payloads without unmasking them in place. */
import { isUtf8 } from 'node:buffer'
import { applyMask, maskWayOf } from './mask.ts'

/** The mask key of the payload that begins at `at`. */
export const keyBefore = (bytes: Uint8Array, at: number): number => bytes[at - 4] << 24 | bytes[at - 3] << 16 | bytes[at - 2] << 8 | bytes[at - 1]

/** Whether a masked payload is UTF-8; true while it is incomplete. */
export function isTextAt (bytes: Uint8Array, from: number, to: number): boolean {
  if (to > bytes.length) return true
  const payload = Uint8Array.from(bytes.subarray(from, to))
  applyMask(payload, 0, payload.length, keyBefore(bytes, from), maskWayOf(payload))
  return isUtf8(payload)
}
