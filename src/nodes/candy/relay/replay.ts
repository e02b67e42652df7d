/**
 * Proofs that have been used. An eavesdropper can replay the AUTH and VMAC of a connection until their timestamps
 * expire, since nothing in them is bound to the connection (candy protocol, section 1.3).
 *
 * A client that reconnects within the same second sends the same bytes again, from the same source. So a proof is valid only for the
 * source that used it first. DHCP cannot be checked this way: its hash covers only password and time, so that two honest clients may
 * send the same.
 */
import { TOLERANCE } from '../protocol/hashes.ts'

/** Milliseconds for which a proof can be valid: a clock that is ahead by the tolerance makes it valid for twice the tolerance. */
const WINDOW = 2 * TOLERANCE * 1000

/** Proofs of one window; each takes about 150 bytes. Only clients with the password can add one. */
const MAX_PROOFS = 65_536

export class ReplayGuard {
  readonly #maxProofs: number
  /** Hash to the source that used it, in this window and the previous one. */
  #current = new Map<string, string>()
  #previous = new Map<string, string>()
  #since = -Infinity

  constructor (maxProofs = MAX_PROOFS) { this.#maxProofs = maxProofs }

  /** Number of stored proofs. */
  get size (): number { return this.#current.size + this.#previous.size }

  /**
   * Whether this verified proof was used by another source before. If not, it is bound to this source.
   *
   * @param now milliseconds of a monotonic clock
   */
  isReplayed (hash: Uint8Array, source: string, now: number): boolean {
    this.#rotate(now)
    const key = Buffer.from(hash).toString('latin1')
    const owner = this.#current.get(key) ?? this.#previous.get(key)
    if (owner !== undefined) return owner !== source
    if (this.#current.size >= this.#maxProofs) {
      const [oldest] = this.#current.keys()
      this.#current.delete(oldest)
    }
    this.#current.set(key, source)
    return false
  }

  /** Starts a new window, and forgets the one before the last. */
  #rotate (now: number): void {
    if (now - this.#since < WINDOW) return
    this.#previous = now - this.#since < 2 * WINDOW ? this.#current : new Map()
    this.#current = new Map()
    this.#since = now
  }
}
