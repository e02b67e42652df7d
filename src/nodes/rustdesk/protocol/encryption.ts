/** Connections that client and server may agree to encrypt (RustDesk protocol, section 1.4). */
import { countedLayers, type Holding } from './counted-frames.ts'
import { rendezvous, type RendezvousInit, type RendezvousMessage } from './messages.ts'
import { KeyExchangeServer, type KeyExchangeFrames, type KeyExchangeServerInit } from '../../../transforms/secretbox/index.ts'
import type { Link } from '../../../types.ts'

/** Messages that carry the keys of an exchange. */
export const keyFrames: KeyExchangeFrames = {
  read: (frame) => rendezvous.decode(frame).key_exchange?.keys ?? undefined,
  write: (keys) => rendezvous.encode({ key_exchange: { keys: [...keys] } })
}

/** What a server needs to offer its clients a key: its lasting pair. */
export type EncryptionKeys = Pick<KeyExchangeServerInit, 'nacl' | 'signer'>

/** A link of messages with the key exchange of its server. */
export interface EncryptableLink extends Link<RendezvousMessage, RendezvousInit>, Holding {
  readonly exchange: KeyExchangeServer
}

/** Layer: bytes of TCP below, messages above. They are secret boxes once the client has answered an offer. */
export function encryptableMessages ({ nacl, signer }: EncryptionKeys): (lower: Link) => EncryptableLink {
  let exchange: KeyExchangeServer // of the link that is being made
  const layers = countedLayers(() => {
    exchange = new KeyExchangeServer({ nacl, signer, frames: keyFrames })
    return exchange.cores
  })
  return (lower) => {
    const link = layers(lower)
    return Object.assign(link, { exchange })
  }
}
