/** The sending direction of a multiplexed link. */
import { LinkBusyError, LinkClosedError } from '../../errors.ts'
import { closeIterator, iterate } from '../../streams/abortable-source.ts'
import { FrameSizeError } from '../length-codecs.ts'
import type { FrameScheduler, Sender } from './scheduler.ts'
import type { Batch, PacketPort } from '../../types.ts'

/** Bytes up to which `sink` reads ahead of what is sent. */
const READ_AHEAD = 64 << 10

/** Pieces that are smaller are joined to frames. */
const SMALL = 2048

/** Bytes of overhead that an element of `port` counts for, so that many tiny ones are bounded too. */
const ELEMENT_OVERHEAD = 64

export interface OutgoingInit {
  /** Bytes that may be sent before the first grant; Infinity without credit. */
  credit: number
  maxData: number
  /** Elements are messages, one data frame each, of so many bytes at most. Undefined: a stream of bytes. */
  messages: number | undefined
  /** Bound of the port in bytes. */
  limit: number
  scheduler: Pick<FrameScheduler<unknown>, 'wake' | 'afterWrite'>
  writeData: (bytes: Uint8Array) => void
  /** Encodes the end, after all data. */
  writeEnd: () => void
}

/** A `sink` that is running. */
interface Sending {
  source: AsyncIterator<Batch>
  isReading: boolean
  resolve (): void
  reject (err: Error): void
}

/** What waits to be sent, from `sink` or `port`, within the credit. */
export class Outgoing implements Sender, PacketPort {
  isListed = false
  credit: number
  readonly limit: number
  readonly #init: OutgoingInit
  readonly #isMessages: boolean
  /** Maximum bytes of a message. */
  readonly #maxMessage: number
  #queue: Batch = []
  /** Index of the first element that is not sent, and how much of it is. */
  #first = 0
  #offset = 0
  #bytes = 0
  #sending: Sending | undefined
  /** `ending`: what waits is still to be sent. */
  #state: 'open' | 'ending' | 'ended' = 'open'
  #failure: Error | undefined
  #drained: Array<() => void> = []

  constructor (init: OutgoingInit) {
    this.#init = init
    this.credit = init.credit
    this.limit = init.limit
    this.#isMessages = init.messages !== undefined
    this.#maxMessage = Math.min(init.messages ?? Infinity, init.credit)
  }

  get hasEnded (): boolean { return this.#state === 'ended' }

  /** Credit beyond what waits. */
  get available (): number { return this.credit - this.#bytes }

  get queued (): number { return this.#bytes + (this.#queue.length - this.#first) * ELEMENT_OVERHEAD }

  get isReady (): boolean {
    const next = this.#queue[this.#first]
    if (next === undefined) return this.#state === 'ending'
    return this.#isMessages ? next.length <= this.credit : this.credit > 0
  }

  send (batch: Batch): number {
    if (batch.length === 0 || this.#state !== 'open' || this.#failure !== undefined || this.queued >= this.limit) return 0
    if (this.#isMessages && batch.some(({ length }) => length > this.#maxMessage)) return 0
    this.#enqueue(batch)
    return batch.length
  }

  drained (): Promise<void> {
    if (this.queued < this.limit || this.#state !== 'open') return Promise.resolve()
    return new Promise((resolve) => { this.#drained.push(resolve) })
  }

  /** See `Link.sink`. */
  sink (source: AsyncIterable<Batch>): Promise<void> {
    const reason = this.#failure ?? (this.#state === 'open' ? undefined : new LinkClosedError('this direction of the link has ended'))
    if (reason !== undefined || this.#sending !== undefined) {
      void closeIterator(iterate(source))
      return Promise.reject(reason ?? new LinkBusyError('another sink is writing to this link'))
    }
    return new Promise((resolve, reject) => {
      this.#sending = { source: iterate(source), isReading: false, resolve, reject }
      this.#read()
    })
  }

  /** The other side is ready for so many bytes more. */
  grant (bytes: number): void {
    this.credit += bytes
    this.#init.scheduler.wake(this)
  }

  /** Nothing more is sent. What is being written gets the error. */
  fail (err: Error): void {
    if (this.#failure !== undefined || this.#state === 'ended') return
    this.#failure = err
    this.#state = 'ended'
    this.#clear()
    const sending = this.#sending
    this.#sending = undefined
    if (sending !== undefined) {
      void closeIterator(sending.source)
      sending.reject(err)
    }
  }

  write (most: number): number {
    let written = 0
    while (this.#first < this.#queue.length) {
      const bytes = this.#isMessages ? this.#nextMessage(most - written, written > 0) : this.#nextPiece(Math.min(most - written, this.credit, this.#init.maxData))
      if (bytes === undefined) break
      written += bytes.length
      this.credit -= bytes.length
      this.#bytes -= bytes.length
      this.#init.writeData(bytes)
      if (written >= most) break
    }
    if (this.#first === this.#queue.length) this.#onEmpty()
    else if (this.#first > 1024 && this.#first * 2 > this.#queue.length) this.#compact()
    if (this.queued < this.limit && this.#drained.length > 0) for (const resolve of this.#drained.splice(0)) resolve()
    this.#read()
    return written
  }

  /** The next message, unless it exceeds the turn, where it is not the first one in it, or the credit. */
  #nextMessage (room: number, isLater: boolean): Uint8Array | undefined {
    const message = this.#queue[this.#first]
    if (message.length > this.credit || (isLater && message.length > room)) return undefined
    this.#first++
    return message
  }

  /** The next bytes: part of one element, or several small ones. */
  #nextPiece (most: number): Uint8Array | undefined {
    if (most <= 0) return undefined
    const bytes = this.#queue[this.#first]
    const left = bytes.length - this.#offset
    if (left >= SMALL || left >= most || this.#first + 1 === this.#queue.length) return this.#cut(bytes, Math.min(left, most))
    let size = 0
    for (let i = this.#first; i < this.#queue.length && size < most; i++) size += this.#queue[i].length - (i === this.#first ? this.#offset : 0)
    const joined = Buffer.allocUnsafe(Math.min(size, most))
    for (let at = 0; at < joined.length;) {
      const piece = this.#queue[this.#first]
      const part = this.#cut(piece, Math.min(piece.length - this.#offset, joined.length - at))
      joined.set(part, at)
      at += part.length
    }
    return joined
  }

  /** Takes so many bytes of the first element. */
  #cut (bytes: Uint8Array, size: number): Uint8Array {
    const end = this.#offset + size
    const part = size === bytes.length ? bytes : bytes.subarray(this.#offset, end)
    if (end === bytes.length) {
      this.#first++
      this.#offset = 0
    } else {
      this.#offset = end
    }
    return part
  }

  #enqueue (batch: Batch): void {
    for (const bytes of batch) {
      if (bytes.length === 0 && !this.#isMessages) continue
      this.#queue.push(bytes)
      this.#bytes += bytes.length
    }
    this.#init.scheduler.wake(this)
  }

  #onEmpty (): void {
    this.#clear()
    if (this.#state !== 'ending') return
    this.#state = 'ended'
    this.#init.writeEnd()
    const sending = this.#sending
    this.#sending = undefined
    if (sending === undefined) return
    this.#init.scheduler.afterWrite((err) => {
      if (err === undefined) sending.resolve()
      else sending.reject(err)
    })
  }

  /** Frees the array of what was sent. */
  #compact (): void {
    this.#queue.splice(0, this.#first)
    this.#first = 0
  }

  #clear (): void {
    this.#queue = []
    this.#first = this.#offset = this.#bytes = 0
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  #read (): void {
    const sending = this.#sending
    if (sending === undefined || sending.isReading || this.#state !== 'open' || this.#bytes >= READ_AHEAD) return
    sending.isReading = true
    sending.source.next().then(this.#onRead, this.#onFailure)
  }

  readonly #onRead = ({ done, value }: IteratorResult<Batch>): void => {
    const sending = this.#sending
    if (sending === undefined) return
    sending.isReading = false
    if (done === true) {
      this.#state = 'ending'
      this.#init.scheduler.wake(this)
      return
    }
    if (this.#isMessages && value.some(({ length }) => length > this.#maxMessage)) {
      void closeIterator(sending.source)
      this.#onFailure(new FrameSizeError(`a message is longer than ${this.#maxMessage} bytes`))
      return
    }
    this.#enqueue(value)
    this.#read()
  }

  readonly #onFailure = (err: Error): void => {
    const sending = this.#sending
    this.#sending = undefined
    sending?.reject(err)
  }
}
