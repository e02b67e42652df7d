/**
 * Memory whose bytes WebAssembly masks and adds sixteen at a time, where they lie. That takes memory which was made here: each
 * piece is a WebAssembly memory of its own. It never grows, so its buffer stays what it is, and the garbage collector takes it like
 * any other.
 *
 * Where there is no WebAssembly, no SIMD in it or no room for it, there are no such pieces, and other memory does as well: everything
 * that has a way for these has one for any memory.
 */
import { readFileSync } from 'node:fs'
import { MODULE, type Simd } from './functions.ts'

/** A piece is a multiple of this many bytes. */
export const PAGE = 64 * 1024

/** Pieces at one time, as each takes 10 GiB of addresses, though not of memory: V8 keeps those behind a piece free, in place of checks. */
const MAX_PIECES = 64

interface Memory { readonly buffer: ArrayBuffer }
interface Instance { readonly exports: unknown }

/** The part in use here; the types of Node have none of it. */
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

/** Undefined until the first piece is asked for; null where there are none. */
let module: object | null | undefined

function compile (): object | null {
  return wasm !== undefined && wasm.validate(MODULE) && !isBounded() ? new wasm.Module(MODULE) : null
}

/** Whether this process may have so many addresses and no more (`ulimit -v`): pieces would take them from what cannot go without. */
function isBounded (): boolean {
  try {
    return !/^Max address space +unlimited/m.test(readFileSync('/proc/self/limits', 'utf8'))
  } catch {
    return false // no Linux
  }
}

/** New memory of zeros with so many bytes, a multiple of {@link PAGE}; undefined when it has to be other memory. */
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
    module = null // no room: to ask again for each read would be slow
    return undefined
  }
}

/** The functions that reach some memory; undefined when it is no such piece. */
export const simdOf = (buffer: ArrayBufferLike): Simd | undefined => pieces.get(buffer)
