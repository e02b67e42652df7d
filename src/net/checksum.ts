/** The Internet checksum of IPv4, ICMP, UDP and TCP: RFC 1071. */
import { endianness } from 'node:os'
import type { Simd } from '../buffers/simd/functions.ts'
import { simdOf } from '../buffers/simd/memory.ts'

/** Bytes from which on a view of words, or the SIMD path, pays off. Measured in `bench/layers/ipv4.ts`. */
const LARGE = 256

/**
 * Adds the 16-bit big-endian words of `bytes[from, to)` to a sum; an odd last byte counts as the high half of a word.
 * For any packet sums stay far below 2^53.
 *
 * @param words `wordsOf(bytes)`; a caller that adds many parts of `bytes` makes them once
 */
export function addWords (bytes: Uint8Array, from = 0, to = bytes.length, sum = 0, words?: Uint32Array): number {
  if (to - from < LARGE) return addSmall(bytes, from, to, sum)
  const simd = words === undefined ? simdOf(bytes.buffer) : undefined
  if (simd !== undefined) return sum + ofWords(simd.sum(bytes.byteOffset + from, bytes.byteOffset + to))
  if (((bytes.byteOffset + from) & 3) !== 0) return addSmall(bytes, from, to, sum)
  const whole = from + ((to - from) & ~15)
  return addSmall(bytes, whole, to, sum + addLarge(words ?? wordsOf(bytes, from), words === undefined ? 0 : from >>> 2, (whole - from) >>> 2))
}

/**
 * Copies `bytes[from, to)` to `target` at `at` and adds its words; in one pass where both are in the memory of `simd`.
 *
 * @param words see {@link addWords}
 */
export function copyWords (target: Uint8Array, at: number, bytes: Uint8Array, from: number, to: number, simd?: Simd, words?: Uint32Array): number {
  if (simd !== undefined && target.buffer === bytes.buffer) return ofWords(simd.copySum(bytes.byteOffset + from, bytes.byteOffset + to, target.byteOffset + at))
  target.set(bytes.subarray(from, to), at)
  return addWords(bytes, from, to, 0, words)
}

/** SIMD functions add little-endian words on every machine. */
const ofWords = (sum: number): number => swapBytes(fold16(sum >>> 0))

/** A view of 32-bit words in the byte order of the machine; undefined for bytes that are not aligned to four. */
export const wordsOf = (bytes: Uint8Array, from = 0): Uint32Array => new Uint32Array(bytes.buffer, bytes.byteOffset + from, (bytes.length - from) >>> 2)

/** Four bytes a step into two sums; faster than one word a step. */
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

/** The same with four 32-bit words a step, in the byte order of the machine: the sum of both halves does not depend on it. */
function addLarge (words: Uint32Array, from: number, count: number): number {
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let i = from; i < from + count; i += 4) {
    a += words[i]
    b += words[i + 1]
    c += words[i + 2]
    d += words[i + 3]
  }
  const sum = fold16(a + b + c + d)
  return LITTLE ? swapBytes(sum) : sum
}

/** The sum with the bytes of its words swapped, as for data that begins at an odd offset. RFC 1071 section 2. */
export const swapBytes = (sum: number): number => (sum & 0xff) << 8 | sum >>> 8

const LITTLE = endianness() === 'LE'

/** Folds a sum to 16 bits. */
function fold16 (sum: number): number {
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum & 0xffff)
  return sum
}

/** Folds a sum to 16 bits and complements it: the value of a checksum field. 0 for data with a correct checksum. */
export function fold (sum: number): number {
  return ~fold16(sum) & 0xffff
}
