/**
 * Verifications of one link: a few of each batch at once, the others on other threads, in order for each sender. To hand one over, and to
 * take its result, costs half as much as to verify it.
 */
import { OrderedJobs } from './ordered-jobs.ts'
import type { PssKey } from './pss.ts'

/** A message with what its verification needs. */
export interface Unverified<M> {
  readonly message: M
  readonly key: PssKey
  /** The signed bytes. */
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
}

/** Bounds of {@link Verifications}. */
export interface VerificationLimits {
  /** Verifications of one batch that this thread does at once: some 40 microseconds each, with keys of 2048 bits. Default: 8. */
  few?: number
  /** Verifications on other threads at a time. Default: 32. */
  maxRunning?: number
  /** Messages of one sender, and of all, that wait. More are dropped. Defaults: 256, 4096. */
  maxPerSender?: number
  maxWaiting?: number
}

export interface VerificationsInit<M> extends VerificationLimits {
  /** Whose messages stay in order. */
  senderOf: (message: M) => string
  /** Takes the message with the result, also within `push` and `flush`. Must not throw. */
  take: (message: M, isValid: boolean) => void
  /** Makes a message that refers to no memory of others, where such memory is only lent. */
  own?: ((message: M) => M) | undefined
  /** False: all is done at once, whatever it takes, so that a simulation is reproducible. Default: true. */
  threads?: boolean | undefined
}

export class Verifications<M> {
  readonly #init: VerificationsInit<M>
  readonly #few: number
  readonly #jobs: OrderedJobs<Unverified<M>, boolean>
  /** The first ones of the batch at hand. */
  readonly #first: Array<Unverified<M>> = []

  constructor (init: VerificationsInit<M>) {
    const { few = 8, maxRunning = 32, maxPerSender = 256, maxWaiting = 4096, take, threads = true } = init
    this.#init = init
    this.#few = threads ? few : Infinity
    this.#jobs = new OrderedJobs({
      run: ({ key, bytes, signature }, done) => { key.verifyLater(bytes, signature, done) },
      take: ({ message }, isValid) => { take(message, isValid) },
      maxRunning,
      maxPerOwner: maxPerSender,
      maxJobs: maxWaiting
    })
  }

  /** Messages that wait on other threads. */
  get waiting (): number { return this.#jobs.size }

  /** False when there is no room. */
  push (unverified: Unverified<M>): boolean {
    const first = this.#first
    if (first.length >= this.#few || (this.#jobs.size > 0 && this.#jobs.has(this.#init.senderOf(unverified.message)))) return this.#later(unverified)
    first.push(unverified)
    return true
  }

  /** To be called at the end of each batch, before results of other threads can come. */
  flush (): void {
    const first = this.#first
    if (first.length === 0) return
    for (const { message, key, bytes, signature } of first) this.#init.take(message, key.verify(bytes, signature))
    first.length = 0
  }

  /** Settles when none waits. */
  idle (): Promise<void> { return this.#jobs.idle() }

  #later (unverified: Unverified<M>): boolean {
    const { own, senderOf } = this.#init
    const { message, key, bytes, signature } = unverified
    const sender = senderOf(message)
    if (own === undefined) return this.#jobs.push(sender, unverified)
    return this.#jobs.push(sender, { message: own(message), key, bytes, signature: Uint8Array.prototype.slice.call(signature) })
  }
}
