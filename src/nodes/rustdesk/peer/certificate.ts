/** What a rendezvous server has signed of a peer: its id and its key (RustDesk protocol, section 4.7). */
import { NACL_KEY_BYTES, SIGNATURE_BYTES, type Nacl } from '../../../crypto/nacl/index.ts'
import { idPk } from '../protocol/messages.ts'

/** A peer as its server knows it. */
export interface Certified {
  readonly id: string
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
}

/** Undefined when the server has not signed it, or it names no peer. */
export function openCertificate (nacl: Nacl, signed: Uint8Array, serverKey: Uint8Array): Certified | undefined {
  if (signed.length <= SIGNATURE_BYTES) return undefined
  const message = nacl.openSigned(signed, serverKey)
  if (message === undefined) return undefined
  try {
    const { id, pk } = idPk.decode(message)
    return id === '' || pk.length !== NACL_KEY_BYTES ? undefined : { id, publicKey: Uint8Array.from(pk) }
  } catch {
    return undefined // signed, and of another form
  }
}
