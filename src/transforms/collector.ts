/** Holds the beginning of a frame that spans reads. */
import { BufferList } from 'bl'

/** Pieces are joined when there are more than this, plus one for each `BYTES_PER_PIECE` bytes held. */
const MIN_PIECES = 32
const BYTES_PER_PIECE = 256

/**
 * Collects copies of pieces and joins them once, when the frame is complete.
 *
 * A sender that delivers single bytes would make the list itself many times larger than what it holds, so small pieces
 * are joined in between; their number grows with the size, which keeps the whole cost linear in the bytes received.
 */
export class Collector {
  #list = new BufferList()
  #pieces = 0

  get length (): number { return this.#list.length }

  append (piece: Uint8Array): void {
    this.#list.append(Buffer.from(piece)) // kept beyond the batch, so copied
    if (++this.#pieces > MIN_PIECES + this.#list.length / BYTES_PER_PIECE) {
      this.#list = new BufferList(this.#list.slice())
      this.#pieces = 1
    }
  }

  /** Hands over everything, in memory of its own, and starts anew. */
  take (): Uint8Array {
    const bytes = this.#list.slice()
    this.#list = new BufferList()
    this.#pieces = 0
    return bytes
  }

  /** The first bytes, without taking them. */
  peek (bytes: number): Uint8Array { return this.#list.slice(0, bytes) }
}
