/** The Internet checksum of IPv4, ICMP, UDP and TCP: RFC 1071. */

/**
 * Adds the 16-bit big-endian words of `bytes[from, to)` to a sum; an odd last byte counts as the high half of a word.
 *
 * Four bytes a step into two sums (their high and low halves), which is nearly twice as fast as one word a step. Sums stay
 * whole numbers, and far from the limit of those, for any packet.
 */
export function addWords (bytes: Uint8Array, from = 0, to = bytes.length, sum = 0): number {
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

/** Folds a sum to 16 bits and complements it: the value of a checksum field. Over data that holds a right one it gives 0. */
export function fold (sum: number): number {
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum & 0xffff)
  return ~sum & 0xffff
}
