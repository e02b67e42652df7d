/** One stream of bytes over links that follow one another: what a lost one did not deliver is sent again (natpass protocol, section 6.4). */
import { ReplayBuffer } from './replay-buffer.ts'
import { LinkBusyError, LinkClosedError } from '../../../../errors.ts'
import { consume } from '../../../../streams/consume.ts'
import type { Batch, Link } from '../../../../types.ts'

/** Sent bytes that are kept. */
const KEPT = 768 << 10

/** Bytes that a link may hold of them which the other side has not received: its credit, and what waits for it. */
const UNDER_WAY = 384 << 10

/** Bytes that a link is given at a time. */
const PIECE = 32 << 10

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

/** While there is no carrier, bytes are taken from the sender until as much is kept as can be; then it has to wait. */
export class ResumableLink implements Carrier {
  readonly source: AsyncIterable<Batch>
  readonly #init: ResumableLinkInit
  #kept: ReplayBuffer | undefined
  #carrier: Carrier | undefined
  /** A reader that waits for a carrier. */
  #reader: { resolve (carrier: Carrier): void, reject (err: Error): void } | undefined
  #isReceived = false
  #received = 0
  /** Positions in what is sent: what the other side has received for sure, and what a carrier was given. */
  #confirmed = 0
  #given = 0
  /** What is sent, its next batch, and what no carrier has taken of the one before. */
  #out: AsyncIterator<Batch> | undefined
  #next: Promise<boolean> | undefined
  #rest: Batch = []
  #writer: { resolve (): void, reject (err: Error): void } | undefined
  #failure: Error | undefined

  constructor (init: ResumableLinkInit) {
    this.#init = init
    this.source = this.#read()
  }

  /** Bytes that have come so far: where the other side has to go on. */
  get received (): number { return this.#received }

  get isAttached (): boolean { return this.#carrier !== undefined }

  get isOver (): boolean { return this.#failure !== undefined }

  get sink (): Link['sink'] {
    return (source) => new Promise((resolve, reject) => {
      if (this.#out !== undefined) throw new LinkBusyError('another sink is writing to this link')
      this.#out = source[Symbol.asyncIterator]()
      this.#writer = { resolve, reject }
      if (this.#failure !== undefined) this.#leave(this.#failure)
      else if (this.#carrier !== undefined) this.#write(this.#carrier)
    })
  }

  /** What is sent is kept from now on, before anything is: otherwise no carrier may follow the first one. */
  keep (): void { this.#kept ??= new ReplayBuffer(KEPT) }

  /** Whether what is sent can go on at this position. */
  keeps (position: number): boolean { return this.#kept !== undefined && position >= this.#kept.start && position <= this.#kept.end }

  /**
   * Goes on over another link. There is none before, or it was lost. Aborts the stream where it cannot go on at this position.
   *
   * @param from bytes that its other side has received
   */
  attach (carrier: Carrier, from = 0): void {
    if (this.#failure === undefined && this.#kept !== undefined && !this.keeps(from)) this.abort(new LinkClosedError('what the other side has missed is not kept any more'))
    if (this.#failure !== undefined) {
      carrier.abort(this.#failure)
      return
    }
    this.#carrier = carrier
    this.#confirmed = from
    this.#given = from
    this.#reader?.resolve(carrier)
    this.#reader = undefined
    if (this.#isReceived) consume(carrier, () => {}).catch((err: Error) => { this.#broken(carrier, err) }) // its end comes again
    if (this.#out !== undefined) this.#write(carrier)
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
    if (this.#kept === undefined || !this.#init.isLoss(err)) {
      this.abort(err)
      return
    }
    this.#carrier = undefined
    this.#confirmed = Math.max(this.#confirmed, this.#given - UNDER_WAY)
    void this.#readOn()
    this.#init.onLost(err)
  }

  #write (carrier: Carrier): void {
    carrier.sink(this.#outlet(carrier)).then(() => {
      if (carrier === this.#carrier) this.#writer?.resolve()
    }, (err: Error) => { this.#broken(carrier, err) })
  }

  /** What one carrier sends: first what the one before did not deliver. */
  async * #outlet (carrier: Carrier): AsyncGenerator<Batch> {
    const missed = this.#kept?.since(this.#given).bytes ?? new Uint8Array(0)
    for (let at = 0; at < missed.length && carrier === this.#carrier; at += PIECE) {
      const piece = missed.subarray(at, at + PIECE)
      this.#given += piece.length
      yield [piece]
    }
    while (carrier === this.#carrier) {
      const hasMore = await this.#pull()
      if (carrier !== this.#carrier || !hasMore) return // what there is, is for the next one
      const batch = this.#take()
      for (const { length } of batch) this.#given += length
      if (batch.length > 0) yield batch
    }
  }

  async #readOn (): Promise<void> {
    const kept = this.#kept as ReplayBuffer
    while (this.#out !== undefined && kept.end - this.#confirmed < KEPT - PIECE) {
      const hasMore = await this.#pull().catch(() => false)
      if (!hasMore || this.#carrier !== undefined || this.#failure !== undefined || this.#rest.length === 0) return
      this.#take()
    }
  }

  /** Whether there is something to send, which the first who is told takes. The batch is valid until the next one is asked for. */
  #pull (): Promise<boolean> {
    if (this.#rest.length > 0) return Promise.resolve(true)
    this.#next ??= (this.#out as AsyncIterator<Batch>).next().then(({ done, value }) => {
      if (done === true) return false // and stays so
      this.#rest = value.filter(({ length }: Uint8Array) => length > 0)
      this.#next = undefined
      return true
    }, (err: unknown) => {
      this.abort(err as Error)
      throw err
    })
    return this.#next
  }

  #take (): Batch {
    const batch: Batch = []
    let room = PIECE
    while (room > 0 && this.#rest.length > 0) {
      const [first] = this.#rest
      const piece = first.subarray(0, room)
      batch.push(piece)
      this.#kept?.push(piece)
      room -= piece.length
      if (piece.length === first.length) this.#rest.shift()
      else this.#rest[0] = first.subarray(piece.length)
    }
    return batch
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
