/** One stream of a connection with sequential streams. */
import type { Ending } from './chunks.ts'
import type { Incoming } from './incoming.ts'
import type { Outgoing } from './outgoing.ts'
import { LinkClosedError, LinkResetError } from '../../errors.ts'
import type { Batch, Clock, Delivery, Link, PacketPort, ReadAhead } from '../../types.ts'

/** Milliseconds after a reset for the other side to end its direction, and to take what was sent. */
const RESET_TIMEOUT = 5000

/** A stream does not carry packets. */
const NO_PORT: PacketPort = { send: () => 0, queued: 0, limit: 0 }

/** The connection that the streams share. */
export interface SharedConnection {
  readonly clock: Clock
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  poolReads (): void
  readAhead (bound: ReadAhead): void
  boundUnsent (bytes: number): void
  delivery (): Delivery | undefined
  /** Both directions of the stream have ended. */
  streamEnded (link: SequentialStream): void
  abort (err: Error): void
}

export class SequentialStream implements Link, AsyncIterableIterator<Batch> {
  readonly source = this
  readonly port = NO_PORT
  readonly #connection: SharedConnection
  #sent: 'open' | Ending = 'open'
  #received: 'open' | Ending = 'open'
  /** Settles when everything that was sent, with the end, was written. */
  #flushed: Promise<void> | undefined
  #isFlushed = false
  #failure: Error | undefined
  /** The pending read. Not kept for longer, as it would keep its batch. */
  #reading: Promise<IteratorResult<Batch>> | undefined

  constructor (connection: SharedConnection) { this.#connection = connection }

  [Symbol.asyncIterator] (): this { return this }

  get sink (): Link['sink'] { return (source) => this.#writeFrom(source) } // made on access, so that an idle link has no closure

  async #writeFrom (source: AsyncIterable<Batch>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#sent !== 'open') throw new LinkClosedError('this direction of the link has ended')
    try {
      await this.#connection.outgoing.send(source)
      this.#finish('ended')
      await this.#flushed
    } catch (err) {
      this.#finish('reset', err as Error)
      throw err
    }
  }

  poolReads (): void { this.#connection.poolReads() }

  readAhead (bound: ReadAhead): void { this.#connection.readAhead(bound) }

  boundUnsent (bytes: number): void { this.#connection.boundUnsent(bytes) }

  delivery (): Delivery | undefined { return this.#connection.delivery() }

  abort (err: Error): void {
    if (this.#failure !== undefined || (this.#sent !== 'open' && this.#received !== 'open')) return
    this.#failure = err
    this.#finish('reset', err)
    void this.#drain(err)
  }

  next (): Promise<IteratorResult<Batch>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#received === 'ended') return Promise.resolve({ done: true, value: undefined })
    return this.#next()
  }

  async return (): Promise<IteratorResult<Batch>> { return { done: true, value: undefined } }

  /** The next batch. */
  #next (): Promise<IteratorResult<Batch>> {
    const value = this.#connection.incoming.take()
    if (Array.isArray(value)) return Promise.resolve({ done: false, value })
    if (value !== undefined) return this.#end(value)
    this.#reading = this.#connection.incoming.read().then(this.#onRead, this.#onBroken)
    return this.#reading
  }

  readonly #onRead = (isMore: boolean): IteratorResult<Batch> | Promise<IteratorResult<Batch>> => {
    if (!isMore) return this.#onBroken(new LinkClosedError('the connection has ended inside a link'))
    const value = this.#connection.incoming.take()
    if (value === undefined) return this.#next()
    this.#reading = undefined
    return Array.isArray(value) ? { done: false, value } : this.#end(value)
  }

  readonly #onBroken = (err: Error): Promise<never> => {
    this.#reading = undefined
    this.#received = 'reset'
    this.#settle()
    return Promise.reject(err)
  }

  #end (ending: Ending): Promise<IteratorResult<Batch>> {
    if (ending === 'reset') return this.#onBroken(new LinkResetError('the other side has reset the link'))
    this.#received = ending
    this.#settle()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** Ends the outgoing direction. */
  #finish (how: Ending, reason?: Error): void {
    if (this.#sent !== 'open') return
    this.#sent = how
    this.#flushed = this.#connection.outgoing.end(how, reason).then(() => {
      this.#isFlushed = true
      this.#settle()
    })
    this.#flushed.catch(() => {}) // reported by the next read
  }

  #settle (): void {
    if (this.#isFlushed && this.#received !== 'open') this.#connection.streamEnded(this)
  }

  /** Discards what still comes after a reset, and waits until everything is written, within the time-out, else aborts the connection. */
  async #drain (err: Error): Promise<void> {
    const { clock } = this.#connection
    const timer = clock.set(RESET_TIMEOUT, () => { this.#connection.abort(err) })
    try {
      await this.#reading // of a reader from before
      while (this.#received === 'open') await this.#next()
      await this.#flushed
    } catch (broken) {
      if (!(broken instanceof LinkResetError)) this.#connection.abort(broken as Error)
      await this.#flushed?.catch(() => {})
    } finally {
      clock.clear(timer)
    }
  }
}
