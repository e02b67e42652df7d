/** Signs answers on other threads, as many at one time as wait there without harm. */
import type { Identity } from '../protocol/identity.ts'
import type { ShowchainMessage } from '../protocol/messages.ts'
import { signedBytes } from '../protocol/signatures.ts'

/** Answers that wait to be signed: what two processors sign in a second. */
const MAX_WAITING = 2048

export class Signer {
  readonly identity: Identity
  #waiting = 0

  constructor (identity: Identity) { this.identity = identity }

  get waiting (): number { return this.#waiting }

  /** @returns whether it will be signed; then `done` is called with the message and its signature and key, unless OpenSSL fails */
  sign (message: ShowchainMessage, done: (signed: ShowchainMessage) => void): boolean {
    if (this.#waiting >= MAX_WAITING) return false
    this.#waiting++
    this.identity.signLater(signedBytes(message), (sign) => {
      this.#waiting--
      if (sign !== undefined) done({ ...message, sign, key: this.identity.der })
    })
    return true
  }
}
