/** The Internet checksum of IPv4, ICMP, UDP and TCP: RFC 1071. */

/** From this many bytes on, a DataView is worth making. Measured in `bench/ipv4.ts`. */
const LARGE = 256

/**
 * Adds the 16-bit big-endian words of `bytes[from, to)` to a sum; an odd last byte counts as the high half of a word.
 * Sums stay whole numbers, and far from the limit of those, for any packet.
 */
export function addWords (bytes: Uint8Array, from = 0, to = bytes.length, sum = 0): number {
  if (to - from >= LARGE) {
    const whole = from + ((to - from) & ~7)
    return addSmall(bytes, whole, to, addLarge(bytes, from, whole, sum))
  }
  return addSmall(bytes, from, to, sum)
}

/** Four bytes a step into two sums, which is faster than one word a step. */
function addSmall (bytes: Uint8Array, from: number, to: number, sum: number): number {
  let high = 0
  let low = 0
  let at = from
  for (const end = to - 3; at < end; at += 4) {
    high += (bytes[at] << 8) | bytes[at + 1]
    low += (bytes[at + 2] << 8) | bytes[at + 3]
  }
  for (const end = to - 1; at < end; at += 2) high += (bytes[at] << 8) | bytes[at + 1]
  if (at < to) high += bytes[at] << 8
  return sum + high + low
}

/** The same with two 32-bit words a step; a multiple of 8 bytes. */
function addLarge (bytes: Uint8Array, from: number, to: number, sum: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let high = 0
  let low = 0
  for (let at = from; at < to; at += 8) {
    const first = view.getInt32(at)
    const second = view.getInt32(at + 4)
    high += (first >>> 16) + (second >>> 16)
    low += (first & 0xffff) + (second & 0xffff)
  }
  return sum + high + low
}

/** Folds a sum to 16 bits and complements it: the value of a checksum field. Over data that holds a right one it gives 0. */
export function fold (sum: number): number {
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum & 0xffff)
  return ~sum & 0xffff
}
