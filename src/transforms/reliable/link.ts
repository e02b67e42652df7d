/** The reliable protocol over a link of datagrams. */
import { settingsOf, type ReliableInit, type ReliablePath, type Settings } from './config.ts'
import { ReliableConnection } from './connection.ts'
import { Reader } from './reader.ts'
import { LinkBusyError, LinkClosedError, LinkResetError } from '../../errors.ts'
import { closeIterator, iterate } from '../../streams/abortable-source.ts'
import { consume } from '../../streams/consume.ts'
import type { Batch, Delivery, Link, PacketPort, Take, Timer } from '../../types.ts'

/** Bytes up to which `sink` reads ahead of what is sent. */
const READ_AHEAD = 256 << 10

/** Milliseconds for which a stream that has ended answers repeated packets: in round trips, and its bounds; for a reset to be acknowledged. */
const LINGER_ROUNDS = 8
const LEAST_LINGER = 500
const MOST_LINGER = 10_000
const RESET_LINGER = 3000

/** Milliseconds after which a port that is full, and cannot tell when it is not, is asked again. */
const PORT_RETRY = 5

/** A stream of bytes over datagrams, with half-close and back-pressure. */
export interface ReliableLink extends Link {
  /** Datagrams that broke the protocol, or that there was no room for. */
  readonly dropped: number
  /** Bytes of memory of its buffers. */
  readonly memory: number
  /** The smoothed round trip time in milliseconds; undefined before the first one, and after `usePath`. */
  readonly rtt: number | undefined
  flow (take: Take, signal?: AbortSignal): Promise<void>
  /**
   * The link below sends by another path from now on. What is known of the old one is forgotten; what was sent by it and is not acknowledged
   * soon is sent again.
   *
   * @throws {OptionError} when a path cannot be that way
   */
  usePath (path: ReliablePath): void
  /**
   * The path takes datagrams of another size. Of those on their way longer ones count as lost, and what they carried is sent again in smaller
   * pieces; where the path repeats datagrams, it must not repeat those any more.
   *
   * @throws {OptionError} when a path cannot be that way
   */
  resize (maxDatagram: number): void
  /** Milliseconds for which data was sent by this path without any acknowledgement; 0 when nothing waits for one. */
  unansweredFor (now: number): number
  /** Something that was sent is not acknowledged, also because it has to be sent again. */
  readonly isUnderWay: boolean
  delivery (): Delivery
  /** From now on `sink` reads ahead so many bytes at most. */
  boundUnsent (bytes: number): void
}

/** A `sink` that is running. */
interface Sending {
  source: AsyncIterator<Batch>
  isReading: boolean
  resolve (): void
  reject (err: Error): void
}

class ReliableStream implements ReliableLink, PacketPort {
  readonly limit: number
  readonly #lower: Link
  readonly #settings: Settings
  readonly #core: ReliableConnection
  readonly #reader: Reader
  #readAhead = READ_AHEAD
  #sending: Sending | undefined
  #drained: Array<() => void> = []
  /** Why nothing more can be written; then nothing can be read either, unless that has ended. */
  #reason: Error | undefined
  #timer: Timer | undefined
  #timerAt = Infinity
  /** A flush will follow; one is running; the port below is full. */
  #isWoken = false
  #isFlushing = false
  #isHeld = false
  /** When the stream has ended, for which the link below is kept for a while. */
  #endedAt: number | undefined
  #isClosed = false

  constructor (lower: Link, settings: Settings) {
    this.#lower = lower
    this.#settings = settings
    this.limit = settings.queueLimit
    this.#core = new ReliableConnection(settings, settings.clock.now())
    this.#reader = new Reader({ take: this.#take, giveBack: () => { this.#core.giveBack() }, isEnd: () => this.#core.isReadEnd })
    consume(lower, this.#receive).then(() => { this.#onLowerEnd(new LinkClosedError('the link below has ended')) }, (err: Error) => { this.#onLowerEnd(err) })
    this.#wake() // for the keep-alive
  }

  get source (): AsyncIterable<Batch> { return this.#reader }

  get sink (): Link['sink'] { return (source) => this.#write(source) } // made on access, so that an idle link has no closure

  get port (): PacketPort { return this }

  get queued (): number { return this.#core.queued }

  get dropped (): number { return this.#core.dropped }

  get memory (): number { return this.#core.memory }

  get rtt (): number | undefined { return this.#core.rtt.hasSample ? this.#core.rtt.smoothed : undefined }

  send (batch: Batch): number {
    if (batch.length === 0 || this.#reason !== undefined || this.#core.isEnded || this.queued >= this.limit) return 0
    this.#core.write(batch)
    this.#wake()
    return batch.length
  }

  drained (): Promise<void> {
    if (this.queued < this.limit || this.#reason !== undefined) return Promise.resolve()
    return new Promise((resolve) => { this.#drained.push(resolve) })
  }

  flow (take: Take, signal?: AbortSignal): Promise<void> { return this.#reader.flow(take, signal) }

  abort (err: Error): void {
    if (!this.#core.isDone) this.#core.reset(err instanceof LinkResetError ? err.reason ?? 0 : 0)
    this.#fail(err)
    this.#wake()
  }

  usePath (path: ReliablePath): void {
    this.#core.usePath(path, this.#settings.clock.now())
    this.#wake()
  }

  get isUnderWay (): boolean { return this.#core.isUnderWay }

  resize (maxDatagram: number): void {
    this.#core.resize(maxDatagram)
    this.#wake()
  }

  unansweredFor (now: number): number { return this.#core.unansweredFor(now) }

  delivery (): Delivery { return { acknowledged: this.#core.acknowledged, isUnanswered: this.#core.timeouts > 1 } }

  boundUnsent (bytes: number): void { this.#readAhead = bytes }

  readonly #take = (isLent: boolean): Batch => {
    if (this.#core.available === 0) return []
    const batch = this.#core.take(this.#settings.clock.now(), isLent)
    this.#wake() // the window has opened
    return batch
  }

  readonly #receive = (batch: Batch): void => {
    if (this.#isClosed) return
    const now = this.#settings.clock.now()
    this.#core.receive(batch, now)
    this.#reader.notify()
    this.#flush(now)
  }

  #onLowerEnd (err: Error): void {
    if (!this.#core.isDone) this.#fail(err)
    this.#close(err)
  }

  /** What was given to it is sent soon, together with what follows at once. */
  #wake (): void {
    if (this.#isWoken || this.#isClosed) return
    this.#isWoken = true
    queueMicrotask(this.#onWoken)
  }

  readonly #onWoken = (): void => {
    this.#isWoken = false
    this.#flush(this.#settings.clock.now())
  }

  #flush (now: number): void {
    if (this.#isFlushing || this.#isClosed) return
    this.#isFlushing = true
    this.#sendAll(now)
    this.#isFlushing = false
    this.#settle(now)
    this.#setTimer(now)
  }

  #sendAll (now: number): void {
    const { port } = this.#lower
    while (!this.#isHeld && !this.#isClosed) {
      if (port.queued >= port.limit) {
        this.#hold()
        return
      }
      const batch = this.#core.poll(now)
      if (batch.length === 0) return
      if (port.send(batch) === 0) this.#core.refuse(now)
      if (port.isReusable === true && port.queued === 0) this.#core.reuse()
      if (this.queued < this.#readAhead) this.#pull()
    }
  }

  /** The port below is full. */
  #hold (): void {
    this.#isHeld = true
    const { port } = this.#lower
    const goOn = (): void => {
      this.#isHeld = false
      this.#wake()
    }
    if (port.drained === undefined) this.#settings.clock.set(PORT_RETRY, goOn)
    else port.drained().then(goOn, goOn)
  }

  /** Tells those who wait, and ends what has ended. */
  #settle (now: number): void {
    const core = this.#core
    if (core.failure !== undefined) this.#fail(core.failure)
    if (this.queued < this.limit && this.#drained.length > 0) for (const resolve of this.#drained.splice(0)) resolve()
    if (core.isWritten && this.#reason === undefined) {
      const sending = this.#sending
      this.#sending = undefined
      this.#reason = new LinkClosedError('this direction of the link has ended')
      sending?.resolve()
    }
    this.#pull()
    if (this.#endedAt === undefined && (core.isDone || core.failure !== undefined || core.isReset)) this.#endedAt = now
    if (now >= this.#closeAt) this.#close(new LinkClosedError('the stream over this link has ended'))
  }

  /** When the link below is not needed any more. */
  get #closeAt (): number {
    const core = this.#core
    if (this.#endedAt === undefined) return Infinity
    if (core.isReset) return core.isWritten ? this.#endedAt : this.#endedAt + RESET_LINGER
    if (core.isDead) return this.#endedAt
    const linger = Math.max(LEAST_LINGER, LINGER_ROUNDS * core.rtt.probeTimeout(0))
    return Math.min(this.#endedAt + MOST_LINGER, Math.max(this.#endedAt, core.receivedAt) + linger)
  }

  /** One timer, which is set again only where it would come too late. */
  #setTimer (now: number): void {
    if (this.#isClosed) return
    const at = Math.min(this.#isHeld ? Infinity : this.#core.deadline, this.#closeAt)
    if (at >= this.#timerAt) return
    const { clock } = this.#settings
    clock.clear(this.#timer)
    this.#timerAt = Math.max(at, now)
    if (at === Infinity) return
    this.#timer = clock.set(Math.min(0x7fff_ffff, Math.max(0, at - now)), this.#onTimer)
    if (this.#endedAt !== undefined) this.#timer.unref()
  }

  readonly #onTimer = (): void => {
    this.#timerAt = Infinity
    this.#timer = undefined
    this.#flush(this.#settings.clock.now())
  }

  #fail (err: Error): void {
    this.#reader.fail(err)
    if (this.#reason !== undefined) return
    this.#reason = err
    for (const resolve of this.#drained.splice(0)) resolve()
    const sending = this.#sending
    this.#sending = undefined
    if (sending === undefined) return
    void closeIterator(sending.source)
    sending.reject(err)
  }

  #close (err: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#settings.clock.clear(this.#timer)
    this.#lower.abort(err)
  }

  #write (source: AsyncIterable<Batch>): Promise<void> {
    const reason = this.#reason ?? (this.#core.isEnded ? new LinkClosedError('this direction of the link has ended') : undefined)
    if (reason !== undefined || this.#sending !== undefined) {
      void closeIterator(iterate(source))
      return Promise.reject(reason ?? new LinkBusyError('another sink is writing to this link'))
    }
    return new Promise((resolve, reject) => {
      this.#sending = { source: iterate(source), isReading: false, resolve, reject }
      this.#pull()
    })
  }

  #pull (): void {
    const sending = this.#sending
    if (sending === undefined || sending.isReading || this.#core.isEnded || this.queued >= this.#readAhead) return
    sending.isReading = true
    sending.source.next().then(this.#onRead, this.#onFailure)
  }

  readonly #onRead = ({ done, value }: IteratorResult<Batch>): void => {
    const sending = this.#sending
    if (sending === undefined) return
    sending.isReading = false
    if (done === true) {
      this.#core.end()
    } else {
      this.#core.write(value)
      this.#pull()
    }
    this.#wake()
  }

  readonly #onFailure = (err: Error): void => {
    const sending = this.#sending
    this.#sending = undefined
    sending?.reject(err)
  }
}

/**
 * Makes a stream of bytes of a link of datagrams (reliable protocol): call the result with each link, once, and with a new link on the other
 * side at about the same time, as nothing is said before the first data. Datagrams are not authenticated: it stands over a sealed channel.
 *
 * `abort` reaches the other side as a reset, whose code is the `reason` of a `LinkResetError`, else 0; for that the link below lives on for
 * some seconds at most, as it does after an orderly end.
 *
 * `source` and `sink` fail with a {@link ReliableError} when the other side is dead, with a `LinkResetError` when it has reset the link.
 *
 * @throws {OptionError} when an option is out of range
 */
export function reliable (init: ReliableInit = {}): (lower: Link) => ReliableLink {
  const settings = settingsOf(init)
  return (lower) => new ReliableStream(lower, settings)
}
