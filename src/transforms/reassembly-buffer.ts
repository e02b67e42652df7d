/** Holds the beginning of a frame that spans reads. */
import { BufferList } from 'bl'

/** Small parts share blocks of this size: enough for most packets, so that nothing has to be joined. */
const BLOCK = 2048

/** Memory for a whole frame is allocated once this fraction of it has arrived. */
const SHARE = 4

const EMPTY = Buffer.alloc(0)

/**
 * Collects copies of parts and joins them once: at the end, or as soon as enough of a known total has arrived; then later parts are copied
 * to their final place.
 *
 * Parts are not kept as objects: the sender may deliver single bytes, and neither such objects nor slices of Node's shared pool (where one
 * byte keeps 8 KiB alive) are bounded by the bytes received. `capacity` is: by four times those bytes, or by them and 2 KiB.
 */
export class ReassemblyBuffer {
  /** The blocks before the last; created with the second one, since each idle connection has such buffers. */
  #full: BufferList | undefined
  #block = EMPTY
  #used = 0

  get length (): number { return (this.#full?.length ?? 0) + this.#used }

  /** Bytes of memory in use. */
  get capacity (): number { return (this.#full?.length ?? 0) + this.#block.length }

  /** Appends a copy. `need` is the total of bytes, 0 while unknown; it may change. */
  append (part: Uint8Array, need = 0): void {
    if (part.length > this.#block.length - this.#used) {
      const total = this.length + part.length
      if (total <= need && (need <= BLOCK || total * SHARE >= need)) this.#moveTo(need)
      else part = this.#newBlock(part)
    }
    this.#block.set(part, this.#used)
    this.#used += part.length
  }

  /** Up to `bytes` of the first bytes, without removing them. */
  peek (bytes: number): Uint8Array {
    if (this.#full === undefined) return this.#block.subarray(0, Math.min(bytes, this.#used))
    const whole = this.#full.duplicate().append(this.#block.subarray(0, this.#used)) as BufferList
    return whole.slice(0, bytes)
  }

  /** Returns everything in its own memory, and starts over. */
  take (): Buffer {
    const last = this.#block.subarray(0, this.#used)
    const bytes = this.#full === undefined ? last : this.#full.append(last).slice()
    this.#full = undefined
    this.#block = EMPTY
    this.#used = 0
    return bytes
  }

  /** Continues in one block of this size. */
  #moveTo (size: number): void {
    const whole = Buffer.allocUnsafeSlow(size)
    const length = this.length
    this.#full?.copy(whole)
    whole.set(this.#block.subarray(0, this.#used), length - this.#used)
    this.#full = undefined
    this.#block = whole
    this.#used = length
  }

  /** Fills the block and starts another one. Returns the rest of the part, which fits there. */
  #newBlock (part: Uint8Array): Uint8Array {
    const fits = this.#block.length - this.#used
    this.#block.set(part.subarray(0, fits), this.#used)
    if (this.#block.length > 0) (this.#full ??= new BufferList()).append(this.#block)
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, part.length - fits))
    this.#used = 0
    return part.subarray(fits)
  }
}
