/** The password of a page, and who has said it. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { KeyedTokenBuckets } from '../../../../limits/keyed-token-buckets.ts'
import type { Clock } from '../../../../types.ts'

/** Sessions at one time; beyond it the oldest one ends. */
const MAX_SESSIONS = 64

/** Milliseconds of a session. */
const LIFETIME = 12 * 60 * 60 * 1000

/** Wrong passwords of one source in a minute, and at once. Also of the loopback, where every program of this machine may try. */
const WRONG_PER_MINUTE = 10

/** Bytes of a session's secret. */
const SECRET = 32

export type LoginResult = { readonly is: 'wrong' | 'throttled' } | { readonly is: 'ok', readonly cookie: string }

export class Login {
  readonly #clock: Clock
  readonly #name: string
  /** Of this process: digests of equal length to compare, which say nothing about the password. */
  readonly #key = randomBytes(SECRET)
  readonly #password: Buffer
  readonly #wrong = new KeyedTokenBuckets({ rate: WRONG_PER_MINUTE / 60, burst: WRONG_PER_MINUTE })
  /** Digest of the secret to the time of its end, oldest first. A digest, as a look-up takes a time that tells about its key. */
  readonly #sessions = new Map<string, number>()

  /** @param name - of the cookie: all ports of a host share their cookies */
  constructor (password: string, name: string, clock: Clock) {
    this.#clock = clock
    this.#name = name
    this.#password = this.#digest(password)
  }

  /** @param source - see `clientKey` */
  attempt (password: string, source: string): LoginResult {
    const now = this.#clock.now()
    if (!this.#wrong.allows(source, now)) return { is: 'throttled' } // without a comparison, as the answer would confirm a guess
    if (!timingSafeEqual(this.#digest(password), this.#password)) {
      this.#wrong.take(source, now)
      return { is: 'wrong' }
    }
    const secret = randomBytes(SECRET).toString('base64url')
    this.#sessions.set(digestOf(secret), now + LIFETIME)
    if (this.#sessions.size > MAX_SESSIONS) {
      const [oldest] = this.#sessions.keys()
      this.#sessions.delete(oldest)
    }
    return { is: 'ok', cookie: `${this.#name}=${secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${LIFETIME / 1000}` }
  }

  /** @param header - the header `Cookie` of a request */
  isIn (header = ''): boolean {
    const now = this.#clock.now()
    for (const [key, end] of this.#sessions) if (end <= now) this.#sessions.delete(key)
    return header.split(/;\s*/).some((pair) => pair.startsWith(`${this.#name}=`) && this.#sessions.has(digestOf(pair.slice(this.#name.length + 1))))
  }

  #digest (password: string): Buffer { return createHmac('sha256', this.#key).update(password).digest() }
}

const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
