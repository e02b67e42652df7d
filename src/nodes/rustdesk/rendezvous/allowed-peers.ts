/** Whose registrations are taken: peers by their id, or by their public key. */
import { NACL_KEY_BYTES } from '../../../crypto/nacl/index.ts'
import { bytesOfText, keyText } from '../keys/key-text.ts'
import { isId } from './registration.ts'

/** An item of the list as it is kept; undefined for a text that is none. A text that has the form of a key is one. */
export function readAllowedPeer (text: string): string | undefined {
  const key = bytesOfText(text, NACL_KEY_BYTES)
  if (key !== undefined) return keyText(key)
  return isId(text) && !/[\s\p{C}]/u.test(text) ? text : undefined
}

export class AllowedPeers {
  readonly #items: ReadonlySet<string>

  /** @param items of {@link readAllowedPeer} */
  constructor (items: readonly string[]) { this.#items = new Set(items) }

  has ({ id, pk }: { readonly id: string, readonly pk: Uint8Array }): boolean {
    return (this.#items.has(id) && bytesOfText(id, NACL_KEY_BYTES) === undefined) || (pk.length === NACL_KEY_BYTES && this.#items.has(keyText(pk)))
  }
}
