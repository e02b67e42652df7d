/**
 * A bounded queue of blocks of bytes from one thread to another, in memory that both see. One thread writes and one reads. Nothing
 * passes through Node's own queue between threads, which has no bound and copies everything twice; a thread that has nothing to do
 * until the other has done something says so (`sleep`, `wait`), and is then woken through a port of whoever uses this.
 *
 * ```ts
 * const memory = newRing()                            // is posted to both
 * if (!writer.write([to, from, 0, 0, 0], block)) dropped++ // there was no room
 * if (writer.wake()) port.postMessage(0)              // once a read of a socket
 *
 * port.on('message', () => { do reader.read(take); while (!reader.sleep()) })
 * ```
 */

/** What goes with a block: numbers of 32 bits, whose meaning is that of whoever uses this. */
export type Label = readonly [number, number, number, number, number]

/** Bytes that wait for a thread which has other work to do. */
const CAPACITY = 2 << 20

/** Where the counters stand, as 32-bit words; each in a cache line of its own, since two processors write to them. */
const WRITTEN = 0
const READ = 16
const ASLEEP = 32
const WAITING = 48
const CONTROL_BYTES = 256

/** A writer that can wait does so beyond this many bytes: what is far behind has left the caches of both processors when it is read. */
const HIGH = 256 * 1024

/**
 * Below this many free bytes it has to: twice as many as a block of what one read of a link brings may have, since a block that does not
 * fit in front of the end begins anew behind it.
 */
const LOW = 1088 * 1024

/** Words in front of a block: bytes of the whole record, of the block, and the label. A multiple of 8 bytes, as every record is. */
const HEAD_WORDS = 8
const HEAD_BYTES = HEAD_WORDS * 4

/** In place of the bytes of a record: the next one stands at the beginning. */
const WRAP = 0

/**
 * V8 copies to and from shared memory word by word where both places are multiples of a word, and byte by byte else, which takes
 * eight times as long.
 */
const even = (length: number): number => (length + 7) & ~7

export const newRing = (): SharedArrayBuffer => new SharedArrayBuffer(CONTROL_BYTES + CAPACITY)

abstract class RingEnd {
  /** Counters of bytes, which run over; their difference is what is in the ring. */
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
  /** Bytes that a block may have at most. */
  static readonly MAX_BLOCK = CAPACITY / 2 - HEAD_BYTES

  #written = 0
  #read = 0

  /**
   * Copies a block into the ring. Fast when it lies at a multiple of 8, in memory that goes on to the next one.
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

  /** True when the reader sleeps: then it is to be woken, once. */
  wake (): boolean {
    return Atomics.load(this.control, ASLEEP) === 1 && Atomics.exchange(this.control, ASLEEP, 0) === 1
  }

  /** Whether a writer that can wait should before it takes more to write. */
  get isCrowded (): boolean { return !this.#hasRoom(CAPACITY - HIGH) }

  /** Whether it must. */
  get isFull (): boolean { return !this.#hasRoom(LOW) }

  /** From now on the reader says when it has made room. False when there is some by now. */
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

/** The block with what is behind it up to a multiple of 8, so that the last bytes of it are no exception. */
function upToWord (block: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = block
  return byteOffset + even(length) > buffer.byteLength ? block : new Uint8Array(buffer, byteOffset, even(length))
}

export type TakeBlock = (label: Label, block: Uint8Array) => void

export class RingReader extends RingEnd {
  readonly #allocate: (length: number) => Uint8Array
  #read = 0

  /** @param allocate where blocks get their memory, at a multiple of 8. Default: new memory each time */
  constructor (memory: SharedArrayBuffer, allocate: (length: number) => Uint8Array = (length) => new Uint8Array(length)) {
    super(memory)
    this.#allocate = allocate
  }

  /** Hands over what is there when it is called, and not what comes meanwhile. */
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

  /** True when the writer waits for room: then it is to be told, once. */
  wake (): boolean {
    return Atomics.load(this.control, WAITING) === 1 && Atomics.exchange(this.control, WAITING, 0) === 1
  }

  /** From now on the writer wakes this end. False when something has come before: then it is not asleep, and reads on. */
  sleep (): boolean {
    Atomics.store(this.control, ASLEEP, 1)
    if (Atomics.load(this.control, WRITTEN) === this.#read) return true
    // the writer may have seen it asleep just now: then a wake-up comes, for nothing
    Atomics.store(this.control, ASLEEP, 0)
    return false
  }
}
