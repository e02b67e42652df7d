/** One request of STUN over UDP, sent again until there is an answer (RFC 8489, section 6.2.1). */
import { randomFillSync } from 'node:crypto'
import { decodeStun, encodeStun, isStun, TRANSACTION_BYTES, type StunMessage, type StunMessageInit } from './message.ts'
import { normalizeAddress } from '../../net/client-address.ts'
import type { Datagram, Endpoint } from '../../types.ts'

/** How often a request is sent, and how long there may be no answer. */
export interface Schedule {
  tries: number
  /** Milliseconds until the second try. */
  timeout: number
  /** By which that grows with each further try. */
  factor: number
}

/** Fills the array with random bytes. */
export type FillRandom = (bytes: Uint8Array) => unknown

export interface StunTransactionInit extends Schedule {
  to: Endpoint
  /** Attributes of the request. */
  request?: Omit<StunMessageInit, 'class' | 'transaction'>
  /** Where answers may come from. Default: where the request goes to. */
  from?: readonly Endpoint[]
  fillRandom?: FillRandom
}

/** An answer, and where it came from. */
export interface Answer {
  readonly message: StunMessage
  readonly from: Endpoint
  /** Milliseconds; undefined when the request was sent more than once, as any of those may have been answered. */
  readonly roundTrip: number | undefined
}

/** One for the same address and port, however the address is written. */
export const isSame = (a: Endpoint, b: Endpoint): boolean => a.port === b.port && normalizeAddress(a.host) === normalizeAddress(b.host)

export class StunTransaction {
  readonly to: Endpoint
  /** The first valid one. */
  answer: Answer | undefined
  readonly #init: StunTransactionInit
  readonly #id = new Uint8Array(TRANSACTION_BYTES)
  readonly #bytes: Uint8Array
  readonly #from: readonly Endpoint[]
  #sent = 0
  #sentAt = 0
  /** When it is to be sent again, or given up; undefined when it is over. */
  #deadline: number | undefined

  /** @param now when it is to be sent first */
  constructor (init: StunTransactionInit, now: number) {
    const { to, request, from = [to], fillRandom = randomFillSync } = init
    this.#init = init
    this.to = to
    this.#from = from
    fillRandom(this.#id)
    this.#bytes = encodeStun({ ...request, class: 'request', transaction: this.#id })
    this.#deadline = now
  }

  get deadline (): number | undefined { return this.#deadline }

  /** There is an answer, or it was given up. */
  get isOver (): boolean { return this.#deadline === undefined }

  /** What to send now; undefined for nothing. */
  poll (now: number): Datagram | undefined {
    if (this.#deadline === undefined || now < this.#deadline) return undefined
    const { tries, timeout, factor } = this.#init
    if (this.#sent === tries) {
      this.#deadline = undefined
      return undefined
    }
    this.#deadline = now + timeout * factor ** this.#sent++
    this.#sentAt = now
    return { ...this.to, data: this.#bytes }
  }

  /** Whether a datagram answers this request, be it for the second time. All else changes nothing. */
  receive ({ data, host, port }: Datagram, now: number): boolean {
    if (!this.#isIn(data) || !this.#from.some((from) => isSame(from, { host, port }))) return false
    const message = decodeStun(data)
    if (message === undefined || (message.class !== 'success' && message.class !== 'error')) return false
    if (this.#deadline !== undefined) {
      this.#deadline = undefined
      this.answer = { message, from: { host, port }, roundTrip: this.#sent === 1 ? now - this.#sentAt : undefined }
    }
    return true
  }

  /** Whether a datagram is this request itself, which has come back. */
  isEcho ({ data }: Datagram): boolean { return this.#isIn(data) && decodeStun(data)?.class === 'request' }

  /** It is given up. */
  stop (): void { this.#deadline = undefined }

  #isIn (data: Uint8Array): boolean { return this.#sent > 0 && isStun(data) && this.#id.every((byte, i) => byte === data[8 + i]) }
}
