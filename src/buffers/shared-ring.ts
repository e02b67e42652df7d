/**
 * A bounded single-producer, single-consumer queue of byte blocks between two threads, in shared memory. `postMessage` has no bound and
 * copies everything twice. A thread that waits for the other one announces it (`sleep`, `wait`) and is woken through a message port of
 * the caller.
 *
 * ```ts
 * const memory = newRing()                            // posted to both threads
 * if (!writer.write([to, from, 0, 0, 0], block)) dropped++ // there was no room
 * if (writer.wake()) port.postMessage(0)              // once a read of a socket
 *
 * port.on('message', () => { do reader.read(take); while (!reader.sleep()) })
 * ```
 */

/** Metadata of a block: 32-bit numbers with a meaning for the caller only. */
export type Label = readonly [number, number, number, number, number]

/** Bytes of one ring. */
const CAPACITY = 2 << 20

/** Indices of the counters, as 32-bit words. Each has its own cache line, since two processors write to them. */
const WRITTEN = 0
const READ = 16
const ASLEEP = 32
const WAITING = 48
const CONTROL_BYTES = 256

/** High-water mark in bytes: beyond it a writer that can wait does so, while the data is still in the processor caches. */
const HIGH = 256 * 1024

/**
 * Below this many free bytes the writer has to wait: twice the largest block of one read of a link, since a block that does not fit before
 * the end of the ring starts again at its beginning.
 */
const LOW = 1088 * 1024

/** Words of a record header: length of the record, length of the block, and the label. A multiple of 8 bytes, as every record is. */
const HEAD_WORDS = 8
const HEAD_BYTES = HEAD_WORDS * 4

/** Instead of a length: the next record is at the beginning of the ring. */
const WRAP = 0

/**
 * V8 copies to and from shared memory by words where both addresses are aligned, and by bytes otherwise, which takes eight times as
 * long.
 */
const even = (length: number): number => (length + 7) & ~7

export const newRing = (): SharedArrayBuffer => new SharedArrayBuffer(CONTROL_BYTES + CAPACITY)

abstract class RingEnd {
  /** Counters of bytes, modulo 2^32; their difference is the number of bytes in the ring. */
  protected readonly control: Int32Array
  protected readonly words: Uint32Array
  protected readonly bytes: Uint8Array

  constructor (memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, CONTROL_BYTES / 4)
    this.words = new Uint32Array(memory, CONTROL_BYTES)
    this.bytes = new Uint8Array(memory, CONTROL_BYTES)
  }
}

export class RingWriter extends RingEnd {
  /** Maximum size of a block in bytes. */
  static readonly MAX_BLOCK = CAPACITY / 2 - HEAD_BYTES

  #written = 0
  #read = 0

  /**
   * Copies a block into the ring. Fast for blocks that are aligned to 8 bytes, in memory that extends to the next multiple of 8.
   *
   * @returns false when there is no room
   */
  write (label: Label, block: Uint8Array): boolean {
    const size = HEAD_BYTES + even(block.length)
    const start = this.#written & (CAPACITY - 1)
    const gap = CAPACITY - start < size ? CAPACITY - start : 0
    if (block.length > RingWriter.MAX_BLOCK || !this.#hasRoom(gap + size)) return false
    if (gap > 0) this.words[start >> 2] = WRAP
    const at = gap > 0 ? 0 : start
    let word = at >> 2
    this.words[word++] = size
    this.words[word++] = block.length
    for (let i = 0; i < label.length; i++) this.words[word++] = label[i]
    this.bytes.set(upToWord(block), at + HEAD_BYTES)
    this.#written = (this.#written + gap + size) | 0
    Atomics.store(this.control, WRITTEN, this.#written)
    return true
  }

  /** True when the reader sleeps: the caller has to wake it, once. */
  wake (): boolean {
    return Atomics.load(this.control, ASLEEP) === 1 && Atomics.exchange(this.control, ASLEEP, 0) === 1
  }

  /** Whether a writer that can wait should do so. */
  get isCrowded (): boolean { return !this.#hasRoom(CAPACITY - HIGH) }

  /** Whether the writer has to wait. */
  get isFull (): boolean { return !this.#hasRoom(LOW) }

  /** Asks the reader to report free room. False when there is room already. */
  wait (): boolean {
    Atomics.store(this.control, WAITING, 1)
    if (this.isCrowded) return true
    Atomics.store(this.control, WAITING, 0)
    return false
  }

  #hasRoom (size: number): boolean {
    if (CAPACITY - ((this.#written - this.#read) | 0) >= size) return true
    this.#read = Atomics.load(this.control, READ)
    return CAPACITY - ((this.#written - this.#read) | 0) >= size
  }
}

/** The block extended to a multiple of 8 bytes, so that the whole of it is copied by words. */
function upToWord (block: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = block
  return byteOffset + even(length) > buffer.byteLength ? block : new Uint8Array(buffer, byteOffset, even(length))
}

export type TakeBlock = (label: Label, block: Uint8Array) => void

export class RingReader extends RingEnd {
  readonly #allocate: (length: number) => Uint8Array
  #read = 0

  /** @param allocate returns memory for a block, aligned to 8 bytes. Default: new memory each time */
  constructor (memory: SharedArrayBuffer, allocate: (length: number) => Uint8Array = (length) => new Uint8Array(length)) {
    super(memory)
    this.#allocate = allocate
  }

  /** Passes on the blocks that are in the ring at the time of the call; later ones wait for the next call. */
  read (take: TakeBlock): void {
    const { words } = this
    const written = Atomics.load(this.control, WRITTEN)
    while (this.#read !== written) {
      const at = this.#read & (CAPACITY - 1)
      let word = at >> 2
      const size = words[word++]
      if (size === WRAP) {
        this.#read = (this.#read + CAPACITY - at) | 0
        continue
      }
      const length = words[word++]
      const label: Label = [words[word], words[word + 1], words[word + 2], words[word + 3], words[word + 4]]
      const block = this.#allocate(even(length))
      block.set(this.bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + even(length)))
      this.#read = (this.#read + size) | 0
      Atomics.store(this.control, READ, this.#read)
      take(label, block.subarray(0, length))
    }
  }

  /** True when the writer waits for room: the caller has to wake it, once. */
  wake (): boolean {
    return Atomics.load(this.control, WAITING) === 1 && Atomics.exchange(this.control, WAITING, 0) === 1
  }

  /** Asks the writer to wake this thread. False when a block has arrived meanwhile: read on. */
  sleep (): boolean {
    Atomics.store(this.control, ASLEEP, 1)
    if (Atomics.load(this.control, WRITTEN) === this.#read) return true
    // the writer may have seen the sleep flag just now: then there is a spurious wake-up
    Atomics.store(this.control, ASLEEP, 0)
    return false
  }
}
