/**
 * Accounts for the send queue of one receiver, by sender and by time, and decides what may be added to it, so that the queue stays short
 * and no sender fills it alone. The bytes themselves are in the kernel and in the stream above it, first in, first out.
 */
import { objectList } from '../buffers/object-list.ts'
import { Codel } from './codel.ts'
import { DrainRate, WINDOW } from './drain-rate.ts'
import type { Batch, PacketPort } from '../types.ts'

/** Milliseconds: no more bytes are queued than drain within this time, ... */
const MAX_DELAY = 60

/** ... or until the next call for this receiver, with this as the maximum, ... */
const MAX_PAUSE = 250

/** ... once the oldest queued byte is this old. */
const MIN_STANDING = 10

/** Bytes that may be queued in any case: of all senders, and of each sender while there is room at all. */
const MIN_QUEUE = 64 * 1024
const MIN_QUEUE_EACH = 16 * 1024

/** Bytes that the kernel takes for one connection on top of the queue in memory: the default maximum of `net.ipv4.tcp_wmem`. */
const SYSTEM_BUFFER = 4 * 1024 * 1024

/** Bytes. A queue of two packets is never a reason to drop. */
const MIN_DROPPABLE = 3000

/** One sender may queue this many times the free room, so that other senders always find some, and one alone may use most of it. */
const SHARE = 8

/** Milliseconds of writes by one sender that are accounted for as one part, and the maximum number of parts; beyond it parts become longer. */
const PART = 1
const MAX_PARTS = 1024

/** Bytes queued for a port, with those in the kernel where the system tells. */
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
  /** Oldest first. */
  readonly #parts = objectList<Part<Sender>>()
  readonly #held = new Map<Sender, number>()
  /** Bytes of all parts. */
  #bytes = 0
  #updatedAt = 0
  /** The last decision; see `cut`. */
  #from = 0
  #room = Infinity

  /** @param canHold the sender can wait instead, so that nothing has to be dropped while the queue does not drain at all. Default: false */
  constructor (port: PacketPort, canHold = false) {
    this.#port = port
    this.#canHold = canHold
  }

  /**
   * The part of a batch that may be sent. A sender with less than the average in the queue is spared the drops of CoDel. There are none
   * while the queue does not drain.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  admit (batch: Batch, sender: Sender, now: number): Batch {
    this.#decide(batch.length, sender, now)
    return this.cut(batch)
  }

  /**
   * Whether all of the messages may be sent. If not, `cut`, called before the next decision, returns those that may: for a caller that
   * has the messages in one buffer and takes it apart only where it has to.
   */
  admitsAll (count: number, bytes: number, sender: Sender, now: number): boolean {
    this.#decide(count, sender, now)
    return this.#from === 0 && bytes <= this.#room
  }

  /** The messages of the last decision that may be sent. */
  cut (batch: Batch): Batch {
    let [to, room] = [this.#from, this.#room]
    while (to < batch.length && room > 0) room -= batch[to++].length
    return to - this.#from === batch.length ? batch : batch.slice(this.#from, to)
  }

  /** Accounts for bytes that were sent. */
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
   * Removes what has drained, and returns how many bytes are queued. Bytes that others have written to the stream, or that layers have
   * added, count as the newest.
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
    if (waiting > 0 || elapsed < WINDOW) this.#drainRate.sample(before - this.#bytes, elapsed, now) // else the time of the last byte is unknown
    this.#updatedAt = now
    return waiting
  }

  /** Sets how many messages to drop, from the first one on, and how many bytes of the others may be sent; one message may exceed that. */
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
