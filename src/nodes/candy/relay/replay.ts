/**
 * Proofs that have been used: whoever has listened to a connection can send its AUTH and VMAC again until their time stamps are
 * too old, since nothing in them belongs to the connection (candy protocol, section 1.3).
 *
 * A client that reconnects within the second sends the same bytes again, from where it was. So a proof is good for the source
 * that has used it first, and for no other. DHCP cannot be told apart like that: its hash covers password and time only, and
 * two honest clients may well send the same.
 */
import { TOLERANCE } from '../protocol/hashes.ts'

/** Milliseconds for which a proof can be valid: a clock may be so far ahead that it stays valid for twice the tolerance. */
const WINDOW = 2 * TOLERANCE * 1000

/** Proofs of one window; each costs some 150 bytes. Only those that know the password get one in. */
const MAX_PROOFS = 65_536

export class ReplayGuard {
  readonly #maxProofs: number
  /** Hash to the source that has used it, of this window and of the one before. */
  #current = new Map<string, string>()
  #previous = new Map<string, string>()
  #since = -Infinity

  constructor (maxProofs = MAX_PROOFS) { this.#maxProofs = maxProofs }

  /** Proofs that are remembered. */
  get size (): number { return this.#current.size + this.#previous.size }

  /**
   * Whether this proof, which has been verified, was used by another source before. If not, it belongs to this source.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  isReplayed (hash: Uint8Array, source: string, now: number): boolean {
    this.#turn(now)
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

  /** Forgets what is older than a window. */
  #turn (now: number): void {
    if (now - this.#since < WINDOW) return
    this.#previous = now - this.#since < 2 * WINDOW ? this.#current : new Map()
    this.#current = new Map()
    this.#since = now
  }
}
