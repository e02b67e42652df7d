/**
 * What waits to be written to one client: messages of the relay itself first, then its links in turns, so that a busy link delays no
 * other one. A write has whole frames, as the original's clients lose the framing when the rest of one comes late (natpass protocol,
 * section 1.3).
 */
import { acquire, MIN_POOLED_BYTES } from '../../../buffers/buffer-pool.ts'
import type { Batch } from '../../../types.ts'

/** Bytes that wait for all clients together, and their bound. */
export interface QueueBudget {
  held: number
  limit: number
}

/** Bytes at which a link is full: its sender has to wait. */
const LINK_LIMIT = 1 << 20
/** Bytes at which it has room again. */
const LINK_ROOM = LINK_LIMIT / 2
/** Bytes of frames that belong to no link; further ones are dropped, as no one can be told. */
const UNLINKED_LIMIT = 64 << 10
/** Bytes of notices. A client that reads none of them is ended. */
const NOTICES_LIMIT = 256 << 10
/** Bytes of all links of one client at which no further ones are opened to it. */
const CLIENT_LIMIT = 8 << 20
/** Bytes of one write, and of one link in it. */
const WRITE_BYTES = 64 << 10
const TURN_BYTES = 16 << 10
/** Bytes of memory that a chunk takes besides its own. */
const CHUNK_OVERHEAD = 128

/** Memory of a chunk. A large one has a block of the buffer pool to itself. */
const sizeOf = ({ length, buffer }: Uint8Array): number => (length < MIN_POOLED_BYTES ? length : buffer.byteLength) + CHUNK_OVERHEAD

/** What waits of one link, or of none, in one direction. */
export class LinkQueue {
  readonly #outbox: Outbox
  #chunks: Uint8Array[] = []
  #first = 0
  #bytes = 0
  #onRoom: (() => void) | undefined
  /** Runs of frames of the read that is being forwarded, each in one piece of memory. */
  #runs: Uint8Array[] = []
  /** The last run. */
  #memory: ArrayBufferLike | undefined
  #start = 0
  #end = 0
  #collected = 0

  constructor (outbox: Outbox) { this.#outbox = outbox }

  /** Bytes that wait, with their overhead. */
  get bytes (): number { return this.#bytes }

  /** Its sender has to wait. */
  get isFull (): boolean { return this.#bytes >= LINK_LIMIT || (this.#bytes > 0 && this.#outbox.budget.held >= this.#outbox.budget.limit) }

  /** Whether the client has read nothing for a while: waiting for it again is of no use. */
  get isStalled (): boolean { return this.#outbox.isStalled }

  /** Calls back once there is room, or the queue was dropped. */
  whenRoom (onRoom: () => void): void { this.#onRoom = onRoom }

  /** Adds a frame of the current read; its memory is used until `pushCollected`. @returns whether it is the first one */
  collect (frame: Uint8Array): boolean {
    const isFirst = this.#memory === undefined
    if (frame.buffer === this.#memory && frame.byteOffset === this.#end) {
      this.#end += frame.length
    } else {
      this.#endRun()
      this.#memory = frame.buffer
      this.#start = frame.byteOffset
      this.#end = this.#start + frame.length
    }
    this.#collected += frame.length
    return isFirst
  }

  /** Adds a copy of what was collected: a view of a small frame would keep the memory of a whole read. */
  pushCollected (): void {
    if (this.#memory === undefined) return
    this.#endRun()
    const chunk = acquire(this.#collected)
    let at = 0
    for (const run of this.#runs) {
      chunk.set(run, at)
      at += run.length
    }
    this.#forgetCollected()
    this.push(chunk)
  }

  /** Adds whole frames. */
  push (chunk: Uint8Array): void {
    if (this.#outbox.isClosed) return
    this.#chunks.push(chunk)
    this.#count(sizeOf(chunk))
    this.#outbox.activate(this)
  }

  /** Moves chunks of about `bytes` bytes to a batch. @returns whether more waits */
  take (bytes: number, batch: Batch): boolean {
    let taken = 0
    while (this.#first < this.#chunks.length && taken < bytes) {
      const chunk = this.#chunks[this.#first++]
      batch.push(chunk)
      taken += chunk.length
      this.#count(-sizeOf(chunk))
    }
    if (this.#first === this.#chunks.length) {
      this.#chunks = []
      this.#first = 0
    } else if (this.#first > 1024) {
      this.#chunks = this.#chunks.slice(this.#first)
      this.#first = 0
    }
    if (this.#bytes <= LINK_ROOM) this.#wake()
    return this.#chunks.length > 0
  }

  /** Forgets what waits; whoever waits for room goes on. */
  drop (): void {
    this.#chunks = []
    this.#first = 0
    this.#forgetCollected()
    this.#count(-this.#bytes)
    this.#outbox.deactivate(this)
    this.#wake()
  }

  #endRun (): void {
    if (this.#memory !== undefined) this.#runs.push(new Uint8Array(this.#memory, this.#start, this.#end - this.#start))
    this.#memory = undefined
  }

  #forgetCollected (): void {
    this.#runs = []
    this.#memory = undefined
    this.#collected = 0
  }

  #count (bytes: number): void {
    this.#bytes += bytes
    this.#outbox.count(bytes)
  }

  #wake (): void {
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }
}

/** The source for the `sink` of a client. */
export class Outbox implements AsyncIterableIterator<Batch> {
  readonly budget: QueueBudget
  /** Frames that belong to no link. */
  readonly unlinked = new LinkQueue(this)
  #notices: Uint8Array[] = []
  #noticeBytes = 0
  /** Links with something to write, the next one first. */
  readonly #active = new Set<LinkQueue>()
  /** Bytes that wait, and those of the last write. */
  #held = 0
  #writing = 0
  #pull: ((result: IteratorResult<Batch>) => void) | undefined
  /** The connection has ended, or is about to: nothing is kept. */
  isClosed = false
  #reads = 0
  #readsBefore = 0
  #progressAt: number
  /** The client has read nothing for a while. */
  isStalled = false

  /** @param now milliseconds of a monotonic clock */
  constructor (budget: QueueBudget, now: number) {
    this.budget = budget
    this.#progressAt = now
  }

  /** Bytes that wait, with what is being written. */
  get held (): number { return this.#held + this.#noticeBytes }

  /** Whether so much waits that no further link should be opened to this client. */
  get isOverloaded (): boolean { return this.#held >= CLIENT_LIMIT || this.isStalled || (this.#held > 0 && this.budget.held >= this.budget.limit) }

  /** Whether so much waits that the connection has to be ended: its links are held up long before. */
  get isExceeded (): boolean { return this.#held >= 2 * CLIENT_LIMIT }

  /** Whether frames without a link are dropped. */
  get isUnlinkedFull (): boolean { return this.unlinked.bytes >= UNLINKED_LIMIT }

  /** Sends a message of the relay before all others. False when the client has not read those before. */
  notify (frame: Uint8Array): boolean {
    if (this.isClosed) return true
    if (this.#noticeBytes >= NOTICES_LIMIT) return false
    this.#notices.push(frame)
    this.#noticeBytes += frame.length
    this.run()
    return true
  }

  /** Hands over what waits, if the connection takes more now. */
  run (): void {
    const pull = this.#pull
    if (pull === undefined) return
    const value = this.#take()
    if (value.length === 0) return
    this.#pull = undefined
    pull({ done: false, value })
  }

  /** Called when the connection has taken the batch before. */
  next (): Promise<IteratorResult<Batch>> {
    this.count(-this.#writing)
    this.#writing = 0
    this.#reads++
    return new Promise((resolve) => {
      this.#pull = resolve
      if (this.isClosed) this.#finish()
      else this.run()
    })
  }

  async return (): Promise<IteratorResult<Batch>> {
    this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }

  /**
   * Finds out whether the client reads. Once a second.
   *
   * @param now milliseconds of a monotonic clock
   * @param patience milliseconds without progress
   */
  tick (now: number, patience: number): void {
    if (this.#reads !== this.#readsBefore || this.#pull !== undefined) this.#progressAt = now
    this.#readsBefore = this.#reads
    this.isStalled = now - this.#progressAt >= patience
  }

  /** Drops what waits, and ends the connection's outgoing side behind what was written. */
  close (): void {
    if (this.isClosed) return
    for (const queue of [...this.#active, this.unlinked]) queue.drop()
    this.isClosed = true
    this.#notices = []
    this.#noticeBytes = 0
    this.count(-this.#writing)
    this.#writing = 0
    this.#finish()
  }

  /** @internal */
  activate (queue: LinkQueue): void { this.#active.add(queue) }

  /** @internal */
  deactivate (queue: LinkQueue): void { this.#active.delete(queue) }

  /** @internal */
  count (bytes: number): void {
    this.#held += bytes
    this.budget.held += bytes
  }

  #finish (): void {
    const pull = this.#pull
    this.#pull = undefined
    pull?.({ done: true, value: undefined })
  }

  #take (): Batch {
    if (this.#notices.length > 0) {
      const notices = this.#notices
      this.#notices = []
      this.#noticeBytes = 0
      return notices
    }
    const batch: Batch = []
    let bytes = 0
    for (const queue of this.#active) {
      const before = queue.bytes
      this.#active.delete(queue)
      if (queue.take(TURN_BYTES, batch)) this.#active.add(queue)
      bytes += before - queue.bytes
      if (bytes >= WRITE_BYTES) break
    }
    this.#writing = bytes
    this.count(bytes)
    return batch
  }
}
