/** X25519, and the keys that are made of it (SHOW CHAIN protocol, sections 6.3 and 7.2). */
import { createHash, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto'
import { EPHEMERAL_BYTES } from './field-table.ts'

const KEY_BYTES = 32

const PROXY_INFO = Buffer.from('SHOWCHAIN/1 proxy', 'latin1')
const SESSION_INFO = Buffer.from('SHOWCHAIN/1 keys', 'latin1')

/** A pair of keys for one agreement. */
export class EphemeralKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  readonly #secret: KeyObject

  /** @param secret 32 bytes, for golden vectors. Default: random. */
  constructor (secret?: Uint8Array) {
    this.#secret = secret === undefined ? generateKeyPairSync('x25519').privateKey : secretKeyOf(secret)
    this.publicKey = Buffer.from(String(createPublicKey(this.#secret).export({ format: 'jwk' }).x), 'base64url')
  }

  /** The shared secret, 32 bytes; undefined when the other key is none, or gives the secret 0. */
  agree (other: Uint8Array): Uint8Array | undefined {
    if (other.length !== EPHEMERAL_BYTES) return undefined
    try {
      const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(other).toString('base64url') }, format: 'jwk' })
      const secret = diffieHellman({ privateKey: this.#secret, publicKey })
      return secret.every((byte) => byte === 0) ? undefined : secret
    } catch {
      return undefined // OpenSSL refuses points of small order
    }
  }
}

/** PKCS #8 of an X25519 key, up to its 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

function secretKeyOf (secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: 'der', type: 'pkcs8' })
}

export interface ProxyKeyInit {
  /** Of the agreement. */
  secret: Uint8Array
  /** 16 bytes. */
  session: Uint8Array
  /** R, whose key it is, and the proxy. */
  requester: { id: Uint8Array, ephemeral: Uint8Array }
  proxy: { id: Uint8Array, ephemeral: Uint8Array }
}

/** The key of the HMAC of 0x123, 32 bytes (SHOW CHAIN protocol, section 6.3). */
export function proxyKey ({ secret, session, requester, proxy }: ProxyKeyInit): Uint8Array {
  const info = Buffer.concat([PROXY_INFO, requester.id, proxy.id, requester.ephemeral, proxy.ephemeral])
  return new Uint8Array(hkdfSync('sha256', secret, session, info, KEY_BYTES))
}

export interface SessionKeysInit {
  /** Of the agreement. */
  secret: Uint8Array
  offer: Uint8Array
  answer: Uint8Array
  /** Ids of R and T. */
  requester: Uint8Array
  target: Uint8Array
}

/** Keys of sealed packets, 32 bytes each (SHOW CHAIN protocol, section 7.2). */
export interface SessionKeys {
  /** From R to T. */
  requester: Uint8Array
  /** From T to R. */
  target: Uint8Array
}

/** The keys of a session (SHOW CHAIN protocol, section 7.2). */
export function sessionKeys ({ secret, offer, answer, requester, target }: SessionKeysInit): SessionKeys {
  const salt = createHash('sha256').update(offer).update(answer).digest()
  const keys = new Uint8Array(hkdfSync('sha256', secret, salt, Buffer.concat([SESSION_INFO, requester, target]), 2 * KEY_BYTES))
  return { requester: keys.slice(0, KEY_BYTES), target: keys.slice(KEY_BYTES) }
}
