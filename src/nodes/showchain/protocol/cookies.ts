/** Proofs that somebody receives datagrams at an address, made without any memory (SHOW CHAIN protocol, section 3.3). */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Endpoint } from '../../../types.ts'
import { addressBytes } from './addresses.ts'
import { COOKIE_BYTES } from './field-table.ts'

/** Milliseconds in which a cookie is made; it is valid in the next ones as well. */
const PERIOD = 120_000

const SECRET_BYTES = 32
const PORT_BYTES = 2
const PERIOD_BYTES = 8

export class Cookies {
  readonly #secret: Uint8Array

  /** @param secret of this process alone */
  constructor (secret: Uint8Array = randomBytes(SECRET_BYTES)) { this.#secret = secret }

  /**
   * The cookie of an endpoint.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  make (endpoint: Endpoint, now: number): Uint8Array { return this.#of(endpoint, Math.floor(now / PERIOD)) }

  /** Whether a cookie was made for this endpoint a short while ago. */
  check (cookie: Uint8Array | undefined, endpoint: Endpoint, now: number): boolean {
    if (cookie?.length !== COOKIE_BYTES) return false
    const period = Math.floor(now / PERIOD)
    return timingSafeEqual(cookie, this.#of(endpoint, period)) || timingSafeEqual(cookie, this.#of(endpoint, period - 1))
  }

  #of ({ host, port }: Endpoint, period: number): Uint8Array {
    const rest = Buffer.alloc(PORT_BYTES + PERIOD_BYTES)
    rest.writeUInt16BE(port)
    rest.writeBigInt64BE(BigInt(period), PORT_BYTES) // the one before the first is negative
    return createHmac('sha256', this.#secret).update(addressBytes(host) ?? Buffer.from(host)).update(rest).digest().subarray(0, COOKIE_BYTES)
  }
}
