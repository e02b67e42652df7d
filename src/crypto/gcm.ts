/** AES-256-GCM of one key, in place. */
export interface Gcm {
  /** Encrypts `length` bytes at `text`, and writes the tag. False when the library has failed; the text is then undefined. */
  seal (bytes: Uint8Array, iv: number, tag: number, text: number, length: number): boolean
  /** Decrypts `length` bytes at `text`. False when they are not authentic; the text is then undefined, and may be the plaintext. */
  open (bytes: Uint8Array, iv: number, tag: number, text: number, length: number): boolean
  /** Wipes the key. Nothing else may be called afterwards. */
  close (): void
}

/** What does the work: functions of OpenSSL itself, which allocate nothing, or an object of `node:crypto` for each datagram. */
export type SealingImplementation = 'openssl' | 'node:crypto'
