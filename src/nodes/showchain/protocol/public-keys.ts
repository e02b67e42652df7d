/** Keys of other nodes, kept by id. */
import type { PssVerifier } from '../../../crypto/pss/index.ts'
import { OptionError } from '../../../errors.ts'
import { PublicKey, type KeyFault } from './public-key.ts'

const DEFAULT_MAX_KEYS = 4096

export interface PublicKeysInit {
  /** Maximum number of keys, some 4 KiB each; beyond it the least recently used one is forgotten. Default: 4096. */
  maxKeys?: number
  /** Verifies in place of `node:crypto`, where that is on this thread. */
  verifier?: PssVerifier | undefined
}

/** The key of a table for an id. */
export const idKey = (id: Uint8Array): string => String.fromCharCode.apply(undefined, id as unknown as number[])

export class PublicKeys {
  readonly #maxKeys: number
  readonly #verifier: PssVerifier | undefined
  #isCleared = false
  /** Least recently used first. */
  readonly #keys = new Map<string, PublicKey>()

  /** @throws {OptionError} */
  constructor ({ maxKeys = DEFAULT_MAX_KEYS, verifier }: PublicKeysInit = {}) {
    if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) throw new OptionError(`maxKeys is a whole number of at least 1, not ${String(maxKeys)}`)
    this.#maxKeys = maxKeys
    this.#verifier = verifier
  }

  /** Number of keys now. */
  get size (): number { return this.#keys.size }

  /** The key of an id, if it is known. */
  find (id: Uint8Array): PublicKey | undefined { return this.#keys.get(idKey(id)) }

  /**
   * The key in a message whose sender has this id. Remembers nothing: anybody can send keys.
   *
   * @param at see `idKey`
   * @returns the known one when it is that; else a new one, or why the message has to be dropped
   */
  read (der: Uint8Array, id: Uint8Array, at = idKey(id)): PublicKey | KeyFault {
    const known = this.#keys.get(at)
    if (known === undefined) return PublicKey.read(der, id, this.#verifier)
    return Buffer.compare(known.der, der) === 0 ? known : 'id'
  }

  /** Remembers a key by which a message was verified. @param at of its id, see `idKey` */
  remember (key: PublicKey, at = idKey(key.id)): void {
    const known = this.#keys.get(at)
    if (known !== undefined) {
      this.#keys.delete(at)
      if (!this.#isCleared) known.keep() // not for the first message: most would have no second one
    }
    this.#keys.set(at, known ?? key)
    if (this.#keys.size > this.#maxKeys) {
      const [[oldest, unused]] = this.#keys
      unused.release()
      this.#keys.delete(oldest)
    }
  }

  /** Forgets all, and what is kept for them. */
  clear (): void {
    this.#isCleared = true
    for (const key of this.#keys.values()) key.release()
    this.#keys.clear()
  }
}
