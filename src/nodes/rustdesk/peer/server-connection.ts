/** A connection to the rendezvous server: what a peer asks, and what it is answered (RustDesk protocol, section 6). */
import type { PeerLink, PeerTransport } from './transport.ts'
import { framedMessages, type RendezvousInit, type RendezvousMessage } from '../protocol/messages.ts'
import { LinkClosedError } from '../../../errors.ts'
import { over } from '../../../layer.ts'
import { AsyncQueue } from '../../../streams/async-queue.ts'
import type { Clock, Endpoint, Link } from '../../../types.ts'

/** Milliseconds to connect, and for the server to end what this side has ended. */
export const CONNECT_TIMEOUT = 18_000
const CLOSE_TIMEOUT = 3000

/** Messages that are read while one is waited for, and are none that was asked for. */
const MOST_SKIPPED = 8

export interface DialServerInit {
  transport: PeerTransport
  clock: Clock
  server: Endpoint
  /** The local address; it may be that of other connections. Default: a free one. */
  from?: Endpoint | undefined
  /** Ends the connection, also once it is made. */
  signal?: AbortSignal | undefined
}

export class ServerConnection {
  readonly local: Endpoint
  readonly #clock: Clock
  readonly #link: Link<RendezvousMessage, RendezvousInit>
  readonly #outgoing = new AsyncQueue<RendezvousInit>()
  readonly #incoming: AsyncIterator<RendezvousMessage[]>
  readonly #written: Promise<void>
  readonly #signal: AbortSignal | undefined
  #batch: RendezvousMessage[] = []
  #reading: Promise<void> | undefined
  #isOver = false

  private constructor (link: PeerLink, clock: Clock, signal: AbortSignal | undefined) {
    this.local = link.local
    this.#clock = clock
    this.#link = over(link, framedMessages)
    this.#incoming = this.#link.source[Symbol.asyncIterator]()
    this.#written = this.#link.sink(this.#outgoing)
    this.#written.catch(() => {})
    this.#signal = signal
    signal?.addEventListener('abort', this.abort, { once: true })
  }

  /** @throws an error of the system, `DialTimeoutError`, or the reason of the signal */
  static async dial ({ transport, clock, server: { host, port }, from, signal }: DialServerInit): Promise<ServerConnection> {
    return new ServerConnection(await transport.dial({
      host,
      port,
      timeout: CONNECT_TIMEOUT,
      sharesPort: true,
      ...(signal !== undefined && { signal }),
      ...(from !== undefined && { localHost: from.host, localPort: from.port })
    }), clock, signal)
  }

  send (message: RendezvousInit): void { this.#outgoing.push(message) }

  /**
   * The next message that `pick` takes. Others are skipped, as an offer to encrypt the connection is.
   *
   * @param milliseconds until it gives up; the message is then left for the next call
   * @returns undefined when nothing has come in time
   * @throws {LinkClosedError} at the end of the connection; else the error that broke it
   */
  async next<T> (pick: (message: RendezvousMessage) => T | undefined, milliseconds: number): Promise<T | undefined> {
    let isLate = false
    let giveUp = (): void => {}
    const late = new Promise<void>((resolve) => { giveUp = resolve })
    const timer = this.#clock.set(milliseconds, () => {
      isLate = true
      giveUp()
    })
    try {
      for (let skipped = 0; skipped <= MOST_SKIPPED;) {
        const message = this.#batch.shift()
        if (message !== undefined) {
          const picked = pick(message)
          if (picked !== undefined) return picked
          skipped++
          continue
        }
        if (this.#isOver) throw new LinkClosedError('the server has ended the connection')
        await Promise.race([this.#reading ??= this.#read(), late])
        if (isLate && this.#batch.length === 0) return undefined
      }
      throw new LinkClosedError('the server says what was not asked for')
    } finally {
      this.#clock.clear(timer)
    }
  }

  /** Ends the connection once all that was sent is there. Its local address can be used from now on. */
  async close (): Promise<void> {
    this.#outgoing.end()
    const timer = this.#clock.set(CLOSE_TIMEOUT, () => { this.abort() })
    try {
      await this.#written
      while (!this.#isOver) await (this.#reading ??= this.#read())
    } catch {
      // it is over
    } finally {
      this.#clock.clear(timer)
      this.#signal?.removeEventListener('abort', this.abort)
    }
  }

  readonly abort = (): void => { this.#link.abort(new LinkClosedError('the connection is not needed any more')) }

  async #read (): Promise<void> {
    try {
      const { done, value } = await this.#incoming.next()
      if (done === true) this.#isOver = true
      else this.#batch = value
    } catch (err) {
      this.#isOver = true
      throw err
    } finally {
      this.#reading = undefined
    }
  }
}
