/** RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes, here and on the threads of the process. */
import { constants, sign, verify, type KeyObject, type SignKeyObjectInput, type VerifyKeyObjectInput } from 'node:crypto'
import { OptionError } from '../../errors.ts'

const HASH = 'sha256'

/** Bytes of the modulus. @throws {OptionError} for another kind of key */
function sizeOf ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): number {
  if (asymmetricKeyType !== 'rsa') throw new OptionError(`a key is one of RSA, not of ${String(asymmetricKeyType)}`)
  return Math.ceil((asymmetricKeyDetails?.modulusLength ?? 0) / 8)
}
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }

/** A public key, which verifies. */
export class PssKey {
  /** Bytes of the modulus, and of each signature. */
  readonly size: number
  readonly #make: () => KeyObject
  #made: VerifyKeyObjectInput | undefined

  /**
   * @param key or what makes it, when it is used first
   * @throws {OptionError} unless it is a key of RSA
   */
  constructor (key: KeyObject | (() => KeyObject), size = sizeOf(typeof key === 'function' ? key() : key)) {
    this.size = size
    this.#make = typeof key === 'function' ? key : () => key
  }

  get #input (): VerifyKeyObjectInput { return (this.#made ??= { key: this.#make(), ...PSS }) }

  verify (bytes: Uint8Array, signature: Uint8Array): boolean {
    return signature.length === this.size && verify(HASH, bytes, this.#input, signature)
  }

  /**
   * Verifies on another thread. The memory may be reused once this has returned.
   *
   * @param done called later, never before this has returned
   */
  verifyLater (bytes: Uint8Array, signature: Uint8Array, done: (isValid: boolean) => void): void {
    verify(HASH, bytes, this.#input, signature, (err, isValid) => { done(err === null && isValid) })
  }
}

/** A private key, which signs. */
export class PssSigner {
  /** Bytes of the modulus, and of each signature. */
  readonly size: number
  readonly #input: SignKeyObjectInput

  /** @throws {OptionError} unless it is a key of RSA */
  constructor (key: KeyObject, size = sizeOf(key)) {
    this.size = size
    this.#input = { key, ...PSS }
  }

  sign (bytes: Uint8Array): Uint8Array { return sign(HASH, bytes, this.#input) }

  /**
   * Signs on another thread, which takes a millisecond or two. The memory may be reused once this has returned.
   *
   * @param done called later, never before this has returned; undefined when OpenSSL has failed
   */
  signLater (bytes: Uint8Array, done: (signature: Uint8Array | undefined) => void): void {
    sign(HASH, bytes, this.#input, (err, signature) => { done(err === null ? signature : undefined) })
  }
}
