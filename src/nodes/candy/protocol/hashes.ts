/**
 * Proof of the password: SHA-256 over the password and some bytes of the message, without separator or salt (candy protocol, section
 * 1.3). An eavesdropper sees the hash, and can replay the message until its timestamp expires.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { OptionError } from '../../../errors.ts'

export const HASH_LENGTH = 32

/** Seconds of clock difference between two nodes, in either direction; candy protocol, section 1.3. */
export const TOLERANCE = 300

/** The bytes that a hash covers besides the password, and the hash received. */
export interface Signed {
  /** The bytes as received, as decoding may lose information. */
  covered: Uint8Array
  hash: Uint8Array
}

/**
 * The shared password. It lives in a private field, which neither `util.inspect` nor `JSON.stringify` nor a logger shows.
 *
 * ```ts
 * const secret = new Secret('correct horse')
 * const auth = decodeAuth(message)
 * if (!secret.verify(auth) || !withinWindow(auth.timestamp, now)) refuse()
 * ```
 */
export class Secret {
  readonly #password: Uint8Array

  /** @param password its UTF-8 bytes are hashed; may be empty. @throws {OptionError} when it is not a string */
  constructor (password: string) {
    if (typeof password !== 'string') throw new OptionError('password is a text')
    this.#password = Buffer.from(password, 'utf8')
  }

  /** SHA-256 of the password followed by these bytes. */
  hash (covered: Uint8Array): Uint8Array {
    return createHash('sha256').update(this.#password).update(covered).digest()
  }

  /** Whether both hold the same password. */
  equals (other: Secret): boolean {
    const nothing = new Uint8Array(0)
    return timingSafeEqual(this.hash(nothing), other.hash(nothing))
  }

  /** Compares in constant time. */
  verify ({ covered, hash }: Signed): boolean {
    return hash.length === HASH_LENGTH && timingSafeEqual(this.hash(covered), hash)
  }
}

/**
 * Whether a timestamp is within the tolerance, inclusive.
 *
 * @param timestamp Unix seconds; undefined, for one beyond the safe integers, is never within.
 * @param now Unix seconds, an integer.
 * @param tolerance Seconds.
 */
export function withinWindow (timestamp: number | undefined, now: number, tolerance = TOLERANCE): boolean {
  return timestamp !== undefined && Math.abs(timestamp - now) <= tolerance
}
