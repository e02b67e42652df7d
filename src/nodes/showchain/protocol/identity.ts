/** The key of a node itself (SHOW CHAIN protocol, section 1). */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { PssSigner } from '../../../transforms/signed/pss.ts'
import { CodedError } from '../../../errors.ts'
import { isAllowedSize, MAX_BITS, MIN_BITS, modulusBytes, userIdOf } from './public-key.ts'

/** A key cannot be that of a node. */
export class IdentityError extends CodedError<'ERR_SHOWCHAIN_KEY'> {
  override readonly name = 'IdentityError'
}

const WHAT = `RSA of ${MIN_BITS} to ${MAX_BITS} bits, a multiple of 8, with exponent 65537`

/** A private key with its id. */
export class Identity extends PssSigner {
  /** 32 bytes. */
  readonly id: Uint8Array
  /** The public key as DER SubjectPublicKeyInfo, as messages carry it. */
  readonly der: Uint8Array
  readonly privateKey: KeyObject

  /** @throws {IdentityError} when it is no RSA key, or none that may be used */
  constructor (privateKey: KeyObject) {
    if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'rsa') throw new IdentityError('ERR_SHOWCHAIN_KEY', `no private key of ${WHAT}`)
    const der = createPublicKey(privateKey as never).export({ type: 'spki', format: 'der' })
    const size = modulusBytes(der)
    if (size === undefined) throw new IdentityError('ERR_SHOWCHAIN_KEY', `the key is not ${WHAT}`)
    super(privateKey, size)
    this.der = der
    this.id = userIdOf(der)
    this.privateKey = privateKey
  }

  /**
   * Reads a private key as PEM, PKCS #8 or PKCS #1.
   *
   * @throws {IdentityError} when it is none, or none that may be used
   */
  static fromPem (pem: string | Buffer): Identity {
    let key
    try {
      key = createPrivateKey({ key: pem, format: 'pem' })
    } catch (cause) {
      throw new IdentityError('ERR_SHOWCHAIN_KEY', 'no private key as PEM', { cause })
    }
    return new Identity(key)
  }

  /** Makes a new one, on another thread: some seconds for 4096 bits. @throws {IdentityError} for other sizes than those allowed */
  static async generate (bits = DEFAULT_BITS): Promise<Identity> {
    if (!Number.isInteger(bits) || !isAllowedSize(bits)) throw new IdentityError('ERR_SHOWCHAIN_KEY', `the key is ${WHAT}, not of ${String(bits)} bits`)
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits, publicExponent: 65537 })
    return new Identity(privateKey)
  }

  /** PKCS #8, as PEM. A secret. */
  get pem (): string { return this.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
}

export const DEFAULT_BITS = 3072
