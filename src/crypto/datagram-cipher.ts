/** Seals and opens datagrams in place: AES-256-GCM without associated data. */
import { OptionError } from '../errors.ts'
import type { Gcm, SealingImplementation } from './gcm.ts'
import type { IvSource } from './iv-sources.ts'
import { KEY_BYTES, MAX_DATAGRAM, shortestOf, TAG_BYTES, verifyLayout, type SealLayout } from './layout.ts'
import { SealingError } from './sealing-error.ts'

/** Options of a {@link DatagramCipher}. */
export interface DatagramCipherInit {
  /** 32 bytes. Copied: the caller may wipe it. */
  key: Uint8Array
  layout: SealLayout
  /** Writes the IV of each datagram that is sealed. Default: none, the caller has written it before. */
  ivs?: IvSource
}

/**
 * One key, for both directions. A datagram is the whole view, or the bytes `from` to `to` of it. `seal` and `open` change it in place, and
 * allocate no object where the implementation is `openssl`. The address of memory is looked up once, so pooled memory is best.
 *
 * Memory that another thread writes meanwhile is not protected: what is opened may then differ from what was authenticated.
 */
export class DatagramCipher {
  readonly implementation: SealingImplementation
  /** Bytes of a datagram with an empty text. */
  readonly shortest: number
  readonly #gcm: Gcm
  readonly #layout: SealLayout
  readonly #iv: number
  readonly #text: number
  readonly #ivs: IvSource | undefined
  #sealed = 0
  #isClosed = false

  /** Ciphers are made by {@link Sealing}. @internal */
  constructor ({ key, layout, ivs }: DatagramCipherInit, implementation: SealingImplementation, make: (key: Uint8Array) => Gcm) {
    if (!(key instanceof Uint8Array)) throw new OptionError(`key is a Uint8Array of ${KEY_BYTES} bytes`) // it is not told, even if it is none
    if (key.length !== KEY_BYTES) throw new OptionError(`key has ${KEY_BYTES} bytes, not ${key.length}`)
    if (ivs !== undefined && typeof ivs.write !== 'function') throw new OptionError('ivs is a source of IVs, as randomIvs() is')
    this.#layout = verifyLayout(layout)
    this.#iv = layout.iv
    this.#text = layout.text
    this.#ivs = ivs
    this.shortest = shortestOf(layout)
    this.implementation = implementation
    this.#gcm = make(key)
  }

  /** Datagrams that this cipher has sealed. With random IVs, compare it with {@link RANDOM_IV_LIMIT}. */
  get sealed (): number { return this.#sealed }

  /**
   * Encrypts the text and writes the tag, and before it the IV where the cipher has a source of them.
   *
   * @throws {SealingError} `ERR_SEALING_SIZE`, `ERR_SEALING_MEMORY`, `ERR_SEALING_CLOSED`, with the datagram as it was; `ERR_SEALING_IVS`;
   * `ERR_SEALING_FAILED`
   */
  seal (bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.#verify(bytes, from, to)
    const length = this.#textLength(from, to)
    if (length < 0) throw new SealingError('ERR_SEALING_SIZE', `a datagram has ${this.shortest} to ${MAX_DATAGRAM} bytes, not ${to - from}`)
    if (this.#ivs !== undefined) {
      this.#ivs.write(bytes, from + this.#iv)
      this.#verify(bytes, from, to) // it is code of the caller, which may have closed the cipher or transferred the memory
    }
    if (!this.#gcm.seal(bytes, from + this.#iv, this.#tagAt(from, to), from + this.#text, length)) {
      throw new SealingError('ERR_SEALING_FAILED', 'OpenSSL has failed to encrypt a datagram')
    }
    this.#sealed++
  }

  /**
   * Decrypts the text. False when the datagram is not authentic, whose text is then zeroed, or too short or too long to be one.
   *
   * @throws {SealingError} `ERR_SEALING_MEMORY`, `ERR_SEALING_CLOSED`
   */
  open (bytes: Uint8Array, from = 0, to = bytes.length): boolean {
    this.#verify(bytes, from, to)
    const length = this.#textLength(from, to)
    if (length < 0) return false
    const text = from + this.#text
    if (this.#gcm.open(bytes, from + this.#iv, this.#tagAt(from, to), text, length)) return true
    bytes.fill(0, text, text + length)
    return false
  }

  /** Wipes the key, and frees what OpenSSL has allocated; by `openssl` that is done also when the cipher is collected. */
  close (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#gcm.close()
  }

  /** Also at run time: functions of C check nothing. */
  #verify (bytes: Uint8Array, from: number, to: number): void {
    if (this.#isClosed) throw new SealingError('ERR_SEALING_CLOSED', 'the cipher has been closed')
    if (!(bytes instanceof Uint8Array)) throw new SealingError('ERR_SEALING_MEMORY', 'a datagram is a Uint8Array')
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || from > to || to > bytes.length) {
      throw new SealingError('ERR_SEALING_MEMORY', `a datagram from ${from} to ${to} is not inside ${bytes.length} bytes`)
    }
  }

  /** Negative when the datagram has no room for the other parts, or is too long. */
  #textLength (from: number, to: number): number {
    const length = to - from
    return length > MAX_DATAGRAM ? -1 : length - this.shortest
  }

  #tagAt (from: number, to: number): number {
    const { tag } = this.#layout
    return tag === 'end' ? to - TAG_BYTES : from + tag
  }
}
