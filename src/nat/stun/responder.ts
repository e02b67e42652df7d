/**
 * A server of STUN, with what RFC 5780 adds for finding out how a NAT behaves.
 *
 * Sources of UDP can be forged, so each request makes at most one response of at most {@link MAX_RESPONSE} bytes. A response that a request
 * wants from another socket goes only to who has shown that it gets what is sent to its address: the first such request is answered with
 * error 438 and a NONCE, a MAC of the source, and it is done when the same source sends it again with that.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { CHANGE_REQUEST, type ChangeRequest, type StunError } from './attributes.ts'
import { decodeStun, encodeStun, isClassic, type StunMessage, type StunMessageInit } from './message.ts'
import { isSame } from './transaction.ts'
import { OptionError } from '../../errors.ts'
import { KeyedTokenBuckets } from '../../limits/keyed-token-buckets.ts'
import { TokenBucket, type TokenBucketInit } from '../../limits/token-bucket.ts'
import { clientKey, normalizeAddress } from '../../net/client-address.ts'
import type { Datagram, Endpoint } from '../../types.ts'

/** Bytes of the longest response: three IPv6 addresses and a fingerprint. */
export const MAX_RESPONSE = 100

/** Bytes of the longest request that is read: what fits into the least MTU of IPv4. */
const MAX_REQUEST = 548

/** Attributes that an error names. */
const MAX_UNKNOWN = 8

/** Milliseconds that a nonce is good for; at most twice that. */
const NONCE_PERIOD = 60_000
const NONCE_BYTES = 12

const UNKNOWN_ATTRIBUTE: StunError = { code: 420, reason: 'Unknown Attribute' }
const STALE_NONCE: StunError = { code: 438, reason: 'Stale Nonce' }

/** Options of a {@link StunResponder}. */
export interface StunResponderInit {
  /**
   * Where its sockets are for clients: one; two of one address with different ports; or those two and two of a second address with the same
   * ports. A host may be `0.0.0.0` or `::` where the address is not known; then clients are not told of other ones.
   */
  endpoints: readonly Endpoint[]
  /** Requests a second of one source, an IPv4 address or an IPv6 /64. Default: 10, with a burst of 100. */
  source?: TokenBucketInit
  /** Requests a second of all together. Default: 5000. */
  total?: TokenBucketInit
  /** Sources whose requests are counted; beyond it the one that was silent longest is forgotten. Default: 16,384. */
  maxSources?: number
}

/** Counters since the start. */
export interface StunResponderStats {
  /** Requests that were read and within the rates. */
  requests: number
  /** Responses with an endpoint. */
  responses: number
  /** Those of them that were sent from another socket. */
  changed: number
  /** Responses with an error: `unknownAttribute`, attributes that are not known or cannot be served; `nonce`, to who has to show its address. */
  errors: { unknownAttribute: number, nonce: number }
  /**
   * Datagrams without an answer: `malformed`, no STUN or too long; `class`, no request; `source`, too many of one source; `total`, too many
   * in all; `nonce`, to be answered from another socket, and without the cookie: RFC 3489 has no nonce.
   */
  drops: { malformed: number, class: number, source: number, total: number, nonce: number }
}

/** A datagram to send. */
export interface StunResponse {
  /** The index of the socket that sends it. */
  readonly from: number
  readonly to: Endpoint
  readonly data: Uint8Array
}

/** An endpoint that clients can be told. */
const known = (endpoint: Endpoint): Endpoint | undefined => endpoint.host === '0.0.0.0' || endpoint.host === '::' ? undefined : endpoint

/** A server without sockets: its owner passes what its sockets receive, and sends what is returned. */
export class StunResponder {
  readonly stats: StunResponderStats = {
    requests: 0, responses: 0, changed: 0, errors: { unknownAttribute: 0, nonce: 0 }, drops: { malformed: 0, class: 0, source: 0, total: 0, nonce: 0 }
  }

  readonly #endpoints: readonly Endpoint[]
  readonly #sources: KeyedTokenBuckets
  readonly #total: TokenBucket
  readonly #secret = randomBytes(32)

  /**
   * @param now milliseconds of a monotonic clock, as of `receive`
   * @throws {OptionError}
   */
  constructor ({ endpoints, source = { rate: 10, burst: 100 }, total = { rate: 5000 }, maxSources = 16_384 }: StunResponderInit, now: number) {
    this.#endpoints = verifyEndpoints(endpoints)
    this.#sources = new KeyedTokenBuckets({ ...source, maxKeys: maxSources })
    this.#total = new TokenBucket(total, now)
  }

  /**
   * Takes a datagram.
   *
   * @param at the index of the socket that has received it
   * @returns what to send: one response at most
   */
  receive (datagram: Datagram, at: number, now: number): StunResponse[] {
    const { data, host, port } = datagram
    const request = data.length > MAX_REQUEST || port === 0 ? undefined : decodeStun(data)
    if (request === undefined) return this.#drop('malformed')
    if (request.class !== 'request') return this.#drop('class')
    if (!this.#sources.take(clientKey(host), now)) return this.#drop('source')
    this.#total.refill(now)
    if (!this.#total.take(1)) return this.#drop('total')
    this.stats.requests++
    const to = { host, port }
    const { notUnderstood, changeRequest = { ip: false, port: false } } = request
    if (notUnderstood.length > 0) return [this.#unknown(request, at, to, notUnderstood)]
    const from = this.#changed(at, changeRequest)
    if (from === undefined) return [this.#unknown(request, at, to, [CHANGE_REQUEST])]
    if (from !== at && isClassic(request)) return this.#drop('nonce')
    if (from !== at && !this.#isNonce(request.nonce, to, now)) {
      this.stats.errors.nonce++
      return [response(request, at, to, { class: 'error', error: STALE_NONCE, nonce: this.#nonce(to, Math.floor(now / NONCE_PERIOD)) })]
    }
    this.stats.responses++
    if (from !== at) this.stats.changed++
    return [response(request, from, to, {
      class: 'success',
      [isClassic(request) ? 'mappedAddress' : 'xorMappedAddress']: to,
      responseOrigin: known(this.#endpoints[from]),
      otherAddress: this.#endpoints.length === 1 ? undefined : known(this.#endpoints[at ^ (this.#endpoints.length - 1)])
    })]
  }

  #drop (reason: keyof StunResponderStats['drops']): [] {
    this.stats.drops[reason]++
    return []
  }

  #unknown (request: StunMessage, at: number, to: Endpoint, types: readonly number[]): StunResponse {
    this.stats.errors.unknownAttribute++
    return response(request, at, to, { class: 'error', error: UNKNOWN_ATTRIBUTE, unknownAttributes: types.slice(0, MAX_UNKNOWN) })
  }

  /** The socket with another port, or address; undefined when there is none. Bit 0 of an index is the port, bit 1 the address. */
  #changed (at: number, { ip, port }: ChangeRequest): number | undefined {
    const from = at ^ (port ? 1 : 0) ^ (ip ? 2 : 0)
    return from < this.#endpoints.length ? from : undefined
  }

  /** A MAC in ASCII, as a NONCE is a string: it costs no memory here. */
  #nonce ({ host, port }: Endpoint, period: number): Buffer {
    const mac = createHmac('sha256', this.#secret).update(`${period} ${port} ${normalizeAddress(host)}`).digest()
    return Buffer.from(mac.subarray(0, NONCE_BYTES).toString('base64url'))
  }

  #isNonce (nonce: Uint8Array | undefined, source: Endpoint, now: number): boolean {
    const period = Math.floor(now / NONCE_PERIOD)
    return nonce !== undefined && [period, period - 1].some((each) => {
      const right = this.#nonce(source, each)
      return right.length === nonce.length && timingSafeEqual(right, nonce)
    })
  }
}

function response ({ transaction, fingerprint }: StunMessage, from: number, to: Endpoint, init: Omit<StunMessageInit, 'transaction'>): StunResponse {
  return { from, to, data: encodeStun({ ...init, transaction, fingerprint }) }
}

function verifyEndpoints (endpoints: readonly Endpoint[]): readonly Endpoint[] {
  if (!Array.isArray(endpoints) || ![1, 2, 4].includes(endpoints.length)) throw new OptionError('endpoints are one, two or four')
  const [{ host, port }, other = { host, port: port + 1 }, second, last] = endpoints as Endpoint[]
  const isRight = normalizeAddress(other.host) === normalizeAddress(host) && other.port !== port &&
    (second === undefined || (!isSame(second, endpoints[0]) && second.port === port && isSame(last, { host: second.host, port: other.port })))
  if (!isRight) throw new OptionError('endpoints have two different ports on each address, the same ones on both')
  for (const endpoint of endpoints) encodeStun({ class: 'success', transaction: new Uint8Array(12), mappedAddress: endpoint })
  return endpoints.map(({ host, port }: Endpoint) => ({ host, port }))
}
