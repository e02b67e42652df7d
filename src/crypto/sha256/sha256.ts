/** SHA-256 and HMAC-SHA-256 of short messages, where an object for each would cost more than the digest. */

/** Bytes of a digest and of an HMAC. */
export const DIGEST_BYTES = 32

/** HMAC-SHA-256 of one key. */
export interface Hmac {
  /** Writes the 32 bytes of the HMAC of `length` bytes at `from`. */
  sign (bytes: Uint8Array, from: number, length: number, into: Uint8Array, at: number): void
}

/** What does the work: functions of OpenSSL itself, which allocate nothing, or `node:crypto`. */
export type Sha256Implementation = 'openssl' | 'node:crypto'

/** SHA-256 by one implementation. */
export interface Sha256 {
  readonly implementation: Sha256Implementation
  /** Why it is `node:crypto`: `ERR_NATIVE_KOFFI`, or `ERR_NATIVE_OPENSSL` where OpenSSL is missing or has failed the test. */
  readonly problem: (Error & { code: string }) | undefined
  /** Writes the 32 bytes of the digest of `length` bytes at `from`. */
  digest (bytes: Uint8Array, from: number, length: number, into: Uint8Array, at: number): void
  /** The key is copied, and may have any length. */
  hmac (key: Uint8Array): Hmac
}
