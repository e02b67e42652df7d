/** A key for a connection: a server signs a new public key, a client sends a session key in a box for it. */
import { randomBytes } from 'node:crypto'
import { BOX_TAG_BYTES, NACL_KEY_BYTES, SIGNATURE_BYTES, type KeyPair, type Nacl } from '../../crypto/nacl/index.ts'
import { KeyExchangeError } from './key-exchange-error.ts'

const OFFER_BYTES = SIGNATURE_BYTES + NACL_KEY_BYTES
const BOX_BYTES = BOX_TAG_BYTES + NACL_KEY_BYTES

/** The side of the server, for one connection. */
export class KeyOffer {
  /** To be sent: one, the signature and the public key. */
  readonly keys: readonly Uint8Array[]
  readonly #nacl: Nacl
  readonly #own: KeyPair

  /**
   * @param signer the lasting pair of the server
   * @param own for this connection only. Default: new ones
   */
  constructor (nacl: Nacl, signer: KeyPair, own = nacl.boxKeys()) {
    this.#nacl = nacl
    this.#own = own
    this.keys = [nacl.sign(own.publicKey, signer.secretKey)]
  }

  /**
   * Takes the answer of the client.
   *
   * @returns the session key
   * @throws {KeyExchangeError} `ERR_KEY_EXCHANGE_ANSWER`, `ERR_KEY_EXCHANGE_BOX`
   */
  accept (keys: readonly Uint8Array[]): Uint8Array {
    const [publicKey, box] = keys
    if (keys.length !== 2 || publicKey.length !== NACL_KEY_BYTES || box.length !== BOX_BYTES) throw new KeyExchangeError('ERR_KEY_EXCHANGE_ANSWER', `an answer has keys of ${NACL_KEY_BYTES} and ${BOX_BYTES} bytes, not of ${sizes(keys)}`)
    const key = this.#nacl.openBox(box, publicKey, this.#own.secretKey)
    if (key === undefined) throw new KeyExchangeError('ERR_KEY_EXCHANGE_BOX', 'the session key is not for this offer')
    return key
  }
}

/** What a client sends, and its session key. */
export interface KeyAnswer {
  /** To be sent: the public key of the client, the session key in a box. */
  readonly keys: readonly Uint8Array[]
  /** Not to be sent or logged. */
  readonly key: Uint8Array
}

/**
 * The side of the client.
 *
 * @param offer the keys that the server has sent
 * @param publicKey of the pair that the server signs with
 * @param own for this connection only. Default: new ones
 * @param key for the session. Default: random
 * @throws {KeyExchangeError} `ERR_KEY_EXCHANGE_OFFER`, `ERR_KEY_EXCHANGE_SIGNATURE`
 */
export function answerOffer (nacl: Nacl, offer: readonly Uint8Array[], publicKey: Uint8Array, own = nacl.boxKeys(), key: Uint8Array = randomBytes(NACL_KEY_BYTES)): KeyAnswer {
  const [signed] = offer
  if (offer.length !== 1 || signed.length !== OFFER_BYTES) throw new KeyExchangeError('ERR_KEY_EXCHANGE_OFFER', `an offer has a key of ${OFFER_BYTES} bytes, not of ${sizes(offer)}`)
  const server = nacl.openSigned(signed, publicKey)
  if (server === undefined) throw new KeyExchangeError('ERR_KEY_EXCHANGE_SIGNATURE', 'the offer is not signed by this server')
  return { keys: [own.publicKey, nacl.box(key, server, own.secretKey)], key }
}

/** At most so many are told of. */
const TOLD = 4

const sizes = (keys: readonly Uint8Array[]): string => keys.length === 0 ? 'none' : [...keys.slice(0, TOLD).map(({ length }) => length), ...keys.length > TOLD ? ['more'] : []].join(', ')
