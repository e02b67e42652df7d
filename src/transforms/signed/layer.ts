/**
 * Messages signed by RSA-PSS over values that a table lists. What goes down is signed, what comes up is verified; what fails is dropped and
 * counted, without an answer.
 *
 * ```ts
 * const covered = new CoveredValues<Message>('EXAMPLE/1', { order: [bytesOf((m) => m.account), uintOf(8, (m) => m.amount)] }, (m) => m.type)
 * const messages = over(link, signed({ covered, signer, signatureOf, withSignature, senderOf, keyOf: ({ account }) => keys.get(account) ?? 'unknown' }))
 * ```
 */
import { LinkBusyError } from '../../errors.ts'
import { drainedOf } from '../../layer.ts'
import { AsyncQueue } from '../../streams/async-queue.ts'
import { systemClock } from '../../streams/clock.ts'
import { consume, consumeSource } from '../../streams/consume.ts'
import type { Batch, Clock, Layer, Link, PacketPort, Take } from '../../types.ts'
import type { CoveredValues } from './covered-values.ts'
import { OrderedJobs } from './ordered-jobs.ts'
import type { PssKey, PssSigner } from './pss.ts'
import { Verifications, type VerificationLimits } from './verifications.ts'

/** Why a message was dropped, besides the reasons of `admit` and `keyOf`. */
export type SignedDrop =
  | 'budget' // its source has sent too many
  | 'unsigned' // it has no signature
  | 'signature' // it is not signed by its key
  | 'busy' // too many wait

/** A message could not be signed. */
export class SigningError extends Error {
  override readonly name = 'SigningError'
  readonly code = 'ERR_SIGNING'
}

/** Options of {@link signed}. */
export interface SignedInit<In, Out = In> extends VerificationLimits {
  /** What signatures cover. Messages of other types pass as they are. */
  covered: Pick<CoveredValues<In | Out>, 'has' | 'of'>
  /** The own key. */
  signer: PssSigner
  signatureOf (message: In | Out): Uint8Array | undefined
  /** A message to send that has no signature yet. */
  withSignature (message: Out, signature: Uint8Array): Out
  /** Whose messages stay in order. */
  senderOf (message: In): string
  /** The key of the sender; true when the message is authentic by other means; or a reason to drop it. */
  keyOf (message: In): PssKey | true | string
  /** Cheap checks, before anything else: a reason to drop the message. `now`: of the clock. */
  admit? (message: In, now: number): string | undefined
  /** Takes from the budget of the source, and of all, before the key is looked for. False: dropped. */
  budget? (message: In, now: number): boolean
  /** Called for each message that was dropped. */
  onDrop? (message: In, reason: string): void
  /** Called for each message that `port` has taken, and that could not be sent once it was signed. */
  onUnsent? (message: Out): void
  /** Makes a message that refers to no other memory: where that of the lower link is only lent, as by `flow`, and messages may have to wait. */
  own? (message: In): In
  /** Messages that wait to be signed. More are dropped by `port`; `sink` waits. Default: 1024. */
  maxUnsigned?: number
  /** Signatures that are made at a time. Default: 8. */
  maxSigning?: number
  /** False: all is done at once, so that a simulation is reproducible; it takes the thread for milliseconds. Default: true. */
  threads?: boolean
  clock?: Clock
}

/** A link of messages that are signed. */
export interface SignedLink<In, Out = In> extends Link<In, Out> {
  /** Messages that wait to be verified. */
  readonly unverified: number
  /** Messages that wait to be signed. */
  readonly unsigned: number
}

/** The layer: messages below, messages above, those with a false signature left out. */
export const signed = <In, Out = In>(init: SignedInit<In, Out>): Layer<Link<In, Out>, SignedLink<In, Out>> => (lower) => new Signed(lower, init)

const DEFAULT_MAX_UNSIGNED = 1024
const DEFAULT_MAX_SIGNING = 8

class Signed<In, Out> implements SignedLink<In, Out> {
  readonly port: PacketPort<Out>
  readonly flow: Link<In, Out>['flow']
  readonly #lower: Link<In, Out>
  readonly #init: SignedInit<In, Out>
  readonly #clock: Clock
  readonly #maxUnsigned: number
  readonly #verifications: Verifications<In>
  readonly #signing: OrderedJobs<Out, Uint8Array | undefined>
  /** Verified, and not taken by the reader yet. */
  #ready: Batch<In> = []
  #deliver: (() => void) | undefined
  /** Inside of a batch, whose end delivers. */
  #isReading = false

  constructor (lower: Link<In, Out>, init: SignedInit<In, Out>) {
    const { clock = systemClock, signer, covered, maxUnsigned = DEFAULT_MAX_UNSIGNED, maxSigning = DEFAULT_MAX_SIGNING } = init
    this.#lower = lower
    this.#init = init
    this.#clock = clock
    this.#maxUnsigned = maxUnsigned
    this.#verifications = new Verifications({ ...init, take: (message, isValid) => { this.#verified(message, isValid) }, own: init.own?.bind(init), senderOf: init.senderOf.bind(init) })
    this.#signing = new OrderedJobs({
      run: (message, done) => { signer.signLater(covered.of(message) as Uint8Array, done) },
      take: (message, signature) => {
        if (signature === undefined || lower.port.send([init.withSignature(message, signature)]) === 0) init.onUnsent?.(message)
      },
      maxRunning: maxSigning,
      maxPerOwner: maxUnsigned,
      maxJobs: maxUnsigned
    })
    this.flow = lower.flow === undefined ? undefined : (take, signal) => this.#read((each) => consume<In>(lower, each, signal), take)
    this.port = {
      send: (batch) => this.#send(batch),
      get queued () { return lower.port.queued },
      get bufferedAmount () { return lower.port.bufferedAmount },
      limit: lower.port.limit,
      drained: drainedOf(lower.port)
    }
  }

  get unverified (): number { return this.#verifications.waiting }

  get unsigned (): number { return this.#signing.size }

  get source (): AsyncIterable<Batch<In>> {
    const queue = new AsyncQueue<In>({ onPull: () => { resume?.() } })
    let resume: (() => void) | undefined
    const full = (): Promise<void> | undefined => queue.isAwaited ? undefined : new Promise((resolve) => { resume = resolve })
    const read = this.#read((each) => consumeSource(this.#lower.source, each), (batch) => {
      for (const message of batch) queue.push(message)
      return full()
    })
    read.then(() => { queue.end() }, (err) => { queue.fail(err) })
    return queue
  }

  get sink (): Link<In, Out>['sink'] {
    return (source) => this.#lower.sink(this.#signedSource(source))
  }

  abort (err: Error): void { this.#lower.abort(err) }

  async #read (consumeLower: (each: Take<In>) => Promise<void>, take: Take<In>): Promise<void> {
    if (this.#deliver !== undefined) throw new LinkBusyError('the link has a reader already')
    let busy: Promise<void> | undefined
    let fail: (err: Error) => void = () => {}
    const failed = new Promise<never>((_resolve, reject) => { fail = reject })
    failed.catch(() => {}) // also when nobody waits for it any more
    this.#deliver = () => {
      if (busy !== undefined || this.#ready.length === 0) return
      const batch = this.#ready
      this.#ready = []
      try {
        busy = take(batch) ?? undefined
      } catch (err) {
        fail(err as Error) // not to the thread pool, which has no caller
      }
      busy = busy?.then(() => {
        busy = undefined
        this.#deliver?.()
      }, fail)
    }
    try {
      this.#deliver()
      await Promise.race([failed, consumeLower((batch) => {
        this.#receive(batch)
        return busy
      })])
      await Promise.race([failed, this.#verifications.idle().then(() => busy)])
    } finally {
      this.#deliver = undefined
    }
  }

  #receive (batch: Batch<In>): void {
    const now = this.#clock.now()
    this.#isReading = true
    for (const message of batch) this.#check(message, now)
    this.#verifications.flush()
    this.#isReading = false
    this.#deliver?.()
  }

  #check (message: In, now: number): void {
    const { covered, admit, budget } = this.#init
    const refusal = admit?.call(this.#init, message, now)
    if (refusal !== undefined) {
      this.#drop(message, refusal)
      return
    }
    if (!covered.has(message)) {
      this.#ready.push(message)
      return
    }
    const signature = this.#init.signatureOf(message)
    if (signature === undefined) {
      this.#drop(message, 'unsigned')
      return
    }
    if (budget?.call(this.#init, message, now) === false) {
      this.#drop(message, 'budget')
      return
    }
    const key = this.#init.keyOf(message)
    if (key === true) this.#ready.push(message)
    else if (typeof key === 'string') this.#drop(message, key)
    else if (signature.length !== key.size) this.#drop(message, 'signature')
    else if (!this.#verifications.push({ message, key, bytes: covered.of(message) as Uint8Array, signature })) this.#drop(message, 'busy')
  }

  #verified (message: In, isValid: boolean): void {
    if (!isValid) {
      this.#drop(message, 'signature')
      return
    }
    this.#ready.push(message)
    if (!this.#isReading) this.#deliver?.()
  }

  #drop (message: In, reason: string): void { this.#init.onDrop?.(message, reason) }

  #needsSignature (message: Out): boolean { return this.#init.covered.has(message) && this.#init.signatureOf(message) === undefined }

  #send (batch: Batch<Out>): number {
    const { covered, signer, withSignature, threads = true } = this.#init
    const { port } = this.#lower
    const plain: Batch<Out> = []
    const unsigned: Batch<Out> = []
    for (const message of batch) (this.#needsSignature(message) ? unsigned : plain).push(message)
    if (!threads) for (const message of unsigned.splice(0)) plain.push(withSignature.call(this.#init, message, signer.sign(covered.of(message) as Uint8Array)))
    if (port.queued >= port.limit || this.#signing.size + unsigned.length > this.#maxUnsigned) return 0
    if (plain.length > 0 && port.send(plain) === 0) return 0
    for (const message of unsigned) this.#signing.push('', message)
    return batch.length
  }

  async * #signedSource (source: AsyncIterable<Batch<Out>>): AsyncGenerator<Batch<Out>> {
    for await (const batch of source) yield await Promise.all(batch.map((message) => this.#needsSignature(message) ? this.#signatureOf(message) : message))
  }

  #signatureOf (message: Out): Promise<Out> {
    const { covered, signer } = this.#init
    return new Promise((resolve, reject) => {
      signer.signLater(covered.of(message) as Uint8Array, (signature) => {
        if (signature === undefined) reject(new SigningError('OpenSSL has not signed the message'))
        else resolve(this.#init.withSignature(message, signature))
      })
    })
  }
}
