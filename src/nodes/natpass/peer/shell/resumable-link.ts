/** One stream of bytes over links that follow one another: what a lost one did not deliver is sent again (natpass protocol, section 6.4). */
import { ReplayBuffer } from './replay-buffer.ts'
import { consume } from '../../../../streams/consume.ts'
import type { Batch, Link } from '../../../../types.ts'

/** Bytes that are taken from the sender while there is no link. Then it has to wait. */
const READ_ON = 256 << 10

/** Sent bytes that are kept: those, what was under way with the credit of a link, and what waited for it. */
const KEPT = 3 * READ_ON

/** A link that carries the stream for a while. */
export type Carrier = Omit<Link, 'port'>

export interface ResumableLinkInit {
  /** Whether an error of a carrier means that the stream may go on over another one. */
  isLoss (err: Error): boolean
  /** There is no carrier any more. */
  onLost (err: Error): void
  /** Nothing more is received. Called once. */
  onEnd? (): void
}

export class ResumableLink implements Carrier {
  readonly source: AsyncIterable<Batch>
  readonly #init: ResumableLinkInit
  readonly #kept = new ReplayBuffer(KEPT)
  #carrier: Carrier | undefined
  /** A reader that waits for a carrier. */
  #reader: { resolve (carrier: Carrier): void, reject (err: Error): void } | undefined
  #isReceived = false
  #received = 0
  #lost = 0
  /** What is sent, and the read of it that no carrier has taken. */
  #out: AsyncIterator<Batch> | undefined
  #next: Promise<IteratorResult<Batch>> | undefined
  #writer: { resolve (): void, reject (err: Error): void } | undefined
  #failure: Error | undefined

  constructor (init: ResumableLinkInit) {
    this.#init = init
    this.source = this.#read()
  }

  /** Bytes that have come so far: where the other side has to go on. */
  get received (): number { return this.#received }

  /** Bytes that were sent and could not be sent again. */
  get lost (): number { return this.#lost }

  get isAttached (): boolean { return this.#carrier !== undefined }

  get isOver (): boolean { return this.#failure !== undefined }

  get sink (): Link['sink'] {
    return (source) => new Promise((resolve, reject) => {
      this.#out = source[Symbol.asyncIterator]()
      this.#writer = { resolve, reject }
      if (this.#failure !== undefined) this.#leave(this.#failure)
      else if (this.#carrier !== undefined) this.#write(this.#carrier, 0)
    })
  }

  /**
   * Goes on over another link. There is none before, or it was lost.
   *
   * @param from bytes that its other side has received
   */
  attach (carrier: Carrier, from = 0): void {
    if (this.#failure !== undefined) {
      carrier.abort(this.#failure)
      return
    }
    this.#carrier = carrier
    this.#reader?.resolve(carrier)
    this.#reader = undefined
    if (this.#isReceived) consume(carrier, () => {}).catch((err: Error) => { this.#broken(carrier, err) }) // its end comes again
    if (this.#out !== undefined) this.#write(carrier, from)
  }

  abort (err: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = err
    const carrier = this.#carrier
    this.#carrier = undefined
    carrier?.abort(err)
    this.#reader?.reject(err)
    this.#leave(err)
    this.#end()
  }

  async * #read (): AsyncGenerator<Batch> {
    for (;;) {
      const carrier = await this.#whenAttached()
      try {
        for await (const batch of carrier.source) {
          for (const { length } of batch) this.#received += length
          yield batch
        }
        this.#end()
        return
      } catch (err) {
        this.#broken(carrier, err as Error)
      }
    }
  }

  #whenAttached (): Promise<Carrier> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure)
      else if (this.#carrier !== undefined) resolve(this.#carrier)
      else this.#reader = { resolve, reject }
    })
  }

  #broken (carrier: Carrier, err: Error): void {
    if (carrier !== this.#carrier) return
    if (!this.#init.isLoss(err)) {
      this.abort(err)
      return
    }
    this.#carrier = undefined
    void this.#readOn()
    this.#init.onLost(err)
  }

  #write (carrier: Carrier, from: number): void {
    carrier.sink(this.#outlet(carrier, from)).then(() => {
      if (carrier === this.#carrier) this.#writer?.resolve()
    }, (err: Error) => { this.#broken(carrier, err) })
  }

  /** What one carrier sends. */
  async * #outlet (carrier: Carrier, from: number): AsyncGenerator<Batch> {
    const { bytes, lost } = this.#kept.since(from)
    this.#lost += lost
    if (bytes.length > 0) yield [bytes]
    while (carrier === this.#carrier) {
      const next = this.#pull()
      const { done, value } = await next
      if (carrier !== this.#carrier) return // it is for the next one
      if (done === true) return
      this.#take(value)
      yield value
    }
  }

  /** Keeps on reading while there is no carrier, so that the sender may go on for a while. */
  async #readOn (): Promise<void> {
    const start = this.#kept.end
    while (this.#out !== undefined && this.#carrier === undefined && this.#failure === undefined && this.#kept.end - start < READ_ON) {
      const next = this.#pull()
      const result = await next.catch(() => undefined)
      if (result === undefined || result.done === true || next !== this.#next || this.#carrier !== undefined) return
      this.#take(result.value)
    }
  }

  /** The next batch, until somebody takes it. */
  #pull (): Promise<IteratorResult<Batch>> {
    if (this.#next === undefined) {
      this.#next = (this.#out as AsyncIterator<Batch>).next()
      this.#next.catch((err: unknown) => { this.abort(err as Error) })
    }
    return this.#next
  }

  #take (batch: Batch): void {
    this.#next = undefined
    for (const bytes of batch) this.#kept.push(bytes)
  }

  #end (): void {
    if (this.#isReceived) return
    this.#isReceived = true
    this.#init.onEnd?.()
  }

  #leave (err: Error): void {
    this.#writer?.reject(err)
    this.#out?.return?.().catch(() => {})
  }
}
