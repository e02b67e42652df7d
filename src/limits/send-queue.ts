/**
 * What waits for one receiver: since when, and of whom. It decides what may join the queue, so that it stays short and no sender
 * has it for itself. It holds nothing itself; the queue is in the system and in the stream above it, first in, first out.
 */
import { Codel } from './codel.ts'
import { DrainRate, WINDOW } from './drain-rate.ts'
import type { Batch, PacketPort } from '../types.ts'

/** No more may wait than leaves within so many milliseconds, however little senders care for drops, ... */
const MAX_DELAY = 60

/** ... or until its sender comes again, but not longer than this, ... */
const MAX_PAUSE = 250

/** ... once the oldest has waited for so many. */
const MIN_STANDING = 10

/** Bytes that may wait in any case: of all senders, and of each one, as long as there is room at all. */
const MIN_QUEUE = 64 * 1024
const MIN_QUEUE_EACH = 16 * 1024

/** Bytes that the system takes for one connection on top of what may wait in memory: what Linux gives one unless told otherwise. */
const SYSTEM_BUFFER = 4 * 1024 * 1024

/** Nobody is made to slow down for as little as this: two packets. */
const MIN_DROPPABLE = 3000

/** One sender may hold so many times what is still free; so others always find some, and one alone has most of it. */
const SHARE = 8

/** What one sender has written within so many milliseconds is one part. Beyond so many parts they become longer. */
const PART = 1
const MAX_PARTS = 1024

/** Bytes that wait, as far as anybody knows. */
export const bufferedAmountOf = (port: PacketPort): number => port.bufferedAmount ?? port.queued

interface Part<Sender> {
  sender: Sender
  bytes: number
  since: number
}

export class SendQueue<Sender = unknown> {
  readonly #port: PacketPort
  readonly #canHold: boolean
  readonly #codel = new Codel()
  readonly #drainRate = new DrainRate()
  /** The newest last. */
  readonly #parts: Array<Part<Sender>> = []
  readonly #held = new Map<Sender, number>()
  /** Bytes of all parts. */
  #bytes = 0
  #updatedAt = 0
  /** What was last decided; see `cut`. */
  #from = 0
  #room = Infinity

  /** @param canHold whoever sends can wait instead, so where nothing leaves at all nothing has to be dropped. Default: false */
  constructor (port: PacketPort, canHold = false) {
    this.#port = port
    this.#canHold = canHold
  }

  /**
   * What of a batch may be sent. Whoever holds less than others is spared the drops that are to slow senders down; and there are none
   * while nothing leaves, which is nobody's fault.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  admit (batch: Batch, sender: Sender, now: number): Batch {
    this.#decide(batch.length, sender, now)
    return this.cut(batch)
  }

  /**
   * Whether so many messages may be sent, all of them. If not, `cut` tells which of them, if it is called before anybody else asks:
   * for whoever has them in one piece, and takes that apart only where it has to.
   */
  admitsAll (count: number, bytes: number, sender: Sender, now: number): boolean {
    this.#decide(count, sender, now)
    return this.#from === 0 && bytes <= this.#room
  }

  /** What of the messages that were last asked about may be sent. */
  cut (batch: Batch): Batch {
    let [to, room] = [this.#from, this.#room]
    while (to < batch.length && room > 0) room -= batch[to++].length
    return to - this.#from === batch.length ? batch : batch.slice(this.#from, to)
  }

  /** So many bytes were sent. */
  enqueued (bytes: number, sender: Sender, now: number): void {
    const parts = this.#parts
    if (parts.length === 0) this.#updatedAt = now
    let last = parts.at(-1)
    if (last === undefined || ((last.sender !== sender || now - last.since >= PART) && parts.length < MAX_PARTS)) {
      last = { sender, bytes: 0, since: now }
      parts.push(last)
    }
    last.bytes += bytes
    this.#held.set(last.sender, (this.#held.get(last.sender) ?? 0) + bytes)
    this.#bytes += bytes
  }

  /**
   * Forgets what has left, and returns how many bytes wait. What others have written to the stream, or layers have added, passes
   * for the newest.
   */
  update (now: number): number {
    const parts = this.#parts
    if (parts.length === 0) return this.#port.queued
    const waiting = bufferedAmountOf(this.#port)
    const before = this.#bytes
    let gone = 0
    for (; gone < parts.length; gone++) {
      const { sender, bytes } = parts[gone]
      if (waiting > 0 && this.#bytes - bytes < waiting) break
      this.#release(sender, bytes)
    }
    if (gone > 0) parts.splice(0, gone)
    if (parts.length > 0 && waiting < this.#bytes) { // a part of one
      const [first] = parts
      const bytes = this.#bytes - waiting
      this.#release(first.sender, bytes)
      first.bytes -= bytes
    }
    const elapsed = now - this.#updatedAt
    if (waiting > 0 || elapsed < WINDOW) this.#drainRate.sample(before - this.#bytes, elapsed, now) // else nobody knows when the last of it has left
    this.#updatedAt = now
    return waiting
  }

  /** How many of so many messages to drop, the first ones, and how many bytes of the rest may be sent; one message may pass that. */
  #decide (count: number, sender: Sender, now: number): void {
    const before = this.#bytes
    const pause = Math.min(now - this.#updatedAt, MAX_PAUSE)
    const waiting = this.update(now)
    const isMoving = this.#bytes < before
    const age = waiting > MIN_DROPPABLE && this.#parts.length > 0 ? now - this.#parts[0].since : 0
    const held = this.#held.get(sender) ?? 0
    const isSpared = age > 0 && held * this.#held.size < this.#bytes
    this.#from = isSpared || !isMoving ? 0 : Math.min(count, this.#codel.drops(age, now))
    this.#room = Infinity
    if (waiting === 0) return
    const most = this.#port.limit + SYSTEM_BUFFER
    const rate = age < MIN_STANDING ? undefined : this.#drainRate.rate
    const limit = rate === undefined || (rate === 0 && this.#canHold) ? most : Math.min(most, Math.max(MIN_QUEUE, rate * Math.max(MAX_DELAY, pause)))
    this.#room = Math.min(most - waiting, Math.max(MIN_QUEUE_EACH - held, (SHARE * (limit - waiting) - held) / (SHARE + 1)))
  }

  #release (sender: Sender, bytes: number): void {
    this.#bytes -= bytes
    const left = (this.#held.get(sender) as number) - bytes
    if (left > 0) this.#held.set(sender, left)
    else this.#held.delete(sender)
  }
}
