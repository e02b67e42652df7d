/** Which messages have come, as `data` of a 0x125 tells it: a bit for each, the lowest bit of a byte first (SHOW CHAIN protocol, section 6.2). */
import { ARRIVED_BYTES } from './field-table.ts'

const BYTE_BITS = 8
const BYTE_SHIFT = 3

/** The number of the first bit. @param seq of the 0x125, whose bit is in the last byte */
export const firstArrived = (seq: number): number => (Math.floor(seq / BYTE_BITS) - ARRIVED_BYTES + 1) * BYTE_BITS

/** @param bit of number `firstArrived(seq)` and so on, less than 256 */
export const hasArrived = (arrived: Uint8Array, bit: number): boolean => (arrived[bit >> BYTE_SHIFT] & 1 << bit % BYTE_BITS) !== 0
