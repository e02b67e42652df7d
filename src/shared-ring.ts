/**
 * A bounded queue of messages from one thread to another, in memory that both see. One thread writes and one reads. No message
 * passes through Node's own queue between threads, which has no bound and copies each of them twice; a thread that has nothing to do
 * until the other has done something says so (`sleep`, `wait`), and is then woken through a port of whoever uses this.
 *
 * ```ts
 * const memory = newRing()                                         // is posted to both
 * if (!writer.write(tag, to, from, batch)) dropped += batch.length // there was no room
 * if (writer.wake()) port.postMessage(0)                           // once a read of a socket
 *
 * port.on('message', () => { do reader.read(take); while (!reader.sleep()) })
 * ```
 */
import type { Batch } from './types.ts'

/** Bytes that wait for a thread which has other work to do. */
const CAPACITY = 2 << 20

/** Where the counters stand, as 32-bit words; each in a cache line of its own, since two processors write to them. */
const WRITTEN = 0
const READ = 16
const ASLEEP = 32
const WAITING = 48
const CONTROL_BYTES = 256

/**
 * A writer that can wait does so below this many free bytes: twice what one batch of a link has at most, since a batch that does not
 * fit in front of the end begins anew behind it.
 */
const LOW = 1088 * 1024

/**
 * Messages pass through plain memory on both ends: V8 copies to and from shared memory by single words, and by single bytes where the
 * two do not lie alike. In large pieces at even places that is a quarter of the price that it is for each message.
 */
const outgoing = new Uint8Array(32 * 1024)
const incoming = new Uint8Array(CAPACITY / 2)

/** Words in front of the lengths of messages: bytes of the whole record, tag, receiver, sender, and how many messages. */
const HEADER_WORDS = 5

/** In place of the bytes of a record: the next one stands at the beginning. */
const WRAP = 0

const NOTHING = new Uint8Array(0)

const even = (length: number): number => (length + 7) & ~7

/** Where the messages of a record begin. */
const headLength = (count: number): number => even((HEADER_WORDS + count) * 4)

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
  /** Bytes that a batch may have at most, with 4 for each message and 20 for itself, up to the next multiple of 8. */
  static readonly MAX_BATCH = CAPACITY / 2

  #written = 0
  #read = 0

  /**
   * Copies messages into the ring, all of them or none.
   *
   * @param tag a number of 32 bits that the reader is given, as `to` and `from`
   * @returns false when there is no room
   */
  write (tag: number, to: number, from: number, batch: Batch): boolean {
    const head = headLength(batch.length)
    let size = head
    for (let i = 0; i < batch.length; i++) size += batch[i].length
    size = even(size)
    const start = this.#written & (CAPACITY - 1)
    const gap = CAPACITY - start < size ? CAPACITY - start : 0
    if (size > RingWriter.MAX_BATCH || !this.#hasRoom(gap + size)) return false
    if (gap > 0) this.words[start >> 2] = WRAP
    const at = gap > 0 ? 0 : start
    let word = at >> 2
    this.words[word++] = size
    this.words[word++] = tag
    this.words[word++] = to
    this.words[word++] = from
    this.words[word++] = batch.length
    for (let i = 0; i < batch.length; i++) this.words[word++] = batch[i].length
    this.#copy(batch, at + head)
    this.#written = (this.#written + gap + size) | 0
    Atomics.store(this.control, WRITTEN, this.#written)
    return true
  }

  /** True when the reader sleeps: then it is to be woken, once. */
  wake (): boolean {
    return Atomics.load(this.control, ASLEEP) === 1 && Atomics.exchange(this.control, ASLEEP, 0) === 1
  }

  /** Whether a writer that can wait should. */
  get isCrowded (): boolean { return !this.#hasRoom(LOW) }

  /** From now on the reader says when it has made room. False when there is some by now. */
  wait (): boolean {
    Atomics.store(this.control, WAITING, 1)
    if (this.isCrowded) return true
    Atomics.store(this.control, WAITING, 0)
    return false
  }

  #copy (batch: Batch, at: number): void {
    let [to, used] = [at, 0]
    for (let i = 0; i < batch.length; i++) {
      for (let message = batch[i]; message.length > 0;) {
        const part = message.length > outgoing.length - used ? message.subarray(0, outgoing.length - used) : message
        outgoing.set(part, used)
        used += part.length
        message = part === message ? NOTHING : message.subarray(part.length)
        if (used < outgoing.length) continue
        this.bytes.set(outgoing, to)
        to += used
        used = 0
      }
    }
    this.bytes.set(outgoing.subarray(0, even(used)), to)
  }

  #hasRoom (size: number): boolean {
    if (CAPACITY - ((this.#written - this.#read) | 0) >= size) return true
    this.#read = Atomics.load(this.control, READ)
    return CAPACITY - ((this.#written - this.#read) | 0) >= size
  }
}

/** Takes what was written; each batch is valid until `take` returns. */
export type TakeRecord = (tag: number, to: number, from: number, batch: Batch) => void

export class RingReader extends RingEnd {
  #read = 0

  /** Hands over what is there when it is called, and not what comes meanwhile. */
  read (take: TakeRecord): void {
    const written = Atomics.load(this.control, WRITTEN)
    while (this.#read !== written) {
      const at = this.#read & (CAPACITY - 1)
      const size = this.words[at >> 2]
      if (size === WRAP) {
        this.#read = (this.#read + CAPACITY - at) | 0
        continue
      }
      let word = (at >> 2) + 1
      const tag = this.words[word++]
      const to = this.words[word++]
      const from = this.words[word++]
      const count = this.words[word++]
      incoming.set(this.bytes.subarray(at + headLength(count), at + size))
      let start = 0
      const batch: Batch = new Array(count)
      for (let i = 0; i < count; i++) {
        const end = start + this.words[word++]
        batch[i] = incoming.subarray(start, end)
        start = end
      }
      take(tag, to, from, batch)
      this.#read = (this.#read + size) | 0
      Atomics.store(this.control, READ, this.#read)
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
