/** The password of a page, and who has said it. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { PasswordHasher } from './password-hasher.ts'
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

export type LoginResult = { readonly is: 'wrong' | 'throttled' | 'busy' } | { readonly is: 'ok', readonly cookie: string }

export class Login {
  readonly #clock: Clock
  readonly #name: string
  readonly #hasher = new PasswordHasher()
  readonly #hash: Promise<Buffer | undefined>
  readonly #wrong = new KeyedTokenBuckets({ rate: WRONG_PER_MINUTE / 60, burst: WRONG_PER_MINUTE })
  /** Digest of the secret to the time of its end, oldest first. A digest, as a look-up takes a time that tells about its key. */
  readonly #sessions = new Map<string, number>()

  /** @param name - of the cookie: all ports of a host share their cookies */
  constructor (password: string, name: string, clock: Clock) {
    this.#clock = clock
    this.#name = name
    this.#hash = this.#hasher.hash(password)
  }

  /**
   * Compares in constant time, and costs as much whether the password is right or not.
   *
   * @param source - see `clientKey`
   */
  async attempt (password: string, source: string): Promise<LoginResult> {
    const hash = await this.#hash
    if (!this.#wrong.allows(source, this.#clock.now())) return { is: 'throttled' } // without a comparison, as the answer would confirm a guess
    const given = await this.#hasher.hash(password)
    if (given === undefined || hash === undefined) return { is: 'busy' }
    const now = this.#clock.now()
    if (!this.#wrong.allows(source, now)) return { is: 'throttled' } // by others that were compared meanwhile
    if (!timingSafeEqual(given, hash)) {
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
}

const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
