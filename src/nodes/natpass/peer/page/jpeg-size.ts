/** The size of a JPEG, from its header (ITU-T T.81, annex B). Nothing is decoded. */

const SOI = 0xd8
const EOI = 0xd9
const SOS = 0xda
/** Start of a frame, of any process. The first and the last of the range; tables have numbers within it. */
const SOF0 = 0xc0
const SOF15 = 0xcf
const TABLES: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc])

/** Bytes of a frame header up to the width: length, precision, height, width. */
const FRAME = 7

/** In pixels; undefined when these bytes are no JPEG, or have no frame before their first scan. */
export function jpegSize (bytes: Uint8Array): { readonly width: number, readonly height: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { length } = bytes
  if (length < 2 || bytes[0] !== 0xff || bytes[1] !== SOI) return undefined
  for (let at = 2; at + 4 <= length;) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1]
    if (marker === 0xff) { // any marker may have fill bytes before it
      at++
      continue
    }
    if (marker < SOF0 || (marker >= 0xd0 && marker <= EOI) || marker === SOS) return undefined
    if (marker <= SOF15 && !TABLES.has(marker)) {
      if (at + 2 + FRAME > length) return undefined
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) }
    }
    const size = view.getUint16(at + 2)
    if (size < 2) return undefined
    at += 2 + size
  }
  return undefined
}
