/** Frames as the pieces of a record: none is split as long as it fits into one. */

/** Bytes of a mask key. */
const KEY = 4

/** Bytes of the frame that begins at `at`, header included. Its header has to be complete (RFC 6455, section 5.2). */
function frameLength (bytes: Uint8Array, at: number): number {
  const second = bytes[at + 1]
  const head = second >= 0x80 ? 2 + KEY : 2
  const size = second & 0x7f
  if (size < 126) return head + size
  if (size === 126) return head + 2 + (bytes[at + 2] << 8 | bytes[at + 3])
  const view = new DataView(bytes.buffer, bytes.byteOffset + at + 2, 8)
  return head + 8 + view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4)
}

/** The end of as many whole frames as fit, see `Records`. */
export function endOfFrames (bytes: Uint8Array, at: number, size: number): number {
  let end = at + frameLength(bytes, at)
  while (end < bytes.length) {
    const next = end + frameLength(bytes, end)
    if (next > at + size) break
    end = next
  }
  return end
}
