/** Holds the beginning of a frame that spans reads. */
import { BufferList } from 'bl'

/** Small parts share blocks of this many bytes: a packet, mostly, so that there is nothing to join. */
const BLOCK = 2048

const EMPTY = Buffer.alloc(0)

/**
 * Collects copies of parts and joins them once, when the frame is complete.
 *
 * A part is not kept as an object of its own: the sender may deliver single bytes, and neither those objects nor slices
 * of Node's shared pool (where one byte keeps 8 KiB alive) are bounded by the bytes received. Blocks are: they take 2 KiB
 * more at most.
 */
export class Collector {
  /** The blocks before the last; made when there is a second one, since each idle connection has collectors. */
  #full: BufferList | undefined
  #block = EMPTY
  #used = 0

  get length (): number { return (this.#full?.length ?? 0) + this.#used }

  append (part: Uint8Array): void {
    const fits = Math.min(part.length, this.#block.length - this.#used)
    this.#block.set(fits === part.length ? part : part.subarray(0, fits), this.#used)
    this.#used += fits
    if (fits === part.length) return
    if (this.#used > 0) (this.#full ??= new BufferList()).append(this.#block)
    this.#used = part.length - fits
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, this.#used))
    this.#block.set(fits === 0 ? part : part.subarray(fits))
  }

  /** The first bytes, as many of them as there are, without taking them. */
  peek (bytes: number): Uint8Array {
    if (this.#full === undefined) return this.#block.subarray(0, Math.min(bytes, this.#used))
    const whole = this.#full.duplicate().append(this.#block.subarray(0, this.#used)) as BufferList
    return whole.slice(0, bytes)
  }

  /** Hands over everything, in memory of its own, and starts anew. */
  take (): Buffer {
    const last = this.#block.subarray(0, this.#used)
    const bytes = this.#full === undefined ? last : this.#full.append(last).slice()
    this.#full = undefined
    this.#block = EMPTY
    this.#used = 0
    return bytes
  }
}
