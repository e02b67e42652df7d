/** Cuts bytes into chunks without cutting characters. */

/** Bytes of the longest character of UTF-8. */
const MAX_CHARACTER = 4

/** What the first byte of a character says about its length; 0 for a byte that is none. */
function lengthOf (first: number): number {
  if (first < 0x80) return 1
  if (first < 0xc2) return 0
  if (first < 0xe0) return 2
  if (first < 0xf0) return 3
  return first < 0xf5 ? 4 : 0
}

/**
 * Where a chunk that begins at `from` ends: at most `size` bytes later, and never within a character. Bytes that are not UTF-8 are cut
 * anywhere.
 */
function endOf (bytes: Uint8Array, from: number, size: number): number {
  const end = from + size
  if (end >= bytes.length) return bytes.length
  if ((bytes[end] & 0xc0) !== 0x80) return end
  for (let start = end - 1; start > from && start > end - MAX_CHARACTER; start--) {
    if ((bytes[start] & 0xc0) === 0x80) continue
    const length = lengthOf(bytes[start])
    if (start + length <= end) break
    // The rest of it has to be there, or it is no character.
    for (let i = end; i < start + length && i < bytes.length; i++) if ((bytes[i] & 0xc0) !== 0x80) return end
    return start
  }
  return end
}

/**
 * The bytes as chunks of at most `size` bytes, views of them; no empty one. Where they are UTF-8 no character is cut.
 *
 * @param size - at least 4
 */
export function utf8Chunks (bytes: Uint8Array, size: number): Uint8Array[] {
  if (bytes.length <= size) return bytes.length === 0 ? [] : [bytes]
  const chunks: Uint8Array[] = []
  for (let from = 0; from < bytes.length;) {
    const end = endOf(bytes, from, size)
    chunks.push(bytes.subarray(from, end))
    from = end
  }
  return chunks
}
