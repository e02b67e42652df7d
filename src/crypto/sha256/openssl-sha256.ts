/** SHA-256 by functions of OpenSSL. Allocates no object; an HMAC begins with a copy of the state after the block of its key (RFC 2104). */
import { DIGEST_BYTES, type Hmac, type Sha256 } from './sha256.ts'
import { STATE_BYTES, type OpenSslSha256 } from '../../net/native/openssl-sha256.ts'

const BLOCK_BYTES = 64
const INNER = 0x36
const OUTER = 0x5c

export class FunctionsOfSha256 implements Sha256 {
  readonly implementation = 'openssl'
  readonly problem = undefined
  readonly #openssl: OpenSslSha256
  /** Of one digest at a time, with its result behind it. */
  readonly #state = new Uint8Array(STATE_BYTES + DIGEST_BYTES)
  readonly #stateAt: number

  constructor (openssl: OpenSslSha256) {
    this.#openssl = openssl
    this.#stateAt = openssl.address(this.#state)
  }

  digest (bytes: Uint8Array, from: number, length: number, into: Uint8Array, at: number): void {
    const { update, final, init, address } = this.#openssl
    const start = address(bytes) + from
    const state = this.#stateAt
    init(state)
    update(state, start, length)
    final(address(into) + at, state)
  }

  hmac (key: Uint8Array): Hmac {
    const block = new Uint8Array(BLOCK_BYTES)
    if (key.length > BLOCK_BYTES) this.digest(key, 0, key.length, block, 0)
    else block.set(key)
    return new FunctionsOfHmac(this.#openssl, { bytes: this.#state, at: this.#stateAt }, this.#after(block, INNER), this.#after(block, OUTER))
  }

  /** The state after the block of a key. */
  #after (block: Uint8Array, pad: number): Uint8Array {
    const { init, update, address } = this.#openssl
    const state = new Uint8Array(STATE_BYTES)
    init(address(state))
    update(address(state), address(block.map((byte) => byte ^ pad)), BLOCK_BYTES)
    return state
  }
}

/** The memory of a state with a result behind it, and its address. */
interface State {
  readonly bytes: Uint8Array
  readonly at: number
}

class FunctionsOfHmac implements Hmac {
  readonly #openssl: OpenSslSha256
  readonly #state: State
  readonly #inner: Uint8Array
  readonly #outer: Uint8Array

  constructor (openssl: OpenSslSha256, state: State, inner: Uint8Array, outer: Uint8Array) {
    this.#openssl = openssl
    this.#state = state
    this.#inner = inner
    this.#outer = outer
  }

  sign (bytes: Uint8Array, from: number, length: number, into: Uint8Array, at: number): void {
    const { update, final, address } = this.#openssl
    const start = address(bytes) + from
    const { bytes: memory, at: state } = this.#state
    const digest = state + STATE_BYTES
    memory.set(this.#inner)
    update(state, start, length)
    final(digest, state)
    memory.set(this.#outer)
    update(state, digest, DIGEST_BYTES)
    final(address(into) + at, state)
  }
}
