/** The bytes of a stream that were sent and are not acknowledged, and the next ones. */

const SMALLEST = 16 << 10

/** A ring of bytes by their offset in the stream, which grows up to a limit. */
export class SendBuffer {
  /** Offset of the first byte, and behind the last one. */
  begin = 0
  end = 0
  #memory: Uint8Array = new Uint8Array(0)
  readonly #limit: number

  constructor (limit: number) { this.#limit = limit }

  /** Bytes of memory in use. */
  get capacity (): number { return this.#memory.length }

  /** Bytes that can be added. */
  get room (): number { return this.#limit - (this.end - this.begin) }

  /** Adds bytes, for which there has to be room. */
  write (bytes: Uint8Array, from: number, to: number): void {
    const size = to - from
    if (this.end - this.begin + size > this.#memory.length) this.#grow(this.end - this.begin + size)
    const capacity = this.#memory.length
    const at = this.end % capacity
    const first = Math.min(size, capacity - at)
    this.#memory.set(from === 0 && first === bytes.length ? bytes : bytes.subarray(from, from + first), at)
    if (first < size) this.#memory.set(bytes.subarray(from + first, to), 0)
    this.end += size
  }

  /** Copies bytes from an offset on. */
  copy (offset: number, size: number, into: Uint8Array, at: number): void {
    const capacity = this.#memory.length
    const from = offset % capacity
    const first = Math.min(size, capacity - from)
    into.set(this.#memory.subarray(from, from + first), at)
    if (first < size) into.set(this.#memory.subarray(0, size - first), at + first)
  }

  /** Bytes before this offset are not needed any more. */
  release (offset: number): void { this.begin = Math.max(this.begin, offset) }

  /** Gives its memory back where it is empty. */
  shrink (): void {
    if (this.begin === this.end) this.#memory = new Uint8Array(0)
  }

  #grow (size: number): void {
    let capacity = Math.max(SMALLEST, this.#memory.length)
    while (capacity < size) capacity *= 2
    const memory = new Uint8Array(capacity)
    const used = this.end - this.begin
    for (let done = 0; done < used;) { // piece by piece, as either ring may wrap
      const offset = this.begin + done
      const piece = Math.min(used - done, this.#memory.length - offset % this.#memory.length, capacity - offset % capacity)
      const from = offset % this.#memory.length
      memory.set(this.#memory.subarray(from, from + piece), offset % capacity)
      done += piece
    }
    this.#memory = memory
  }
}
