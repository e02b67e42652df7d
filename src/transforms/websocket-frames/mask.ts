/**
 * Masking (RFC 6455, section 5.3): each payload byte is XORed with one of four key bytes. Sixteen bytes at a time in SIMD memory, four in
 * other memory.
 */
import { randomFillSync } from 'node:crypto'
import { simdOf } from '../../buffers/simd/memory.ts'
import type { Simd } from '../../buffers/simd/functions.ts'

/** Payloads shorter than this are masked byte by byte: a view of words costs more than it saves. */
const WORDWISE_FROM = 32

const keyBytes = new Uint8Array(4)
const keyWord = new Int32Array(keyBytes.buffer)

/**
 * Masks or unmasks bytes in place; both are the same operation.
 *
 * @param way of the buffer of `bytes`; a caller with many frames in one buffer looks it up once
 * @param key the four key bytes in wire order, read big-endian
 */
export function applyMask (bytes: Uint8Array, from: number, to: number, key: number, way: MaskWay): void {
  if (typeof way !== 'function') maskWords(bytes, from, to, key, way)
  else way(bytes.byteOffset + from, bytes.byteOffset + to, key << 24 | (key & 0xff00) << 8 | (key >>> 8 & 0xff00) | key >>> 24)
}

/** How a buffer is masked: by SIMD functions that can access it, or as words. */
export type MaskWay = Simd['mask'] | Int32Array

/** How to mask the buffer of these bytes. */
export const maskWayOf = ({ buffer }: Uint8Array): MaskWay => simdOf(buffer)?.mask ?? wordsOf(buffer)

function maskWords (bytes: Uint8Array, from: number, to: number, key: number, words: Int32Array): void {
  const k0 = key >>> 24
  const k1 = (key >>> 16) & 0xff
  const k2 = (key >>> 8) & 0xff
  const k3 = key & 0xff
  let at = from
  if (to - from >= WORDWISE_FROM) {
    // Up to the next word of the underlying buffer; after n bytes the key is rotated by n.
    const lead = -(bytes.byteOffset + from) & 3
    if (lead > 0) bytes[at++] ^= k0
    if (lead > 1) bytes[at++] ^= k1
    if (lead > 2) bytes[at++] ^= k2
    keyBytes[-lead & 3] = k0 // written as bytes, read as a word: correct in either byte order
    keyBytes[(1 - lead) & 3] = k1
    keyBytes[(2 - lead) & 3] = k2
    keyBytes[(3 - lead) & 3] = k3
    const word = keyWord[0]
    let i = (bytes.byteOffset + at) >>> 2
    const last = (bytes.byteOffset + to) >>> 2
    for (; i + 4 <= last; i += 4) {
      words[i] ^= word
      words[i + 1] ^= word
      words[i + 2] ^= word
      words[i + 3] ^= word
    }
    for (; i < last; i++) words[i] ^= word
    at = (last << 2) - bytes.byteOffset
  }
  for (let i = at - from; at < to; at++, i++) {
    const which = i & 3
    bytes[at] ^= which === 0 ? k0 : which === 1 ? k1 : which === 2 ? k2 : k3
  }
}

/** A buffer as words; the one to three bytes at its end are never needed. */
const wordsOf = (buffer: ArrayBufferLike): Int32Array => new Int32Array(buffer, 0, buffer.byteLength >>> 2)

const pool = new Int32Array(2048)
let used = pool.length

/** A fresh key. It must be unpredictable (section 10.3), so it comes from the system, 8 KiB at a time. */
export function maskKey (): number {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  return pool[used++]
}
