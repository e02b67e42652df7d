/** Which counters of datagrams have come already, for a receiver that gets them in another order, and perhaps twice. */
import { OptionError } from '../errors.ts'

const WORD_BITS = 32
const BYTES_IN_WORD = 4
const BYTE_BITS = 8
const DEFAULT_SIZE = 8192
const MAX_SIZE = 2 ** 20

/** Options of {@link ReplayWindow}. */
export interface ReplayWindowInit {
  /** Counters behind the highest accepted one that can still be accepted, that one included: 1 to 2^20. A bit of memory each, and a few. Default: 8192. */
  size?: number
}

/**
 * A sliding window over the counters of one sender, 0 to 2^53 - 1, as RFC 6479 describes it. The words of its bitmap are used in turn, and
 * a window that moves on clears whole words, so that neither method shifts or allocates anything.
 *
 * A counter means something only once the datagram around it is authentic: `check` before that, to spare the work, and `accept` after it.
 */
export class ReplayWindow {
  readonly #size: number
  /** A power of two, with room for the window wherever it begins in a word. */
  readonly #words: Uint32Array
  readonly #mask: number
  #highest = -1
  /** The number of the word that has `#highest`, counted from counter 0 on. */
  #lastWord = -1

  /** @throws {OptionError} */
  constructor ({ size = DEFAULT_SIZE }: ReplayWindowInit = {}) {
    if (!Number.isInteger(size) || size < 1 || size > MAX_SIZE) throw new OptionError(`size is a number of counters, 1 to ${MAX_SIZE}, not ${String(size)}`)
    this.#size = size
    this.#words = new Uint32Array(2 ** Math.ceil(Math.log2(Math.ceil((size + WORD_BITS - 1) / WORD_BITS))))
    this.#mask = this.#words.length - 1
  }

  /** Whether the counter would be accepted now. False for what is no counter. */
  check (counter: number): boolean {
    if (counter <= this.#highest - this.#size || !Number.isSafeInteger(counter) || counter < 0) return false
    if (counter > this.#highest) return true
    const word = Math.floor(counter / WORD_BITS)
    return (this.#words[word & this.#mask] & (1 << (counter - word * WORD_BITS))) === 0
  }

  /** Marks the counter as seen. False when it has been seen, or is too old to tell; nothing is marked then. */
  accept (counter: number): boolean {
    if (!this.check(counter)) return false
    const word = Math.floor(counter / WORD_BITS)
    if (counter > this.#highest) {
      this.#moveTo(word)
      this.#highest = counter
    }
    this.#words[word & this.#mask] |= 1 << (counter - word * WORD_BITS)
    return true
  }

  /**
   * Writes which counters were accepted, each as a bit of a byte of eight, the lowest bit first: the last byte is that of `counter`. Those
   * that are too old to tell are 0.
   */
  copyBits (counter: number, into: Uint8Array, at: number, length: number): void {
    const first = Math.floor(counter / BYTE_BITS) - length + 1
    for (let i = 0; i < length; i++) {
      const word = Math.floor((first + i) / BYTES_IN_WORD)
      const isKnown = word >= 0 && word <= this.#lastWord && word > this.#lastWord - this.#words.length
      into[at + i] = isKnown ? this.#words[word & this.#mask] >>> (first + i - word * BYTES_IN_WORD) * BYTE_BITS : 0
    }
  }

  /** Clears the words between the last one and this one, which held older counters. */
  #moveTo (word: number): void {
    const moved = Math.min(word - this.#lastWord, this.#words.length)
    for (let i = 0; i < moved; i++) this.#words[(word - i) & this.#mask] = 0
    this.#lastWord = word
  }
}
