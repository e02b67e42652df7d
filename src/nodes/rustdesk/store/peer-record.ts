/** What is kept of a peer for good. */
export interface PeerRecord {
  readonly id: string
  /** The identity of its machine, which tells the owner of an id from others. */
  readonly uuid: Uint8Array
  /** Its Ed25519 key. */
  readonly pk: Uint8Array
  /** The address that it has registered from. */
  readonly ip: string
}
