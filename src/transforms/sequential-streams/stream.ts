/** One of the links that follow one another on a connection. */
import { type Ending, LinkResetError } from './chunks.ts'
import type { Incoming } from './incoming.ts'
import type { Outgoing } from './outgoing.ts'
import { LinkClosedError } from '../../errors.ts'
import type { Batch, Clock, Delivery, Link, PacketPort, ReadAhead } from '../../types.ts'

/** Milliseconds that the other side has to come to its end, and to take what was sent, once a link was reset here. */
const RESET_TIMEOUT = 5000

/** Packets have no use for a connection that is made for one stream. */
const NO_PORT: PacketPort = { send: () => 0, queued: 0, limit: 0 }

/** The connection under it. */
export interface SharedConnection {
  readonly clock: Clock
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  poolReads (): void
  readAhead (bound: ReadAhead): void
  boundUnsent (bytes: number): void
  delivery (): Delivery | undefined
  /** Both directions of the link are at their end. */
  streamEnded (link: SequentialStream): void
  abort (err: Error): void
}

export class SequentialStream implements Link, AsyncIterableIterator<Batch> {
  readonly source = this
  readonly port = NO_PORT
  readonly #connection: SharedConnection
  #sent: 'open' | Ending = 'open'
  #got: 'open' | Ending = 'open'
  /** Settles when nothing of what was sent waits here any more, its end included. */
  #gone: Promise<void> | undefined
  #isGone = false
  #failure: Error | undefined
  /** The read of whoever uses the link, while it waits. Kept for longer it would keep what it has brought. */
  #reading: Promise<IteratorResult<Batch>> | undefined

  constructor (connection: SharedConnection) { this.#connection = connection }

  [Symbol.asyncIterator] (): this { return this }

  get sink (): Link['sink'] { return (source) => this.#writeFrom(source) } // made when it is asked for, so that an idle link has none

  async #writeFrom (source: AsyncIterable<Batch>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#sent !== 'open') throw new LinkClosedError('this direction of the link has ended')
    try {
      await this.#connection.outgoing.send(source)
      this.#finish('ended')
      await this.#gone
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
    if (this.#failure !== undefined || (this.#sent !== 'open' && this.#got !== 'open')) return
    this.#failure = err
    this.#finish('reset', err)
    void this.#drain(err)
  }

  next (): Promise<IteratorResult<Batch>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#got === 'ended') return Promise.resolve({ done: true, value: undefined })
    return this.#next()
  }

  async return (): Promise<IteratorResult<Batch>> { return { done: true, value: undefined } }

  /** What has come, else what comes. */
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
    this.#got = 'reset'
    this.#settle()
    return Promise.reject(err)
  }

  #end (ending: Ending): Promise<IteratorResult<Batch>> {
    if (ending === 'reset') return this.#onBroken(new LinkResetError('the other side has reset the link'))
    this.#got = ending
    this.#settle()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** What this side has to say is said. */
  #finish (how: Ending, reason?: Error): void {
    if (this.#sent !== 'open') return
    this.#sent = how
    this.#gone = this.#connection.outgoing.end(how, reason).then(() => {
      this.#isGone = true
      this.#settle()
    })
    this.#gone.catch(() => {}) // told by the next read
  }

  #settle (): void {
    if (this.#isGone && this.#got !== 'open') this.#connection.streamEnded(this)
  }

  /** Passes over what still comes for a link that was reset here, and sees to it that what was sent goes: in time, or with the connection. */
  async #drain (err: Error): Promise<void> {
    const { clock } = this.#connection
    const timer = clock.set(RESET_TIMEOUT, () => { this.#connection.abort(err) })
    try {
      await this.#reading // of whoever has read from it before
      while (this.#got === 'open') await this.#next()
      await this.#gone
    } catch (broken) {
      if (!(broken instanceof LinkResetError)) this.#connection.abort(broken as Error)
      await this.#gone?.catch(() => {})
    } finally {
      clock.clear(timer)
    }
  }
}
