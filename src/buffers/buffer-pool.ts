/**
 * Memory that is used again. To make and collect 64 KiB for each read or write costs more than the read or write.
 *
 * Whoever borrows hands it on, and whoever has used it last gives it back, or leaves it to the garbage collector.
 *
 * Who masks what is in it borrows `simd` memory; there is less of that, so it may be any other as well.
 */
import { PAGE, simdMemory, simdOf } from './simd/memory.ts'

/** Bytes of a piece. */
export const SIZES = [16 * 1024, 64 * 1024, 256 * 1024] as const

/** Bytes that wait to be used again, for each size; what comes back beyond that is left to the garbage collector. */
const MAX_FREE_BYTES = 4 * 1024 * 1024

/** What is smaller than this comes from Node's own pool. */
const MIN_POOLED_BYTES = 4 * 1024

type Size = typeof SIZES[number]

const newFree = (): Map<number, Buffer[]> => new Map(SIZES.map((size) => [size, []]))
const free = newFree()
const freeSimd = newFree()
const acquired = new WeakSet<ArrayBufferLike>()

/** A whole piece of one of the {@link SIZES}. */
export function acquireBlock (size: Size, simd = false): Buffer {
  const buffer = (simd ? freeSimd.get(size)?.pop() ?? newSimd(size) : undefined) ?? free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size)
  acquired.add(buffer.buffer)
  return buffer
}

function newSimd (size: Size): Buffer | undefined {
  const memory = size % PAGE === 0 ? simdMemory(size) : undefined
  return memory === undefined ? undefined : Buffer.from(memory)
}

/** So many bytes, with anything in them. */
export function acquire (length: number, simd = false): Buffer {
  const size = length < MIN_POOLED_BYTES ? undefined : SIZES.find((size) => size >= length)
  return size === undefined ? Buffer.allocUnsafe(length) : acquireBlock(size, simd).subarray(0, length)
}

/** Gives the memory of views back that was borrowed; of others nothing happens. Nobody may look at them any more. */
export function release (views: readonly Uint8Array[]): void {
  for (const { buffer } of views) {
    if (!acquired.delete(buffer)) continue
    const list = (simdOf(buffer) === undefined ? free : freeSimd).get(buffer.byteLength)
    if (list !== undefined && (list.length + 1) * buffer.byteLength <= MAX_FREE_BYTES) list.push(Buffer.from(buffer))
  }
}
