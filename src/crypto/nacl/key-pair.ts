/** A public key with its secret key. */

/** The secret key is no property of its own, so neither loggers nor `inspect` nor JSON show it. */
export class KeyPair {
  readonly publicKey: Uint8Array
  readonly #secretKey: Uint8Array

  constructor (publicKey: Uint8Array, secretKey: Uint8Array) {
    this.publicKey = publicKey
    this.#secretKey = secretKey
  }

  /** Never to be logged. */
  get secretKey (): Uint8Array { return this.#secretKey }
}
