/** Data messages whose signature was verified: a repetition is the same message, and needs no verification (SHOW CHAIN protocol, section 6.2). */
import { hash } from 'node:crypto'
import type { ShowchainMessage } from './messages.ts'
import type { PublicKey } from './public-key.ts'
import { signedBytes } from './signatures.ts'

/** Of all senders. A repetition of one that was forgotten is verified again. */
const MAX_REMEMBERED = 4096

export class VerifiedSignatures {
  /** Digests, the oldest first. */
  readonly #digests = new Set<string>()

  has (message: ShowchainMessage, key: PublicKey): boolean { return this.#digests.has(digestOf(message, key)) }

  add (message: ShowchainMessage, key: PublicKey): void {
    this.#digests.add(digestOf(message, key))
    if (this.#digests.size > MAX_REMEMBERED) this.#digests.delete(this.#digests.values().next().value as string)
  }
}

/** Of all that a verification depends on. */
const digestOf = (message: ShowchainMessage, key: PublicKey): string => hash('sha256', Buffer.concat([key.id, message.sign as Uint8Array, signedBytes(message)]), 'base64')
