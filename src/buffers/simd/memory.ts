/**
 * Buffers that WebAssembly masks and sums in place, sixteen bytes at a time. Each is its own `WebAssembly.Memory`, which never grows, so
 * its `ArrayBuffer` stays valid and is garbage-collected like any other.
 *
 * Without WebAssembly, without SIMD, or without address space there are none: all users have a fallback for other memory.
 */
import { readFileSync } from 'node:fs'
import { MODULE, type Simd } from './functions.ts'

/** WebAssembly page size in bytes; the size of a memory is a multiple of it. */
export const PAGE = 64 * 1024

/** Maximum number of memories: V8 reserves 10 GiB of address space for each, as guard regions instead of bounds checks. */
const MAX_PIECES = 64

interface Memory { readonly buffer: ArrayBuffer }
interface Instance { readonly exports: unknown }

/** The part of WebAssembly in use here; the types of Node do not declare it. */
interface WebAssembly {
  validate (module: Uint8Array): boolean
  Module: new (bytes: Uint8Array) => object
  Memory: new (pages: { initial: number, maximum: number }) => Memory
  Instance: new (module: object, imports: { js: { memory: Memory } }) => Instance
}

const { WebAssembly: wasm } = globalThis as unknown as { WebAssembly?: WebAssembly }

const pieces = new WeakMap<ArrayBufferLike, Simd>()
let count = 0
const collected = new FinalizationRegistry(() => { count-- })

/** Undefined before the first use; null where WebAssembly memory cannot be used. */
let module: object | null | undefined

function compile (): object | null {
  return wasm !== undefined && wasm.validate(MODULE) && !isBounded() ? new wasm.Module(MODULE) : null
}

/** Whether the address space of this process is limited (`ulimit -v`): then guard regions would take what other allocations need. */
function isBounded (): boolean {
  try {
    return !/^Max address space +unlimited/m.test(readFileSync('/proc/self/limits', 'utf8'))
  } catch {
    return false // not Linux
  }
}

/** New zeroed memory; undefined when none can be had. `bytes` is a multiple of {@link PAGE}. */
export function simdMemory (bytes: number): ArrayBuffer | undefined {
  if (count >= MAX_PIECES || module === null) return undefined
  try {
    module ??= compile()
    if (module === null || wasm === undefined) return undefined
    const memory = new wasm.Memory({ initial: bytes / PAGE, maximum: bytes / PAGE })
    pieces.set(memory.buffer, new wasm.Instance(module, { js: { memory } }).exports as Simd)
    collected.register(memory.buffer, undefined)
    count++
    return memory.buffer
  } catch {
    module = null // no address space: trying again at each read would be slow
    return undefined
  }
}

/** The functions for a buffer; undefined for one that was not made by `simdMemory`. */
export const simdOf = (buffer: ArrayBufferLike): Simd | undefined => pieces.get(buffer)
