/** R's side of a handshake (SHOW CHAIN protocol, section 7.2). */
import { hash, randomBytes } from 'node:crypto'
import { EphemeralKey } from '../protocol/key-agreement.ts'
import { answerBytes, offerBytes } from '../protocol/signatures.ts'
import type { Identity } from '../protocol/identity.ts'
import type { PublicKeys } from '../protocol/public-keys.ts'
import type { Batch, Clock, Timer } from '../../../types.ts'
import { agree, decodeAnswer, encodeOffer, type Agreement } from './handshake.ts'
import { assemblerOf, cutParts, HANDSHAKE_BYTES, Stage, type HandshakePart, type PartsAssembler } from './handshake-parts.ts'
import { PairError } from './pair-error.ts'

/** Milliseconds after the first offer at which it is repeated, and when it has failed. */
const REPEATED_AT = [500, 1000, 2000, 4000, 6000, 8000, 10_000, 12_000]
const FAILED_AT = 15_000

export interface OfferingInit {
  clock: Clock
  identity: Pick<Identity, 'id' | 'der' | 'signLater'>
  keys: PublicKeys
  /** Id of T. */
  target: Uint8Array
  index: number
  /** For golden vectors: 8 bytes, and the secret of the ephemeral key. Default: random. */
  handshake?: Uint8Array
  ephemeral?: EphemeralKey
  /** Sends the parts of the offer. */
  send (parts: Batch): void
  onAgreed (agreement: Agreement): void
  /** T has not answered in time. */
  onFailed (err: PairError): void
}

export class Offering {
  /** Parts and answers that were dropped: of no offer of this node, broken, or not signed by T. */
  dropped = 0
  readonly #init: OfferingInit
  readonly #handshake: Uint8Array
  readonly #name: string
  readonly #ephemeral: EphemeralKey
  /** By path: on one of them anything may come. */
  #assemblers = new WeakMap<object, PartsAssembler>()
  readonly #startedAt: number
  #offer: Uint8Array | undefined
  #parts: Batch = []
  #repeats = 0
  #timer: Timer | undefined
  /** Paths whose answers are verified. */
  readonly #verifying = new Set<object>()
  #isOver = false

  constructor (init: OfferingInit) {
    this.#init = init
    this.#handshake = init.handshake ?? randomBytes(HANDSHAKE_BYTES)
    this.#name = Buffer.from(this.#handshake).toString('latin1')
    this.#ephemeral = init.ephemeral ?? new EphemeralKey()
    this.#startedAt = init.clock.now()
    this.#sign()
  }

  /** A path has come: it may be the first one that works. */
  repeat (): void {
    if (this.#parts.length > 0 && !this.#isOver) this.#init.send(this.#parts.map((part) => part.slice()))
  }

  /**
   * Takes a part of an answer.
   *
   * @param from what stands for the path on which it came
   * @param onForged the whole is not signed by T
   */
  receive (part: HandshakePart, from: object, now: number, onForged: () => void): void {
    const offer = this.#offer
    if (part.stage !== Stage.ANSWER || part.handshake !== this.#name || offer === undefined || this.#isOver) {
      this.dropped++
      return
    }
    const bytes = this.#verifying.has(from) ? undefined : assemblerOf(this.#assemblers, from).add(part, now)
    if (bytes === undefined) return
    const { keys, identity, target } = this.#init
    const answer = decodeAnswer(bytes)
    const key = answer === undefined ? 'encoding' : keys.read(answer.key, target)
    if (answer === undefined || typeof key === 'string') {
      this.dropped++
      onForged()
      return
    }
    const names = { requester: identity.id, target, handshake: this.#handshake }
    this.#verifying.add(from)
    key.verifyLater(answerBytes({ ...names, index: answer.index, ephemeral: answer.ephemeral, offerHash: hash('sha256', offer, 'buffer') }), answer.sign, (isValid) => {
      this.#verifying.delete(from)
      if (this.#isOver) return
      const agreement = isValid ? agree({ ...names, role: 'requester', index: this.#init.index, ephemeral: this.#ephemeral, other: answer, offer, answer: bytes }) : undefined
      if (agreement === undefined) {
        this.dropped++
        onForged()
        return
      }
      keys.remember(key)
      this.close()
      this.#init.onAgreed(agreement)
    })
  }

  close (): void {
    this.#isOver = true
    this.#init.clock.clear(this.#timer)
    this.#assemblers = new WeakMap()
  }

  #sign (): void {
    const { clock, identity, target, index } = this.#init
    const ephemeral = this.#ephemeral.publicKey
    const ts = clock.date()
    identity.signLater(offerBytes({ requester: identity.id, target, handshake: this.#handshake, index, ephemeral, ts }), (sign) => {
      if (this.#isOver) return
      if (sign === undefined) {
        this.#fail('OpenSSL makes no signature')
        return
      }
      this.#offer = encodeOffer({ index, ephemeral, ts, key: identity.der, sign })
      this.#parts = cutParts(this.#handshake, Stage.OFFER, this.#offer)
      this.repeat()
      this.#wait()
    })
  }

  #wait (): void {
    const { clock } = this.#init
    const at = REPEATED_AT[this.#repeats++] ?? FAILED_AT
    this.#timer = clock.set(Math.max(1, this.#startedAt + at - clock.now()), () => {
      if (this.#repeats > REPEATED_AT.length) {
        this.#fail('the other node has not answered the offer')
        return
      }
      this.repeat()
      this.#wait()
    })
  }

  #fail (message: string): void {
    this.close()
    this.#init.onFailed(new PairError('ERR_HANDSHAKE', message))
  }
}
