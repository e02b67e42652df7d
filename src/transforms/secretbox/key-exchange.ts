/**
 * Key exchanges over a link of frames, from when on these are secret boxes. A server may offer one at any time before the client speaks;
 * a client that wants none goes on in the clear. Frames of at most one byte are in the clear in any case.
 *
 * ```ts
 * const exchange = new KeyExchangeServer({ nacl, signer, frames })
 * const secure = over(link, exchange.layer)
 * const keys = exchange.offer()
 * if (keys !== undefined) secure.port.send([frames.write(keys)])
 * ```
 */
import type { KeyPair, Nacl } from '../../crypto/nacl/index.ts'
import { LinkClosedError } from '../../errors.ts'
import { codec, over, type CodecCores } from '../../layer.ts'
import { resumed } from '../../streams/resumed.ts'
import type { Batch, Core, Layer, Link } from '../../types.ts'
import { FailFastDecoder } from '../fail-fast-decoder.ts'
import { KeyExchangeError } from './key-exchange-error.ts'
import { answerOffer, KeyOffer } from './key-offer.ts'
import { secretbox, SecretboxDecoder, SecretboxEncoder, type SecretboxInit } from './secretbox.ts'

/** Bytes of a frame that is in the clear. */
const CLEAR = 1

/** The frames of a protocol that carry the keys of an exchange. */
export interface KeyExchangeFrames {
  /** The keys in a frame; undefined when it is another one. An error with a `code` ends the link. */
  read (frame: Uint8Array): readonly Uint8Array[] | undefined
  write (keys: readonly Uint8Array[]): Uint8Array
}

/** Options of a {@link KeyExchangeServer}. */
export interface KeyExchangeServerInit {
  nacl: Nacl
  /** The lasting pair of the server, which clients know the public key of. */
  signer: KeyPair
  frames: Pick<KeyExchangeFrames, 'read'>
}

/** The exchange of one connection, on the side of the server. */
export class KeyExchangeServer {
  /** Of one link of frames. The frame that answers an offer is not passed up; one that answers none is. */
  readonly cores: CodecCores<Uint8Array, Uint8Array>
  readonly #init: KeyExchangeServerInit
  readonly #decode: ExchangeDecoder
  readonly #encode = new ExchangeEncoder()

  constructor (init: KeyExchangeServerInit) {
    this.#init = init
    this.#decode = new ExchangeDecoder(init.frames, (key) => {
      const settings: SecretboxInit = { nacl: init.nacl, keys: key, clear: CLEAR }
      this.#encode.box = new SecretboxEncoder(settings)
      return new SecretboxDecoder(settings)
    })
    this.cores = { decode: this.#decode, encode: this.#encode }
  }

  /** The layer of these, for one link. */
  get layer (): Layer { return codec(() => this.cores) }

  /** Frames are secret boxes from now on. */
  get isSecure (): boolean { return this.#encode.box !== undefined }

  /** The client has not spoken, and there was no offer. */
  get mayOffer (): boolean { return this.#decode.mayOffer }

  /** Keys to be sent at once; undefined when it is too late: the client has spoken, or there was an offer already. It ends when the client speaks in the clear. */
  offer (): readonly Uint8Array[] | undefined {
    if (!this.#decode.mayOffer) return undefined
    const offer = new KeyOffer(this.#init.nacl, this.#init.signer)
    this.#decode.offered(offer)
    return offer.keys
  }
}

/** Passes frames up, until one of them answers the offer. */
class ExchangeDecoder extends FailFastDecoder {
  readonly memory = 'passes'
  readonly #frames: KeyExchangeServerInit['frames']
  readonly #secure: (key: Uint8Array) => SecretboxDecoder
  #offer: KeyOffer | undefined
  #box: SecretboxDecoder | undefined
  /** Nothing was offered, and the client has not spoken. */
  mayOffer = true

  constructor (frames: KeyExchangeServerInit['frames'], secure: (key: Uint8Array) => SecretboxDecoder) {
    super()
    this.#frames = frames
    this.#secure = secure
  }

  offered (offer: KeyOffer): void {
    this.#offer = offer
    this.mayOffer = false
  }

  override get failure (): Error | undefined { return super.failure ?? this.#box?.failure }

  override push (batch: Batch): Batch {
    return this.#box === undefined || super.failure !== undefined ? super.push(batch) : this.#box.push(batch)
  }

  protected override decode (frame: Uint8Array, out: Batch): void {
    if (this.#box !== undefined) { // behind the answer, in the same read
      out.push(...this.#box.push([frame]))
      if (this.#box.failure !== undefined) throw this.#box.failure
      return
    }
    if (frame.length > CLEAR) {
      const offer = this.#offer
      this.#offer = undefined
      this.mayOffer = false
      const keys = offer === undefined ? undefined : this.#frames.read(frame)
      if (offer !== undefined && keys !== undefined) {
        this.#box = this.#secure(offer.accept(keys))
        return
      }
    }
    out.push(frame)
  }
}

/** Sends in the clear, until there is a box. */
class ExchangeEncoder implements Core<Uint8Array, Uint8Array> {
  readonly memory = 'passes'
  box: SecretboxEncoder | undefined

  push (batch: Batch): Batch { return this.box === undefined ? batch : this.box.push(batch) }

  undo (): void { this.box?.undo() }
}

/** Options of {@link exchangeKeys}. */
export interface ExchangeKeysInit {
  nacl: Nacl
  /** Of the pair that the server signs with. */
  publicKey: Uint8Array
  frames: KeyExchangeFrames
}

/**
 * Waits for the offer of the server and answers it. A server that says something else first is refused, as everybody on the way could
 * say it.
 *
 * @returns the link of frames that are secret boxes on their way
 * @throws {KeyExchangeError} when the server offers none, or it is not signed; {@link LinkClosedError}; else the error that broke the link.
 *   The link is not aborted
 */
export async function exchangeKeys (link: Link, { nacl, publicKey, frames }: ExchangeKeysInit): Promise<Link> {
  const iterator = link.source[Symbol.asyncIterator]()
  for (;;) {
    const { done, value: batch } = await iterator.next()
    if (done === true) throw new KeyExchangeError('ERR_KEY_EXCHANGE_MISSING', 'the connection ended before a key was offered')
    const at = batch.findIndex((frame) => frame.length > CLEAR)
    if (at < 0) continue
    const offer = frames.read(batch[at])
    if (offer === undefined) throw new KeyExchangeError('ERR_KEY_EXCHANGE_MISSING', 'the server says something else before it offers a key')
    const { keys, key } = answerOffer(nacl, offer, publicKey)
    if (link.port.send([frames.write(keys)]) === 0) throw new LinkClosedError('the answer cannot be sent')
    return over(resumed(link, iterator, batch.slice(at + 1)), secretbox({ nacl, keys: key, clear: CLEAR }))
  }
}
