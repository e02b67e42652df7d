/** Texts of a bounded size. */

/** The text of bytes in UTF-8, of which as many whole characters are left as fit into `limit` bytes. */
export function cutText (bytes: Uint8Array, limit: number): string {
  // `stream` leaves out a character that is not complete
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, limit), { stream: bytes.length > limit })
}
