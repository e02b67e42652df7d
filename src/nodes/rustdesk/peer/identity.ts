/** Who a peer is: its machine and its key, which lasts. */
import { randomBytes } from 'node:crypto'
import type { KeyPair, Nacl } from '../../../crypto/nacl/index.ts'

/** What a peer has made for itself once. */
export interface PeerIdentity {
  /** Of the machine, 16 bytes: the server lets no other machine take an id. */
  readonly uuid: Uint8Array
  /** Ed25519. */
  readonly pair: KeyPair
}

export const UUID_BYTES = 16

/** A new one. */
export const newIdentity = (nacl: Nacl): PeerIdentity => ({ uuid: randomBytes(UUID_BYTES), pair: nacl.signKeys() })
