/** The last output of a shell, for who attaches to it again (natpass protocol, section 6.4). */
import { verifyBytes } from '../../../../options.ts'

/** Bytes: some screens, and lines above them. */
const DEFAULT_CAPACITY = 256 * 1024

/** What was missed. */
export interface Replay {
  /** A copy. */
  readonly bytes: Uint8Array
  /** Bytes in front of these that are not kept any more. */
  readonly lost: number
}

/** Keeps the last bytes of a stream. Positions count all bytes of the stream. */
export class ReplayBuffer {
  readonly #ring: Uint8Array
  #end = 0

  /** @throws {OptionError} when `capacity` is not a number of bytes */
  constructor (capacity = DEFAULT_CAPACITY) {
    this.#ring = new Uint8Array(verifyBytes('capacity', capacity))
  }

  /** The position of the next byte: how many there were. */
  get end (): number { return this.#end }

  /** The position of the first byte that is kept. */
  get start (): number { return Math.max(0, this.#end - this.#ring.length) }

  push (bytes: Uint8Array): void {
    const { length } = this.#ring
    const kept = bytes.length > length ? bytes.subarray(bytes.length - length) : bytes
    this.#end += bytes.length
    const at = (this.#end - kept.length) % length
    const first = Math.min(kept.length, length - at)
    this.#ring.set(kept.subarray(0, first), at)
    this.#ring.set(kept.subarray(first), 0)
  }

  /** The bytes from a position on. A position beyond the end is the end. */
  since (position: number): Replay {
    const { length } = this.#ring
    const wanted = Math.min(Math.max(0, position), this.#end)
    const from = Math.max(wanted, this.start)
    const bytes = new Uint8Array(this.#end - from)
    const at = from % length
    const first = this.#ring.subarray(at, Math.min(length, at + bytes.length))
    bytes.set(first)
    bytes.set(this.#ring.subarray(0, bytes.length - first.length), first.length)
    return { bytes, lost: from - wanted }
  }
}
