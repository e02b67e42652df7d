/** Numbers and frame types of the compact wire format (link-mux protocol, sections 1 and 2). */

/** Frame types, the lowest three bits of a header. */
export const FrameType = { OPEN: 0, ACCEPT: 1, REJECT: 2, DATA: 3, WINDOW: 4, END: 5, RESET: 6 } as const

/** The largest number in a field: 32 bits. */
export const MAX_FIELD = 0xffff_ffff

/** The largest id: 29 bits, as the type takes three. */
export const MAX_ID = 0x1fff_ffff

/** Maximum bytes of a number. */
export const MAX_VARINT = 5

/** Maximum bytes of a request or a response. */
export const MAX_REQUEST = 4096

/** Bytes of a number. */
export const sizeOf = (value: number): number => value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5

/** Writes a number, seven bits a byte, the lowest first; returns the offset after it. */
export function writeVarint (value: number, into: Uint8Array, at: number): number {
  while (value >= 0x80) {
    into[at++] = (value & 0x7f) | 0x80
    value = Math.floor(value / 0x80) // no shift: bit 31 is not a sign
  }
  into[at++] = value
  return at
}

/** Why a number cannot be read. */
export const INCOMPLETE = -1
const INVALID = -2

/** Reads the number at `at`, before `end`: `INCOMPLETE`, or `INVALID` when it has more than 32 bits or is not in its shortest form. */
export function readVarint (bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]
  if (at < end && first < 0x80) return first
  let value = 0
  let scale = 1
  for (let i = 0; i < MAX_VARINT; i++) {
    if (at + i >= end) return INCOMPLETE
    const byte = bytes[at + i]
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value > MAX_FIELD || (byte === 0 && i > 0) ? INVALID : value
    scale *= 0x80
  }
  return INVALID
}
