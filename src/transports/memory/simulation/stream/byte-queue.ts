/** Bytes in order, copied into blocks: what waits to be acknowledged, and what waits for its reader. */

const SMALLEST_BLOCK = 4 << 10
const LARGEST_BLOCK = 64 << 10

interface Block {
  readonly bytes: Uint8Array
  start: number
  end: number
}

/** Blocks are never written twice, so views of them stay valid. */
export class ByteQueue {
  #length = 0
  readonly #blocks: Block[] = []

  get length (): number { return this.#length }

  append (bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const block = this.#tail(bytes.length - at)
      const part = bytes.subarray(at, at + block.bytes.length - block.end)
      block.bytes.set(part, block.end)
      block.end += part.length
      this.#length += part.length
      at += part.length
    }
  }

  /** A view of `length` bytes from `offset` on, a copy where they are in several blocks. Both have to be within the queue. */
  view (offset: number, length: number): Uint8Array {
    let skip = offset
    let index = 0
    for (let size; skip >= (size = this.#sizeAt(index)); index++) skip -= size
    const { bytes, start, end } = this.#blocks[index]
    if (start + skip + length <= end) return bytes.subarray(start + skip, start + skip + length)
    const copy = new Uint8Array(length)
    for (let at = 0; at < length; index++) {
      const block = this.#blocks[index]
      const part = block.bytes.subarray(block.start + skip, Math.min(block.end, block.start + skip + length - at))
      copy.set(part, at)
      at += part.length
      skip = 0
    }
    return copy
  }

  /** Removes bytes from the front. */
  discard (count: number): void {
    this.#length -= count
    for (let left = count; left > 0;) {
      const block = this.#blocks[0]
      const part = Math.min(left, block.end - block.start)
      block.start += part
      left -= part
      if (block.start === block.end && (this.#blocks.length > 1 || block.end === block.bytes.length)) this.#blocks.shift()
    }
  }

  /** Removes the bytes of one block, and returns them; undefined when there are none. */
  take (): Uint8Array | undefined {
    if (this.#length === 0) return undefined
    const size = this.#sizeAt(0)
    const taken = this.view(0, size)
    this.discard(size)
    return taken
  }

  clear (): void { this.discard(this.#length) }

  #sizeAt (index: number): number { return this.#blocks[index].end - this.#blocks[index].start }

  /** A block with room: larger ones for a queue that has much. */
  #tail (need: number): Block {
    const last = this.#blocks.at(-1)
    if (last !== undefined && last.end < last.bytes.length) return last
    const size = Math.min(LARGEST_BLOCK, Math.max(SMALLEST_BLOCK, need, this.#length))
    const block = { bytes: Buffer.allocUnsafeSlow(size), start: 0, end: 0 }
    this.#blocks.push(block)
    return block
  }
}
