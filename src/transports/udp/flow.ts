/** The datagrams between a socket and one address, as a link. */
import { DatagramQueue } from './queue.ts'
import type { UdpErrors } from './errors.ts'
import { largestOf, type UdpOffload, type UdpSocket } from './socket.ts'
import { LinkBusyError, LinkClosedError } from '../../errors.ts'
import { AbortableSource, closeIterator, iterate } from '../../streams/abortable-source.ts'
import { FrameSizeError } from '../../transforms/length-codecs.ts'
import type { Batch, Clock, Endpoint, Link, PacketPort, Timer } from '../../types.ts'

/**
 * Datagrams to and from one address; each element is one. There is no back-pressure from the other side and no half-close: the end of `sink`
 * ends both directions, without a word to the other side. `sink` waits for room in the socket, `port` drops.
 */
export interface UdpLink extends Link {
  readonly remote: Endpoint
  readonly local: Endpoint
  /** Datagrams dropped because too many waited for the reader. Of a link that was dialled, those that the system had no room for as well. */
  readonly dropped: number
  /** Of the socket, see {@link UdpSocket}. */
  readonly offloads: readonly UdpOffload[]
  readonly reduced: string | undefined
  /** Aborted when it has ended. */
  readonly signal: AbortSignal
  /** Of the socket; a listener has one for all its links. */
  readonly errors: Readonly<UdpErrors>
}

export interface FlowInit {
  socket: UdpSocket
  /** The socket has no other link. */
  ownsSocket?: boolean
  remote: Endpoint
  /** Bound in bytes of the datagrams that wait for the reader. */
  receiveLimit: number
  /** Milliseconds without a datagram in either direction until the end. Undefined: no bound. */
  idleTimeout: number | undefined
  clock: Clock
  /** A datagram was sent, or has come. */
  onUsed: (flow: Flow) => void
  /** Called once. */
  onEnd: (flow: Flow) => void
}

export class Flow implements UdpLink, PacketPort {
  readonly remote: Endpoint
  /** When it was used last, by its clock. */
  usedAt: number
  readonly #init: FlowInit
  readonly #incoming: DatagramQueue<Uint8Array>
  #timer: Timer | undefined
  #sending: AbortableSource<Batch> | undefined
  #reason: Error | undefined
  #ending: AbortController | undefined

  constructor (init: FlowInit) {
    this.#init = init
    this.remote = init.remote
    this.usedAt = init.clock.now()
    this.#incoming = new DatagramQueue(init.receiveLimit, ({ length }) => length)
    if (init.idleTimeout !== undefined) this.#watch(init.idleTimeout)
  }

  get source (): AsyncIterable<Batch> { return this.#incoming }

  get port (): PacketPort { return this }

  get sink (): Link['sink'] { return (source) => this.#write(source) }

  get local (): Endpoint { return this.#init.socket.local }

  get errors (): Readonly<UdpErrors> { return this.#init.socket.errors }

  get dropped (): number { return this.#incoming.dropped + (this.#init.ownsSocket === true ? this.#init.socket.dropped : 0) }

  get offloads (): readonly UdpOffload[] { return this.#init.socket.offloads }

  get reduced (): string | undefined { return this.#init.socket.reduced }

  get signal (): AbortSignal {
    if (this.#ending === undefined) {
      this.#ending = new AbortController()
      if (this.#reason !== undefined) this.#ending.abort(this.#reason)
    }
    return this.#ending.signal
  }

  get queued (): number { return this.#init.socket.port.queued }

  get limit (): number { return this.#init.socket.port.limit }

  get isReusable (): boolean { return this.#init.socket.port.isReusable === true }

  send (batch: Batch): number {
    if (this.#reason !== undefined) return 0
    this.touch()
    const { host, port } = this.remote
    return this.#init.socket.port.send(batch.map((data) => ({ data, host, port })))
  }

  drained (): Promise<void> { return this.#init.socket.port.drained?.() ?? Promise.resolve() }

  abort (err: Error): void { this.#end(err, () => { this.#incoming.fail(err) }) }

  /** Ends it in order: what waits can still be read. */
  end (reason: string): void { this.#end(new LinkClosedError(reason), () => { this.#incoming.end() }) }

  /** Datagrams of the other side. */
  receive (batch: Batch): void {
    if (this.#reason !== undefined) return
    this.touch()
    for (const data of batch) this.#incoming.add(data)
    this.#incoming.flush()
  }

  /** It is in use: its place is kept. */
  touch (): void {
    this.usedAt = this.#init.clock.now()
    this.#init.onUsed(this)
  }

  #end (reason: Error, tell: () => void): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#init.clock.clear(this.#timer)
    tell()
    this.#sending?.abort()
    this.#init.onEnd(this)
    this.#ending?.abort(reason)
  }

  /** One timer that is set again, as setting one for each datagram would cost more. */
  #watch (idleTimeout: number, wait = idleTimeout): void {
    const { clock } = this.#init
    this.#timer = clock.set(wait, () => {
      const left = this.usedAt + idleTimeout - clock.now()
      if (left > 0) this.#watch(idleTimeout, left)
      else this.end(`nothing was sent or came for ${idleTimeout} ms`)
    }).unref()
  }

  async #write (source: AsyncIterable<Batch>): Promise<void> {
    const reason = this.#reason ?? (this.#sending === undefined ? undefined : new LinkBusyError('another sink is writing to this link'))
    if (reason !== undefined) {
      void closeIterator(iterate(source))
      throw reason
    }
    const sending = this.#sending = new AbortableSource(source)
    try {
      for await (const batch of sending) await this.#sendAll(batch)
      await this.drained()
    } finally {
      this.#sending = undefined
    }
    if (this.#reason !== undefined) throw this.#reason
    this.end('all was sent')
  }

  /** @throws {FrameSizeError} */
  async #sendAll (batch: Batch): Promise<void> {
    const { port } = this.#init.socket
    while (this.#reason === undefined) {
      await this.drained()
      if (this.#reason !== undefined || this.send(batch) === batch.length) return
      // Others may have filled the socket meanwhile; a socket that is closed takes nothing, and ends its links.
      if (port.queued < port.limit && batch.some(({ length }) => length > largestOf(this.local.host))) throw new FrameSizeError('a datagram is larger than UDP takes')
    }
  }
}
