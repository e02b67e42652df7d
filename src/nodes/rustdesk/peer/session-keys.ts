/** What follows from the key that two peers have agreed on (RustDesk protocol, section 11.1). */
import { createHash, hkdfSync } from 'node:crypto'
import { NACL_KEY_BYTES, SIGNATURE_BYTES, type KeyPair, type Nacl } from '../../../crypto/nacl/index.ts'

/** Of sessions that are tunpipe's own: 1. */
export const SESSION_VERSION = 1

const LABEL = 'tunpipe rustdesk 1'

/** What both peers know of their session. */
export interface Agreement {
  /** The session key, which the controlling peer has made. */
  key: Uint8Array
  /** The X25519 keys of this session alone: of the controlling peer, and of the controlled one. */
  controlling: Uint8Array
  controlled: Uint8Array
  /** Ed25519, of the controlled peer. */
  identity: Uint8Array
}

/** Keys of the two directions. */
export interface SessionKeys {
  /** From the controlling peer to the controlled one, and back. */
  forth: Uint8Array
  back: Uint8Array
  /** What a proof signs: no other session has it, and nobody else knows it. */
  binding: Uint8Array
}

/**
 * One key for each direction: with the same one for both, what is sent forth and back would be sealed with the same nonces. The identity of the
 * controlled peer is in all of them, so that one which signs the X25519 key of another peer as its own cannot pass on who connects to it.
 */
export function sessionKeys ({ key, controlling, controlled, identity }: Agreement): SessionKeys {
  const derive = (purpose: string): Uint8Array => new Uint8Array(hkdfSync('sha256', key, '', Buffer.concat([Buffer.from(`${LABEL} ${purpose}`), controlling, controlled, identity]), NACL_KEY_BYTES))
  return { forth: derive('forth'), back: derive('back'), binding: createHash('sha256').update(derive('binding')).digest() }
}

/** The signature of a binding, 64 bytes. */
export const proofOf = (nacl: Nacl, { secretKey }: KeyPair, binding: Uint8Array): Uint8Array => nacl.sign(binding, secretKey).subarray(0, SIGNATURE_BYTES)

/** Whether the owner of a key has signed a binding. */
export function isProof (nacl: Nacl, proof: Uint8Array, publicKey: Uint8Array, binding: Uint8Array): boolean {
  return proof.length === SIGNATURE_BYTES && publicKey.length === NACL_KEY_BYTES && nacl.openSigned(Buffer.concat([proof, binding]), publicKey) !== undefined
}
