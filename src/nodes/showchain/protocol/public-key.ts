/** RSA public keys as DER, read without a parser that could be made to work hard (SHOW CHAIN protocol, section 1). */
import { createPublicKey, hash } from 'node:crypto'
import type { PssContext, PssVerifier } from '../../../crypto/pss/index.ts'
import { PssKey } from '../../../transforms/signed/pss.ts'
import { HASH_BYTES, ID_BYTES, MAX_SIGN, MIN_SIGN } from './field-table.ts'

/** Bytes of the DER around the modulus: 33 in front of it, and the exponent. */
const AROUND_MODULUS = 38
/** Where the RSAPublicKey begins in a SubjectPublicKeyInfo. */
const RSA_PUBLIC_KEY = 24
const MODULUS = 33

const EXPONENT = Buffer.from('0203010001', 'hex') // INTEGER 65537

/** What stands in front of a modulus of that many bytes: algorithm rsaEncryption, parameters NULL, lengths, and the 0 before its highest bit. */
function headOf (modulus: number): Buffer {
  const length = (bytes: number): string => bytes.toString(16).padStart(4, '0')
  return Buffer.from(`3082${length(modulus + 34)}300d06092a864886f70d0101010500` +
    `0382${length(modulus + 15)}003082${length(modulus + 10)}0282${length(modulus + 1)}00`, 'hex')
}

const heads = new Map<number, Buffer>()

/**
 * The bytes of the modulus of a key: 256 to 512. Undefined unless the DER is that of RSA with exponent 65537 and a modulus of so many bytes
 * and of no bit less, in the only form that there is.
 */
export function modulusBytes (der: Uint8Array): number | undefined {
  const size = der.length - AROUND_MODULUS
  if (size < MIN_SIGN || size > MAX_SIGN) return undefined
  const head = heads.get(size) ?? headOf(size)
  heads.set(size, head)
  if (head.compare(der, 0, MODULUS) !== 0 || EXPONENT.compare(der, MODULUS + size) !== 0) return undefined
  const isFull = (der[MODULUS] & 0x80) !== 0
  const isOdd = (der[MODULUS + size - 1] & 1) !== 0
  return isFull && isOdd ? size : undefined
}

/** Bits of a modulus. */
export const MIN_BITS = 8 * MIN_SIGN
export const MAX_BITS = 8 * MAX_SIGN

/** Whether a modulus may have that many bits. */
export const isAllowedSize = (bits: number): boolean => bits >= MIN_BITS && bits <= MAX_BITS && bits % 8 === 0

/** The target of a 0x101 to a responder whose id is not known yet (SHOW CHAIN protocol, section 2.3). */
export const UNKNOWN_ID = new Uint8Array(ID_BYTES)
export const isUnknown = (id: Uint8Array): boolean => id.every((byte) => byte === 0)

/** USER_ID of a key as DER. */
export const userIdOf = (der: Uint8Array): Uint8Array => hash('sha256', der, 'buffer')

/** The text form of an id: 64 lower-case hexadecimal digits. */
export const idText = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex')

const ID_TEXT = new RegExp(`^[0-9a-fA-F]{${2 * HASH_BYTES}}$`)

/** Reads the text form of an id, also in upper case; undefined for anything else. */
export const parseId = (text: string): Uint8Array | undefined => ID_TEXT.test(text) ? Buffer.from(text, 'hex') : undefined

/** Why a key is not that of an id. */
export type KeyFault =
  | 'key' // nobody may use it: another algorithm, size or exponent
  | 'id' // it is not of this id

/** A key of another node, which verifies its signatures. */
export class PublicKey extends PssKey {
  /** 32 bytes. */
  readonly id: Uint8Array
  readonly der: Uint8Array
  readonly #verifier: PssVerifier | undefined
  #context: PssContext | undefined

  /** @param id of this DER, in memory of its own, as is the DER */
  private constructor (size: number, id: Uint8Array, der: Uint8Array, verifier: PssVerifier | undefined) {
    super(() => createPublicKey({ key: pkcs1(der) as Buffer, format: 'der', type: 'pkcs1' }), size)
    this.id = id
    this.der = der
    this.#verifier = verifier
  }

  /**
   * Reads a key as DER, from the cheapest check to the dearest. Copies what it keeps.
   *
   * @param expected the id that it must have, if it is known
   * @param verifier verifies in place of `node:crypto`, where that is on this thread
   */
  static read (der: Uint8Array, expected?: Uint8Array, verifier?: PssVerifier): PublicKey | KeyFault {
    const size = modulusBytes(der)
    if (size === undefined) return 'key'
    const id = userIdOf(der)
    if (expected !== undefined && Buffer.compare(id, expected) !== 0) return 'id'
    return new PublicKey(size, id, Buffer.from(der), verifier)
  }

  override verify (bytes: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== this.size) return false
    const context = this.#context ?? this.#open()
    if (context === undefined) return super.verify(bytes, signature)
    const isValid = context.verify(bytes, signature)
    if (context !== this.#context) context.close()
    return isValid
  }

  /** Keeps what verifies here, where else it is made for each signature, until `release`. */
  keep (): void { this.#context ??= this.#open() }

  release (): void {
    this.#context?.close()
    this.#context = undefined
  }

  #open (): PssContext | undefined { return this.#verifier?.open(pkcs1(this.der)) }
}

/** The key in this form, as the decoder for the outer one takes fifty times as long. */
const pkcs1 = (der: Uint8Array): Uint8Array => der.subarray(RSA_PUBLIC_KEY)
