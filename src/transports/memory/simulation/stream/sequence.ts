/** Sequence numbers of 32 bits, which wrap around (RFC 9293, section 3.4). */

/** The number `count` behind `sequence`; `count` may be negative. */
export const advance = (sequence: number, count: number): number => (sequence + count) >>> 0

/** How far `to` is behind `from`: -2^31 to 2^31 - 1, negative when it is before it. */
export const distance = (from: number, to: number): number => (to - from) | 0
