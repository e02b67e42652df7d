/** T's side of handshakes with one R (SHOW CHAIN protocol, section 7.2). */
import { hash } from 'node:crypto'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { EphemeralKey } from '../protocol/key-agreement.ts'
import { answerBytes, offerBytes } from '../protocol/signatures.ts'
import type { Identity } from '../protocol/identity.ts'
import type { PublicKeys } from '../protocol/public-keys.ts'
import type { Batch, Clock } from '../../../types.ts'
import { agree, decodeOffer, encodeAnswer, type Agreement, type Offer } from './handshake.ts'
import { assemblerOf, cutParts, Stage, type HandshakePart, type PartsAssembler } from './handshake-parts.ts'

/** Milliseconds that the time of an offer may be off. */
const FRESH = 30_000

/** Milliseconds between two answers to one offer, at least. */
const REPEAT_AFTER = 100

/** Offers of one R that are answered, each by a signature. */
const ANSWERS = { rate: 1, burst: 16 }

export interface AnsweringInit {
  clock: Clock
  identity: Pick<Identity, 'id' | 'der' | 'signLater'>
  keys: PublicKeys
  /** Id of R. */
  requester: Uint8Array
  /** Milliseconds that the time of an offer may be off. Default: 30 000. */
  freshness?: number
  /** An index for a session; undefined: there is no room. */
  claimIndex (): number | undefined
  releaseIndex (index: number): void
  /** For golden vectors. Default: random. */
  ephemeral?: EphemeralKey
  onAgreed (agreement: Agreement): void
}

/** Why offers were dropped. */
export interface AnsweringDrops {
  /** No parts, or no offer. */
  malformed: number
  /** Not fresh, or not newer than the last one. */
  stale: number
  /** Not signed by R. */
  forged: number
  /** While another one was looked at, too many, or without room for a session. */
  busy: number
}

export class Answering {
  readonly drops: AnsweringDrops = { malformed: 0, stale: 0, forged: 0, busy: 0 }
  readonly #init: AnsweringInit
  /** By path: on one of them anything may come. */
  #assemblers = new WeakMap<object, PartsAssembler>()
  /** Paths whose offers are verified. */
  readonly #verifying = new Set<object>()
  readonly #answers: TokenBucket
  #isAnswering = false
  #isClosed = false
  #lastTs = -Infinity
  /** The last offer that was answered. */
  #answered: { name: string, parts: Batch, sentAt: number } | undefined

  constructor (init: AnsweringInit) {
    this.#init = init
    this.#answers = new TokenBucket(ANSWERS, init.clock.now())
  }

  /**
   * Takes a part of an offer.
   *
   * @param handshake 8 bytes, as in the part
   * @param from what stands for the path on which it came
   * @param send sends the parts of the answer, by the path on which the offer came
   */
  receive (part: HandshakePart, handshake: Uint8Array, from: object, now: number, send: (parts: Batch) => void): void {
    if (part.stage !== Stage.OFFER || this.#isClosed) {
      this.drops.malformed++
      return
    }
    const answered = this.#answered
    if (answered?.name === part.handshake) {
      if (now - answered.sentAt < REPEAT_AFTER) return
      answered.sentAt = now
      send(answered.parts.map((one) => one.slice()))
      return
    }
    const bytes = assemblerOf(this.#assemblers, from).add(part, now)
    if (bytes === undefined) return
    const offer = decodeOffer(bytes)
    if (offer === undefined) this.drops.malformed++
    else if (Math.abs(this.#init.clock.date() - offer.ts) > (this.#init.freshness ?? FRESH) || offer.ts <= this.#lastTs) this.drops.stale++
    else if (this.#isAnswering || this.#verifying.has(from)) this.drops.busy++
    else this.#verify(offer, bytes, part.handshake, Uint8Array.from(handshake), from, send)
  }

  close (): void {
    this.#isClosed = true
    this.#answered = undefined
    this.#assemblers = new WeakMap()
  }

  #verify (offer: Offer, bytes: Uint8Array, name: string, handshake: Uint8Array, from: object, send: (parts: Batch) => void): void {
    const { keys, identity, requester } = this.#init
    const key = keys.read(offer.key, requester)
    if (typeof key === 'string') {
      this.drops.forged++
      return
    }
    this.#verifying.add(from)
    const { index, ephemeral, ts } = offer
    key.verifyLater(offerBytes({ requester, target: identity.id, handshake, index, ephemeral, ts }), offer.sign, (isValid) => {
      this.#verifying.delete(from)
      if (this.#isClosed) return
      if (!isValid || ts <= this.#lastTs) {
        if (isValid) this.drops.stale++
        else this.drops.forged++
        return
      }
      const { clock } = this.#init
      this.#answers.refill(clock.now())
      if (this.#isAnswering || !this.#answers.take(1)) {
        this.drops.busy++
        return
      }
      keys.remember(key)
      this.#lastTs = ts
      this.#answer(offer, bytes, name, handshake, send)
    })
  }

  #answer (offer: Offer, bytes: Uint8Array, name: string, handshake: Uint8Array, send: (parts: Batch) => void): void {
    const { identity, requester, claimIndex, releaseIndex, clock } = this.#init
    const index = claimIndex()
    if (index === undefined) {
      this.drops.busy++
      return
    }
    this.#isAnswering = true
    const ephemeral = this.#init.ephemeral ?? new EphemeralKey()
    const names = { requester, target: identity.id, handshake }
    const values = { ...names, index, ephemeral: ephemeral.publicKey, offerHash: hash('sha256', bytes, 'buffer') }
    identity.signLater(answerBytes(values), (sign) => {
      this.#isAnswering = false
      const answer = sign === undefined ? undefined : encodeAnswer({ index, ephemeral: ephemeral.publicKey, key: identity.der, sign })
      const agreement = answer === undefined || this.#isClosed ? undefined : agree({ ...names, role: 'target', index, ephemeral, other: offer, offer: bytes, answer })
      if (answer === undefined || agreement === undefined) {
        releaseIndex(index)
        return
      }
      const parts = cutParts(handshake, Stage.ANSWER, answer)
      this.#answered = { name, parts, sentAt: clock.now() }
      this.#init.onAgreed(agreement)
      send(parts.map((one) => one.slice()))
    })
  }
}
