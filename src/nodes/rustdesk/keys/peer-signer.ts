/** What a server signs of its peers, kept, as the same is asked for again and again, and a signature costs more than all else. */
import { SIGNATURE_BYTES, type KeyPair, type Nacl } from '../../../crypto/nacl/index.ts'

/** Signatures that are kept. One takes some 300 bytes. */
const MAX_PEERS = 16_384

/** Larger ones are signed, and not kept. */
const MAX_KEPT_BYTES = 512

/** Options of a {@link PeerSigner}. */
export interface PeerSignerInit {
  nacl: Nacl
  pair: KeyPair
  /** Signatures that are kept. Default: 16,384; the one that was not asked for longest goes. */
  maxPeers?: number
}

/** Signs the id and public key of peers. */
export class PeerSigner {
  readonly #nacl: Nacl
  readonly #pair: KeyPair
  readonly #maxPeers: number
  /** The one that was not asked for longest is the first. */
  readonly #kept = new Map<string, Uint8Array>()

  constructor ({ nacl, pair, maxPeers = MAX_PEERS }: PeerSignerInit) {
    this.#nacl = nacl
    this.#pair = pair
    this.#maxPeers = maxPeers
  }

  /** Signatures that are kept now. */
  get size (): number { return this.#kept.size }

  /**
   * The signature and the message.
   *
   * @param id of the peer
   * @param idPk the encoded message with its id and public key; another one than before is signed anew
   * @returns shared by all callers, so not to be changed
   */
  sign (id: string, idPk: Uint8Array): Uint8Array {
    const kept = this.#kept.get(id)
    if (kept !== undefined) this.#kept.delete(id)
    const isSame = kept !== undefined && Buffer.compare(kept.subarray(SIGNATURE_BYTES), idPk) === 0
    const signed = isSame ? kept : this.#nacl.sign(idPk, this.#pair.secretKey)
    if (idPk.length > MAX_KEPT_BYTES) return signed
    this.#kept.set(id, signed)
    if (this.#kept.size > this.#maxPeers) this.#kept.delete(this.#kept.keys().next().value as string)
    return signed
  }
}
