/** Keys of other nodes, kept by id. */
import { OptionError } from '../../../errors.ts'
import { PublicKey, type KeyFault } from './public-key.ts'

const DEFAULT_MAX_KEYS = 4096

/** The key of a table for an id. */
export const idKey = (id: Uint8Array): string => String.fromCharCode.apply(undefined, id as unknown as number[])

export class PublicKeys {
  readonly #maxKeys: number
  /** Least recently used first. */
  readonly #keys = new Map<string, PublicKey>()

  /**
   * @param maxKeys maximum number of keys, some 3.3 KiB each; beyond it the least recently used one is forgotten
   * @throws {OptionError}
   */
  constructor ({ maxKeys = DEFAULT_MAX_KEYS }: { maxKeys?: number } = {}) {
    if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) throw new OptionError(`maxKeys is a whole number of at least 1, not ${String(maxKeys)}`)
    this.#maxKeys = maxKeys
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
    if (known === undefined) return PublicKey.read(der, id)
    return Buffer.compare(known.der, der) === 0 ? known : 'id'
  }

  /** Remembers a key by which a message was verified. @param at of its id, see `idKey` */
  remember (key: PublicKey, at = idKey(key.id)): void {
    this.#keys.delete(at)
    this.#keys.set(at, key)
    if (this.#keys.size > this.#maxKeys) {
      const [oldest] = this.#keys.keys()
      this.#keys.delete(oldest)
    }
  }
}
