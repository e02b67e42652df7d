/** The Internet checksum: ways of adding its words. The first is the one in use; it takes `twoSums` for small packets. */
import { addWords, fold } from '../src/tun/checksum.ts'
import { measure } from './harness.ts'

/** One 16-bit word a step. */
function oneWord (bytes: Uint8Array, from = 0, to = bytes.length, sum = 0): number {
  let at = from
  for (const end = to - 1; at < end; at += 2) sum += (bytes[at] << 8) | bytes[at + 1]
  return at < to ? sum + (bytes[at] << 8) : sum
}

/** Four bytes a step, into two sums. */
function twoSums (bytes: Uint8Array, from = 0, to = bytes.length, sum = 0): number {
  let high = 0
  let low = 0
  let at = from
  for (const end = to - 3; at < end; at += 4) {
    high += (bytes[at] << 8) | bytes[at + 1]
    low += (bytes[at + 2] << 8) | bytes[at + 3]
  }
  return oneWord(bytes, at, to, sum + high + low)
}

/** 32-bit words of an array, where it is aligned; the bytes of the sum are swapped at the end (RFC 1071 section 2). */
function wordArray (bytes: Uint8Array, from = 0, to = bytes.length, sum = 0): number {
  const start = bytes.byteOffset + from
  if (start % 4 !== 0) return addWords(bytes, from, to, sum)
  const words = new Uint32Array(bytes.buffer, start, (to - from) >> 2)
  let high = 0
  let low = 0
  for (let i = 0; i < words.length; i++) {
    const word = words[i]
    high += word >>> 16
    low += word & 0xffff
  }
  let swapped = high + low
  while (swapped > 0xffff) swapped = Math.floor(swapped / 0x10000) + (swapped & 0xffff)
  return oneWord(bytes, from + words.length * 4, to, sum + (swapped >>> 8) + ((swapped & 0xff) << 8))
}

for (const size of [64, 1360]) {
  const packets = Array.from({ length: 64 }, (_, i) => Buffer.alloc(size + 4, i + 1).subarray(0, size))
  for (const [name, add] of Object.entries({ 'in use': addWords, 'one word': oneWord, 'two sums': twoSums, 'word array': wordArray })) {
    if (packets.some((packet) => fold(add(packet)) !== fold(addWords(packet)))) throw new Error(`${name} is wrong`)
    await measure({
      bench: 'ipv4/checksum',
      name,
      params: { size },
      run () {
        let all = 0
        for (let i = 0; i < 32; i++) {
          for (const packet of packets) all ^= fold(add(packet))
        }
        return all > 0x10000 ? 0 : 32 * packets.length
      }
    })
  }
}
