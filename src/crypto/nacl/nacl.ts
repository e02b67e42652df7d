/** What NaCl does here, whichever package does it: secret boxes, boxes, and signed messages. */
import type { KeyPair } from './key-pair.ts'

/** Which package does it. */
export type NaclImplementation = 'sodium-native' | 'tweetnacl'

/**
 * The part of NaCl that protocols of this package use. All implementations take and refuse the same bytes. Sizes that are wrong are
 * errors of the caller, {@link NaclError} `ERR_NACL_SIZE`.
 */
export interface Nacl {
  readonly implementation: NaclImplementation
  /** Why it is not `sodium-native`: the error of loading that. */
  readonly problem: Error | undefined
  /**
   * Encrypts with XSalsa20-Poly1305.
   *
   * @param sealed takes the tag, 16 bytes, and the encrypted text behind it; `text` may be its memory behind the tag
   */
  seal (sealed: Uint8Array, text: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
  /**
   * Decrypts what `seal` has made. Nothing is written when it is not authentic, or shorter than a tag.
   *
   * @param text 16 bytes shorter than `sealed`; may be the memory of that behind the tag
   */
  open (text: Uint8Array, sealed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean
  /** X25519, from 32 bytes that are the secret key; those are random by default. */
  boxKeys (secretKey?: Uint8Array): KeyPair
  /**
   * Encrypts for the owner of a public key with a nonce of zeros: once only for two key pairs, one of which must be new.
   *
   * @throws {NaclError} `ERR_NACL_PUBLIC_KEY` when everybody knows what two such keys have in common
   */
  box (text: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): Uint8Array
  /** Decrypts what `box` has made; undefined when it is not authentic, and for a public key that `box` refuses. */
  openBox (sealed: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): Uint8Array | undefined
  /** Ed25519, from a seed of 32 bytes, random by default. Its secret key is the seed and the public key, 64 bytes. */
  signKeys (seed?: Uint8Array): KeyPair
  /** The signature, 64 bytes, and the message behind it. */
  sign (message: Uint8Array, secretKey: Uint8Array): Uint8Array
  /** A view of the message behind its signature; undefined when the signature is not that of this key. */
  openSigned (signed: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined
}
