/**
 * A buffer pool: allocating and collecting 64 KiB for each read or write costs more than the read or write.
 *
 * A buffer that was acquired may be passed on; the last user releases it, or leaves it to the garbage collector.
 *
 * Code that masks the bytes asks for `simd` memory. There is less of that, so other memory may be returned.
 */
import { PAGE, simdMemory, simdOf } from './simd/memory.ts'

/** Block sizes in bytes. */
export const SIZES = [16 * 1024, 64 * 1024, 256 * 1024] as const

/** Bytes of free blocks of each size; blocks released beyond that are left to the garbage collector. */
const MAX_FREE_BYTES = 4 * 1024 * 1024

/** Bytes. Smaller buffers come from Node's own pool. */
export const MIN_POOLED_BYTES = 4 * 1024

type Size = typeof SIZES[number]

const newFree = (): Map<number, Buffer[]> => new Map(SIZES.map((size) => [size, []]))
const free = newFree()
const freeSimd = newFree()
const acquired = new WeakSet<ArrayBufferLike>()

/** A whole block of one of the {@link SIZES}, not zeroed. */
export function acquireBlock (size: Size, simd = false): Buffer {
  const buffer = (simd ? freeSimd.get(size)?.pop() ?? newSimd(size) : undefined) ?? free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size)
  acquired.add(buffer.buffer)
  return buffer
}

function newSimd (size: Size): Buffer | undefined {
  const memory = size % PAGE === 0 ? simdMemory(size) : undefined
  return memory === undefined ? undefined : Buffer.from(memory)
}

/** A buffer of `length` bytes, not zeroed. */
export function acquire (length: number, simd = false): Buffer {
  const size = length < MIN_POOLED_BYTES ? undefined : SIZES.find((size) => size >= length)
  return size === undefined ? Buffer.allocUnsafe(length) : acquireBlock(size, simd).subarray(0, length)
}

/** Returns the blocks of these views to the pool; memory that is not of the pool is ignored. The views must not be used any more. */
export function release (views: readonly Uint8Array[]): void {
  for (const { buffer } of views) {
    if (!acquired.delete(buffer)) continue
    const list = (simdOf(buffer) === undefined ? free : freeSimd).get(buffer.byteLength)
    if (list !== undefined && (list.length + 1) * buffer.byteLength <= MAX_FREE_BYTES) list.push(Buffer.from(buffer))
  }
}
