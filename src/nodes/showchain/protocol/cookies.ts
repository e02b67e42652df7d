/** Proofs that somebody receives datagrams at an address, made without any memory (SHOW CHAIN protocol, section 3.3). */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { DIGEST_BYTES, type Hmac, type Sha256 } from '../../../crypto/index.ts'
import { NodeSha256 } from '../../../crypto/sha256/node-sha256.ts'
import type { Endpoint } from '../../../types.ts'
import { addressBytes } from './addresses.ts'
import { COOKIE_BYTES } from './field-table.ts'

/** Milliseconds in which a cookie is made; it is valid in the next ones as well. */
const PERIOD = 120_000

const SECRET_BYTES = 32
const MAX_ADDRESS = 16
const PORT_BYTES = 2
const PERIOD_BYTES = 8
const WORD = 2 ** 32

export class Cookies {
  readonly #hmac: Hmac
  /** What is authenticated, and the result. */
  readonly #covered = Buffer.alloc(MAX_ADDRESS + PORT_BYTES + PERIOD_BYTES)
  readonly #digest = Buffer.alloc(DIGEST_BYTES)

  /** @param secret of this process alone */
  constructor (secret: Uint8Array = randomBytes(SECRET_BYTES), sha256: Sha256 = new NodeSha256(undefined)) { this.#hmac = sha256.hmac(secret) }

  /**
   * The cookie of an endpoint.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  make (endpoint: Endpoint, now: number): Uint8Array { return Uint8Array.from(this.#of(endpoint, Math.floor(now / PERIOD))) }

  /** Whether a cookie was made for this endpoint a short while ago. */
  check (cookie: Uint8Array | undefined, endpoint: Endpoint, now: number): boolean {
    if (cookie?.length !== COOKIE_BYTES) return false
    const period = Math.floor(now / PERIOD)
    return timingSafeEqual(cookie, this.#of(endpoint, period)) || timingSafeEqual(cookie, this.#of(endpoint, period - 1))
  }

  /** In memory that the next call writes to. */
  #of ({ host, port }: Endpoint, period: number): Uint8Array {
    const address = addressBytes(host) ?? hostBytes(host)
    const covered = this.#covered
    covered.set(address)
    const at = covered.writeUInt16BE(port, address.length)
    const high = Math.floor(period / WORD) // the period before the first one is negative
    covered.writeInt32BE(high, at)
    const length = covered.writeUInt32BE(period - high * WORD, at + PERIOD_BYTES / 2)
    this.#hmac.sign(covered, 0, length, this.#digest, 0)
    return this.#digest.subarray(0, COOKIE_BYTES)
  }
}

/** Of a name, as links in memory have. */
const hostBytes = (host: string): Uint8Array => hash('sha256', host, 'buffer').subarray(0, MAX_ADDRESS)
