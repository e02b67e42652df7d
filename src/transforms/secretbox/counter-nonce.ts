/** Nonces that count frames: a counter of 64 bits, little-endian, and 16 zeros. It is incremented before use, so the first frame has 1. */
import { NONCE_BYTES } from '../../crypto/nacl/index.ts'
import { SecretboxError } from './secretbox-error.ts'

const WORD = 2 ** 32
const LAST_WORD = WORD - 1

/** The nonces of one direction. No number is used twice, and after the last one there is none. */
export class CounterNonce {
  readonly #bytes = new Uint8Array(NONCE_BYTES)
  readonly #view = new DataView(this.#bytes.buffer)
  #low: number
  #high: number

  /** @param last the counter of the last frame */
  constructor (last = 0n) {
    this.#low = Number(last & BigInt(LAST_WORD))
    this.#high = Number(last >> 32n)
    this.#view.setUint32(4, this.#high, true)
  }

  /** @throws {SecretboxError} `ERR_SECRETBOX_COUNTER` unless there are as many as that */
  require (count: number): void {
    if (this.#high === LAST_WORD && this.#low > LAST_WORD - count) throw new SecretboxError('ERR_SECRETBOX_COUNTER', 'the counter of this direction is used up')
  }

  /** The next one, after `require`. Its memory is that of the one before. */
  next (): Uint8Array {
    if (this.#low === LAST_WORD) this.#turn(0, this.#high + 1)
    else this.#low++
    this.#view.setUint32(0, this.#low, true)
    return this.#bytes
  }

  /** Takes back the last ones, which nobody has seen. */
  back (count: number): void {
    if (count <= this.#low) this.#low -= count
    else this.#turn(this.#low + WORD - count, this.#high - 1)
  }

  #turn (low: number, high: number): void {
    this.#low = low
    this.#high = high
    this.#view.setUint32(4, high, true)
  }
}
