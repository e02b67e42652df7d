/**
 * How a candy connection proves that it knows the password: SHA-256 over the password and some bytes of the message, without
 * separator or salt (candy protocol, section 1.3). The hash is no secret to whoever sees the connection, and the same message
 * is valid again until its time stamp is too old.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { OptionError } from '../../../errors.ts'

export const HASH_LENGTH = 32

/** Seconds that the clocks of two nodes may differ, either way; candy protocol, section 1.3. */
export const TOLERANCE = 300

/** What a hash covers besides the password, and the hash that came with it. */
export interface Signed {
  /** The bytes as they were on the wire, so that no value is lost by decoding it. */
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

  /** Any text; its UTF-8 bytes count. Empty is legal. Throws `OptionError` when it is no text. */
  constructor (password: string) {
    if (typeof password !== 'string') throw new OptionError('password is a text')
    this.#password = Buffer.from(password, 'utf8')
  }

  /** SHA-256 of the password followed by these bytes. */
  hash (covered: Uint8Array): Uint8Array {
    return createHash('sha256').update(this.#password).update(covered).digest()
  }

  /** Whether both are of the same password. */
  equals (other: Secret): boolean {
    const nothing = new Uint8Array(0)
    return timingSafeEqual(this.hash(nothing), other.hash(nothing))
  }

  /** Takes the same time wherever the hashes differ. */
  verify ({ covered, hash }: Signed): boolean {
    return hash.length === HASH_LENGTH && timingSafeEqual(this.hash(covered), hash)
  }
}

/**
 * Whether a time stamp is near enough to the present; the tolerance itself is still near enough.
 *
 * @param timestamp Unix seconds; undefined stands for one that no number can hold, which is never near.
 * @param now Unix seconds, whole ones.
 * @param tolerance Seconds.
 */
export function withinWindow (timestamp: number | undefined, now: number, tolerance = TOLERANCE): boolean {
  return timestamp !== undefined && Math.abs(timestamp - now) <= tolerance
}
