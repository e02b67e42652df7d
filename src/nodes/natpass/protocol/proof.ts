/** The proof of the secret in a handshake (natpass protocol, section 2). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** Milliseconds of one step of the counter. */
export const STEP_MS = 60_000

/** The step of a time in milliseconds since 1970. */
export const stepAt = (date: number): number => Math.floor(date / STEP_MS)

/** HMAC-SHA-512 of the step, by the UTF-8 bytes of the secret: 64 bytes. */
export function proofOf (secret: string, step: number): Buffer {
  const message = Buffer.alloc(8)
  message.writeBigInt64BE(BigInt(step))
  return createHmac('sha512', secret).update(message).digest()
}

/** The proof of clients before v0.11.0, which never changes: the MD5 of the secret, as 16 bytes or as 32 hexadecimal characters. */
export function legacyProofOf (secret: string, form: 'raw' | 'hex'): Buffer {
  const digest = createHash('md5').update(secret).digest()
  return form === 'raw' ? digest : Buffer.from(digest.toString('hex'), 'latin1')
}

/** Checks proofs by one secret. */
export class ProofVerifier {
  readonly #secret: string
  readonly #legacy: Buffer[]
  /** Those of the steps around `#step`. */
  #proofs: Buffer[] = []
  #step = -1

  /** @param legacyMd5 take the proofs of clients before v0.11.0 as well */
  constructor (secret: string, legacyMd5: boolean) {
    this.#secret = secret
    this.#legacy = legacyMd5 ? [legacyProofOf(secret, 'raw'), legacyProofOf(secret, 'hex')] : []
  }

  /**
   * The step of a proof: that of now, or a neighbour, as clocks differ. All candidates are compared, each in constant time.
   *
   * @param date milliseconds since 1970
   * @returns `legacy` for a proof that has no step; undefined for a wrong one
   */
  verify (proof: Uint8Array, date: number): number | 'legacy' | undefined {
    const now = stepAt(date)
    if (now !== this.#step) {
      this.#step = now
      this.#proofs = [now - 1, now, now + 1].map((step) => proofOf(this.#secret, step))
    }
    let found: number | 'legacy' | undefined
    for (const [i, expected] of this.#proofs.entries()) if (isEqual(proof, expected)) found = now - 1 + i
    for (const expected of this.#legacy) if (isEqual(proof, expected)) found ??= 'legacy'
    return found
  }
}

const isEqual = (given: Uint8Array, expected: Buffer): boolean => given.length === expected.length && timingSafeEqual(given, expected)
