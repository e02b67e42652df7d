/**
 * Encrypts the frames of a link that keeps their order, each as a secret box of NaCl: a tag of 16 bytes, and the encrypted payload. The
 * nonce is the number of the frame in its direction and is not sent.
 *
 * ```ts
 * const nacl = await loadNacl()
 * const frames = over(link, stack(lengthPrefix(u32be), secretbox({ nacl, keys: { send, receive } })))
 * ```
 */
import { BOX_TAG_BYTES, NACL_KEY_BYTES, type Nacl } from '../../crypto/nacl/index.ts'
import { OptionError } from '../../errors.ts'
import { codec } from '../../layer.ts'
import type { Batch, Core, Layer } from '../../types.ts'
import { FailFastDecoder } from '../fail-fast-decoder.ts'
import { CounterNonce } from './counter-nonce.ts'
import { SecretboxError } from './secretbox-error.ts'

/** Options of {@link secretbox}. */
export interface SecretboxInit {
  /** See `loadNacl` of `tunpipe/crypto`. */
  nacl: Nacl
  /**
   * Of 32 bytes each, for this connection only. With one key for both directions frames can be sent back to where they came from, and two
   * of the same number and text look the same: that is for protocols that have it so.
   */
  keys: Uint8Array | { send: Uint8Array, receive: Uint8Array }
  /** Payloads of at most so many bytes, 0 to 15, pass in the clear and are not counted. They may be forged. Default: none, all are sealed. */
  clear?: number
  /** Counters of the last frames that were sealed with these keys before. Default: 0, there were none. */
  counters?: { sent?: bigint, received?: bigint }
}

/** One direction. */
interface Direction {
  nacl: Nacl
  key: Uint8Array
  nonce: CounterNonce
  /** Payloads of more bytes are sealed. */
  clear: number
}

const ALL_SEALED = -1
const LAST_COUNTER = 2n ** 64n - 1n

function direction ({ nacl, keys, clear, counters }: SecretboxInit, key: 'send' | 'receive', counter: 'sent' | 'received'): Direction {
  const bytes: unknown = keys instanceof Uint8Array ? keys : keys?.[key]
  if (!(bytes instanceof Uint8Array) || bytes.length !== NACL_KEY_BYTES) throw new OptionError(`keys: a key is ${NACL_KEY_BYTES} bytes`)
  if (clear !== undefined && (!Number.isInteger(clear) || clear < 0 || clear >= BOX_TAG_BYTES)) throw new OptionError(`clear is ${clear}, not 0 to ${BOX_TAG_BYTES - 1} bytes`)
  const last = counters?.[counter] ?? 0n
  if (typeof last !== 'bigint' || last < 0n || last > LAST_COUNTER) throw new OptionError(`counters: ${String(last)} is no number of 64 bits`)
  if (typeof nacl?.seal !== 'function') throw new OptionError('nacl is what loadNacl has loaded')
  return { nacl, key: Uint8Array.from(bytes), nonce: new CounterNonce(last), clear: clear ?? ALL_SEALED }
}

/** Opens each frame in its memory and returns the payload as a view. The first that is not authentic is its `failure`. */
export class SecretboxDecoder extends FailFastDecoder {
  readonly memory = 'passes'
  readonly #of

  constructor (init: SecretboxInit) {
    super()
    this.#of = direction(init, 'receive', 'received')
  }

  protected override decode (frame: Uint8Array, out: Batch): void {
    const { nacl, key, nonce, clear } = this.#of
    if (frame.length <= clear) {
      out.push(frame)
      return
    }
    if (frame.length < BOX_TAG_BYTES) throw new SecretboxError('ERR_SECRETBOX_SHORT', `frame of ${frame.length} bytes, its tag has ${BOX_TAG_BYTES}`)
    nonce.require(1)
    const payload = frame.subarray(BOX_TAG_BYTES)
    if (!nacl.open(payload, frame, nonce.next(), key)) throw new SecretboxError('ERR_SECRETBOX_FORGED', `frame of ${frame.length} bytes is not authentic`)
    out.push(payload)
  }
}

/** Seals each payload. The frames of a batch share one buffer. */
export class SecretboxEncoder implements Core<Uint8Array, Uint8Array> {
  readonly memory = 'copies'
  readonly #of
  /** Frames sealed by the last `push`. */
  #sealed = 0

  constructor (init: SecretboxInit) {
    this.#of = direction(init, 'send', 'sent')
  }

  /** @throws {SecretboxError} `ERR_SECRETBOX_COUNTER` when there is no nonce for each of them */
  push (batch: Batch): Batch {
    const { nacl, key, nonce, clear } = this.#of
    let size = 0
    let sealed = 0
    for (const { length } of batch) {
      size += length
      if (length > clear) sealed++
    }
    nonce.require(sealed)
    this.#sealed = sealed
    const out = Buffer.allocUnsafe(size + sealed * BOX_TAG_BYTES)
    let start = 0
    return batch.map((payload) => {
      const isSealed = payload.length > clear
      const frame = out.subarray(start, start + payload.length + (isSealed ? BOX_TAG_BYTES : 0))
      start += frame.length
      if (isSealed) nacl.seal(frame, payload, nonce.next(), key)
      else frame.set(payload)
      return frame
    })
  }

  /** A frame that was not sent must not be counted, as the other side does not count it either. */
  undo (): void {
    this.#of.nonce.back(this.#sealed)
    this.#sealed = 0
  }
}

/**
 * The layer: frames below, payloads above. Use it where no frame is lost and all are in order, over a length-prefix or WebSocket layer.
 *
 * @throws {OptionError} when an option cannot work
 */
export function secretbox (init: SecretboxInit): Layer {
  direction(init, 'send', 'sent') // checks the options now rather than at the first link
  direction(init, 'receive', 'received')
  return codec(() => ({ decode: new SecretboxDecoder(init), encode: new SecretboxEncoder(init) }))
}
