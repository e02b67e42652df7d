/** The receiving direction of a multiplexed link. */
import { LinkBusyError } from '../../errors.ts'
import { AsyncQueueBusyError } from '../../streams/async-queue.ts'
import { Flow } from '../../streams/flow.ts'
import type { Batch, Take } from '../../types.ts'

/** A piece that is kept, and that is smaller than this fraction of its memory, is copied. */
const SHARE = 4

/** Copies share blocks, whose sizes grow with what waits. */
const SMALLEST_BLOCK = 512
const LARGEST_BLOCK = 16 << 10

const NOTHING = new Uint8Array(0)

export interface IncomingInit {
  /** Elements are messages: neither joined, nor kept beyond these bounds. Undefined: bytes. */
  messages: { count: number, bytes: number } | undefined
  /** Called when the reader has taken so many bytes, or there was no room for them; `held` of them had to wait for it. */
  onTaken: (bytes: number, held: number) => void
  /** What waits for the readers of all links. */
  total: UnreadTotal
}

/** Of all links of a connection: the bytes that wait for their readers, and the windows, up to which there may be. */
export interface UnreadTotal { unread: number, windows: number }

interface PendingRead {
  resolve (result: IteratorResult<Batch>): void
  reject (err: Error): void
}

/**
 * What waits for the reader. Frames of one read below arrive one by one (`arrive`) and are delivered together (`deliver`): to a reader that
 * waits as they are; else they are kept, small ones joined, so that the memory in use is bounded by the bytes.
 */
export class Incoming implements AsyncIterableIterator<Batch> {
  /** Bytes that wait for the reader. */
  unread = 0
  /** Messages that there was no room for. */
  dropped = 0
  readonly #init: IncomingInit
  #batch: Batch = []
  /** Of the current read below. */
  #arrived: Batch = []
  #arrivedBytes = 0
  #reader: PendingRead | Flow | undefined
  #over: { err?: Error } | undefined
  /** The reader has got the end, or has left. */
  #isEndRead = false
  #block = NOTHING
  #used = 0
  /** Where the last element begins in the block; -1 when it is not in there. */
  #joins = -1

  constructor (init: IncomingInit) { this.#init = init }

  /** Takes a frame of the current read. Returns true for the first one: `deliver` has to follow. */
  arrive (bytes: Uint8Array): boolean {
    this.#arrivedBytes += bytes.length
    return this.#arrived.push(bytes) === 1
  }

  /** Passes on what has arrived. */
  deliver (): void {
    const arrived = this.#arrived
    if (arrived.length === 0) return
    const bytes = this.#arrivedBytes
    this.#arrived = []
    this.#arrivedBytes = 0
    const reader = this.#reader
    if (reader === undefined || reader instanceof Flow) {
      if (reader === undefined || reader.closed || reader.size > 0 || this.#batch.length > 0) {
        for (const piece of arrived) this.#keep(piece)
        return
      }
      this.#init.onTaken(bytes, 0)
      reader.pushBatch(arrived)
    } else {
      this.#reader = undefined
      this.#init.onTaken(bytes, 0)
      reader.resolve({ done: false, value: arrived })
    }
  }

  /** The other side has ended this direction. What waits can still be read. */
  end (): void {
    this.deliver()
    this.#over ??= {}
    this.#settle()
  }

  /** Ends at once: the reader gets the error. Harmless once it has read the end. */
  fail (err: Error): void {
    if (this.#isEndRead) return
    this.#discard()
    this.#over = { err }
    this.#settle()
  }

  next (): Promise<IteratorResult<Batch>> {
    if (this.#reader instanceof Flow) return Promise.reject(new LinkBusyError('this link has a reader already'))
    if (this.#batch.length > 0) return Promise.resolve({ done: false, value: this.#take() })
    if (this.#over !== undefined) return this.#readEnd()
    if (this.#reader !== undefined) return Promise.reject(new AsyncQueueBusyError('a link has one reader, and it is waiting already'))
    return new Promise((resolve, reject) => { this.#reader = { resolve, reject } })
  }

  /** The reader leaves early, and has to abort the link. */
  return (): Promise<IteratorResult<Batch>> {
    this.#discard()
    this.#over = {}
    if (!(this.#reader instanceof Flow)) this.#settle()
    this.#isEndRead = true
    this.#init.onTaken(0, 0)
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator] (): this { return this }

  /** See `Link.flow`. */
  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    if (this.#reader !== undefined) throw new LinkBusyError('this link has a reader already')
    const flow: Flow = this.#reader = new Flow(take, {
      onPull: () => { this.#feed(flow) },
      onReturn: () => { if (signal?.aborted !== true) void this.return() }
    })
    if (signal?.aborted !== true) this.#feed(flow)
    try {
      await flow.until(signal)
    } finally {
      if (this.#reader === flow) this.#reader = undefined
    }
  }

  /** Gives a reader that is called what waits for it, and the end. */
  #feed (flow: Flow): void {
    if (this.#batch.length > 0) flow.pushBatch(this.#take())
    if (this.#over !== undefined) this.#settle()
  }

  /** Tells a reader that waits of the end, once it has got what is before it. */
  #settle (): void {
    const reader = this.#reader
    if (reader === undefined || this.#batch.length > 0) return
    if (reader instanceof Flow) {
      if (reader.closed) return
      const err = this.#over?.err
      this.#isEndRead = true
      this.#over = {}
      if (err === undefined) {
        reader.end()
      } else {
        reader.discard() // a busy reader is told now, not when it is done
        reader.fail(err)
      }
    } else {
      this.#reader = undefined
      this.#readEnd().then(reader.resolve, reader.reject)
    }
  }

  #readEnd (): Promise<IteratorResult<Batch>> {
    const err = this.#over?.err
    this.#isEndRead = true
    this.#over = {}
    return err === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(err) // an iterator throws once, then is done
  }

  /** Keeps a piece, with a copy of it where it would keep much more memory alive. */
  #keep (bytes: Uint8Array): void {
    const { messages } = this.#init
    if (messages !== undefined && (this.#batch.length >= messages.count || this.unread + bytes.length > messages.bytes)) {
      this.dropped++
      this.#init.onTaken(bytes.length, bytes.length)
      return
    }
    if (this.#over !== undefined) return
    this.unread += bytes.length
    this.#init.total.unread += bytes.length
    if (bytes.length * SHARE >= bytes.buffer.byteLength) {
      this.#batch.push(bytes)
      this.#joins = -1
      return
    }
    if (bytes.length > this.#block.length - this.#used) {
      this.#block = new Uint8Array(Math.max(bytes.length, Math.min(LARGEST_BLOCK, Math.max(SMALLEST_BLOCK, this.unread))))
      this.#used = 0
      this.#joins = -1
    }
    const start = this.#used
    this.#block.set(bytes, start)
    this.#used += bytes.length
    if (this.#joins >= 0 && messages === undefined) {
      this.#batch[this.#batch.length - 1] = this.#block.subarray(this.#joins, this.#used)
    } else {
      this.#joins = start
      this.#batch.push(this.#block.subarray(start, this.#used))
    }
  }

  /** Everything, for the reader. */
  #take (): Batch {
    const batch = this.#batch
    const bytes = this.unread
    this.#clear()
    this.#init.onTaken(bytes, bytes)
    return batch
  }

  #discard (): void {
    this.#arrived = []
    this.#arrivedBytes = 0
    this.#clear()
  }

  #clear (): void {
    this.#batch = []
    this.#init.total.unread -= this.unread
    this.unread = 0
    this.#block = NOTHING
    this.#used = 0
    this.#joins = -1
  }
}
