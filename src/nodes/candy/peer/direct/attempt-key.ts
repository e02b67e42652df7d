/** The key pair of one attempt to reach a member, and the keys that two of them agree on; candy protocol, section 2.7. */
import { createHash, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, randomBytes, type KeyObject } from 'node:crypto'
import { KEY_ID_BYTES } from '../../protocol/introduction.ts'
import { writeU32 } from '../../../../net/ipv4.ts'
import type { Secret } from '../../protocol/hashes.ts'

const LABEL = 'tunpipe candy direct 1'
const KEY_BYTES = 32

/** What stands before a private key of X25519 in PKCS #8 (RFC 8410, section 7). */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** 8 bytes that name a public key. */
export const keyId = (publicKey: Uint8Array): Uint8Array => createHash('sha256').update(publicKey).digest().subarray(0, KEY_ID_BYTES)

/** Who agree. */
export interface Agreement {
  secret: Secret
  /** Virtual addresses. */
  own: number
  other: number
  /** Of the other one, 32 bytes. */
  publicKey: Uint8Array
}

export class AttemptKey {
  readonly publicKey: Uint8Array
  readonly id: Uint8Array
  readonly #privateKey: KeyObject

  /** @param privateKey 32 bytes; only tests have it fixed. Default: random. */
  constructor (privateKey: Uint8Array = randomBytes(KEY_BYTES)) {
    this.#privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, privateKey]), format: 'der', type: 'pkcs8' })
    this.publicKey = Buffer.from(createPublicKey(this.#privateKey).export({ format: 'jwk' }).x as string, 'base64url')
    this.id = keyId(this.publicKey)
  }

  /** The keys of both directions, 32 bytes each. Undefined for a public key that is none. */
  agree ({ secret, own, other, publicKey }: Agreement): { send: Uint8Array, receive: Uint8Array } | undefined {
    let shared
    try {
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(publicKey).toString('base64url') }, format: 'jwk' })
      shared = diffieHellman({ privateKey: this.#privateKey, publicKey: key })
    } catch {
      return undefined // a point of small order
    }
    const isLower = own < other
    const addresses = new Uint8Array(8)
    writeU32(addresses, 0, Math.min(own, other))
    writeU32(addresses, 4, Math.max(own, other))
    const publicKeys = isLower ? [this.publicKey, publicKey] : [publicKey, this.publicKey]
    const info = Buffer.concat([Buffer.from(LABEL), addresses, ...publicKeys])
    const keys = new Uint8Array(hkdfSync('sha256', shared, secret.hash(Buffer.from(LABEL)), info, 2 * KEY_BYTES))
    shared.fill(0)
    const [fromLower, fromHigher] = [keys.subarray(0, KEY_BYTES), keys.subarray(KEY_BYTES)]
    return isLower ? { send: fromLower, receive: fromHigher } : { send: fromHigher, receive: fromLower }
  }
}
