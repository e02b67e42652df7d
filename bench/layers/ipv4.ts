/**
 * The Internet checksum: ways of adding its words, and of copying them too. The first four are in use, each for memory of its kind:
 * packets that are cut out of a large one have one view of it for all. Below 256 bytes, and where the address is none of words, that
 * is `two sums`.
 */
import { PAGE, simdMemory, simdOf } from '../../src/buffers/simd/memory.ts'
import { addWords, copyWords, fold, wordsOf } from '../../src/net/checksum.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

/** One 16-bit word a step. */
function oneWord (bytes: Uint8Array, from: number, to: number): number {
  let sum = 0
  let at = from
  for (const end = to - 1; at < end; at += 2) sum += (bytes[at] << 8) | bytes[at + 1]
  return at < to ? sum + (bytes[at] << 8) : sum
}

/** Four bytes a step, into two sums. */
function twoSums (bytes: Uint8Array, from: number, to: number): number {
  let high = 0
  let low = 0
  let at = from
  for (const end = to - 3; at < end; at += 4) {
    high += (bytes[at] << 8) | bytes[at + 1]
    low += (bytes[at + 2] << 8) | bytes[at + 3]
  }
  return oneWord(bytes, at, to) + high + low
}

/** 32-bit words of a DataView, which needs no alignment, into two sums. */
function dataView (bytes: Uint8Array, from: number, to: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let high = 0
  let low = 0
  let at = from
  for (const end = to - 7; at < end; at += 8) {
    const first = view.getInt32(at)
    const second = view.getInt32(at + 4)
    high += (first >>> 16) + (second >>> 16)
    low += (first & 0xffff) + (second & 0xffff)
  }
  return oneWord(bytes, at, to) + high + low
}

/** Bytes of two lanes at once in one 32-bit word, for as many words as they have room for. */
function lanes (bytes: Uint8Array, from: number, to: number): number {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (to - from) >> 2)
  let sum = 0
  for (let i = 0; i < words.length;) {
    const stop = Math.min(words.length, i + 256)
    let even = 0
    let odd = 0
    for (; i < stop; i++) {
      even = (even + (words[i] & 0x00ff00ff)) | 0
      odd = (odd + ((words[i] >>> 8) & 0x00ff00ff)) | 0
    }
    sum += ((even & 0xffff) + (even >>> 16)) * 256 + (odd & 0xffff) + (odd >>> 16)
  }
  return sum
}

const large = new Uint8Array(2 * PAGE).map((_, i) => i * 7)
const words = wordsOf(large)
const reached = new Uint8Array(simdMemory(2 * PAGE) as ArrayBuffer)
reached.set(large)
const simd = simdOf(reached.buffer)
const COUNT = 40
/** Where copies go. */
const TO = PAGE + 32

const candidates: Record<string, (from: number, to: number) => number> = {
  'in use, WebAssembly in its memory': (from, to) => addWords(reached, from, to),
  'in use, with a copy': (from, to) => copyWords(reached, TO, reached, from, to, simd),
  'in use, other memory': (from, to) => addWords(large, from, to),
  'in use, one view for all, with a copy': (from, to) => copyWords(large, TO, large, from, to, undefined, words),
  'one view for all': (from, to) => addWords(large, from, to, 0, words),
  'WebAssembly, and a copy apart from it': (from, to) => {
    reached.set(reached.subarray(from, to), TO)
    return addWords(reached, from, to)
  },
  'one word': (from, to) => oneWord(large, from, to),
  'two sums': (from, to) => twoSums(large, from, to),
  DataView: (from, to) => dataView(large, from, to),
  lanes: (from, to) => lanes(large, from, to)
}

export async function ipv4Bench (run: Run): Promise<void> {
  for (const size of [64, 1360]) {
    const starts = Array.from({ length: COUNT }, (_, i) => 64 + i * size)
    const [ours, ...others] = Object.entries(candidates).map(([name, add]) => {
      if (starts.some((at) => fold(add(at, at + size)) !== fold(oneWord(large, at, at + size)))) throw new Error(`${name} is wrong`)
      return {
        name,
        run () {
          let all = 0
          for (let i = 0; i < 32; i++) for (const at of starts) all ^= fold(add(at, at + size))
          return all > 0x10000 ? 0 : 32 * COUNT
        }
      }
    })
    await measure(run, { bench: 'Internet checksum', params: { size }, unit: 'packet', ...ours }, ...others)
  }
}
