/**
 * Addresses of memory as numbers: for calls on many pieces of memory, as an address costs a quarter of what a view costs as an argument.
 *
 * The memory of an `ArrayBuffer` never moves, so its address is asked for once. An address keeps nothing alive: it is valid for as long as
 * the caller holds the view.
 */
import type { Libc } from './libc.ts'

/** Pieces of memory that are in use by turns, as of a message, its digest and its signature. */
const RECENT = 4

export class MemoryAddresses {
  readonly #address: Libc['address']
  readonly #bases = new WeakMap<ArrayBufferLike, number>()
  /** Those that were asked for last, in turn: a map is slower. */
  readonly #recent: Array<ArrayBufferLike | undefined> = new Array(RECENT).fill(undefined)
  readonly #recentBases = new Float64Array(RECENT)
  #oldest = 0

  constructor ({ address }: Pick<Libc, 'address'>) { this.#address = address }

  /** The address of the first byte of a view; of an empty view it means nothing. */
  of (view: Uint8Array): number {
    // Before the address is asked for: memory of a few bytes is outside of the heap, and stays where it is, only once there is a buffer.
    const { buffer } = view
    for (let i = 0; i < RECENT; i++) if (this.#recent[i] === buffer) return this.#recentBases[i] + view.byteOffset
    let base = this.#bases.get(buffer)
    if (base === undefined) {
      if (view.length === 0) return 0
      base = this.#address(view) - view.byteOffset
      this.#bases.set(buffer, base)
    }
    this.#recent[this.#oldest] = buffer
    this.#recentBases[this.#oldest] = base
    this.#oldest = (this.#oldest + 1) % RECENT
    return base + view.byteOffset
  }
}
