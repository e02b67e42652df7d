/** Messages of one proxy session that are not acknowledged, and when each is repeated (SHOW CHAIN protocol, section 6.2). */
import { RttEstimator } from '../../../transforms/reliable/rtt-estimator.ts'
import type { CongestionControl } from '../../../transforms/reliable/congestion.ts'
import { firstArrived, hasArrived } from '../protocol/arrived.ts'
import { ARRIVED_BYTES } from '../protocol/field-table.ts'

/** All that are not acknowledged are within the last so many numbers. */
const SPAN = 1024

/** Messages that are not acknowledged, at most. */
const MAX_OUTSTANDING = 512

const ARRIVED_BITS = 8 * ARRIVED_BYTES

/** Milliseconds until a message is repeated; doubled with each repetition. */
const MIN_TIMEOUT = 200
const MAX_TIMEOUT = 3000

/** One of them. */
export interface Outstanding {
  readonly seq: number
  /** As it is repeated. */
  bytes: Uint8Array
  readonly data: Uint8Array
  /** It is not repeated. */
  readonly isOnce: boolean
  /** Milliseconds of the clock: of its signature; of the first time it was sent; when it is repeated. */
  signedAt: number
  sentAt: number
  dueAt: number
  /** Times that it was sent. */
  tries: number
  /** It is being signed anew. */
  isSigning: boolean
  /** As of when it was sent first: bytes delivered, and when. */
  delivered: number
  deliveredAt: number
  /** Nothing more was there to send. */
  isLimited: boolean
}

export interface DataWindowInit {
  control: CongestionControl
  /** Bytes that a message counts for. */
  packet: number
  /** The first number. */
  first: number
}

export class DataWindow {
  /** The next number. */
  next: number
  /** When something was acknowledged, or sent while nothing was outstanding. */
  heardAt = 0
  /** When something was acknowledged. */
  acknowledgedAt = -Infinity
  readonly #slots: Array<Outstanding | undefined> = Array(SPAN).fill(undefined)
  readonly #rtt = new RttEstimator()
  readonly #control: CongestionControl
  readonly #packet: number
  /** The lowest number that is not acknowledged, or `next`. */
  #lowest: number
  #count = 0
  /** Those of them that were never sent, as they are being signed: they are not on the path yet. */
  #unsent = 0
  #delivered = 0
  #deliveredAt = 0
  /** Since the last sample: bytes acknowledged, bytes sent again, the newest message. */
  #acknowledged = 0
  #lost = 0
  #newest: Outstanding | undefined

  constructor ({ control, packet, first }: DataWindowInit) {
    this.#control = control
    this.#packet = packet
    this.next = this.#lowest = first
  }

  get outstanding (): number { return this.#count }

  /** Milliseconds, smoothed; undefined before the first one. */
  get rtt (): number | undefined { return this.#rtt.hasSample ? this.#rtt.smoothed : undefined }

  get hasRoom (): boolean { return this.hasNumber && this.#inFlight < this.#control.window }

  /** There is room for a message that the path has to bear, whatever else is on its way. */
  get hasNumber (): boolean { return this.#count < MAX_OUTSTANDING && this.next - this.#lowest < SPAN }

  /** Takes the next number for a message. */
  add (data: Uint8Array, isOnce: boolean, now: number): Outstanding {
    const entry: Outstanding = {
      seq: this.next++, data, isOnce, bytes: data, signedAt: now, sentAt: now, dueAt: Infinity, tries: 0, isSigning: true, delivered: this.#delivered, deliveredAt: now, isLimited: false
    }
    this.#slots[entry.seq % SPAN] = entry
    this.#unsent++
    if (this.#count++ === 0) this.heardAt = this.#deliveredAt = now
    return entry
  }

  /**
   * It is sent, for the first time or again. Returns when it is due again.
   *
   * @param isLimited there is nothing more to send, so that what is delivered tells nothing of the path
   */
  sent (entry: Outstanding, isLimited: boolean, now: number): number {
    if (entry.tries++ === 0) {
      if (this.has(entry)) this.#unsent--
      entry.sentAt = now
      entry.delivered = this.#delivered
      entry.deliveredAt = this.#deliveredAt
      entry.isLimited = isLimited
    } else {
      this.#lost += this.#packet
    }
    entry.isSigning = false
    const first = Math.max(MIN_TIMEOUT, this.#rtt.probeTimeout(0))
    entry.dueAt = now + Math.min(MAX_TIMEOUT, first * 2 ** Math.min(entry.tries - 1, 8))
    return entry.dueAt
  }

  /**
   * A message has arrived; `finish` follows. False when nothing of it is new, or it was not sent.
   *
   * @param arrived which ones have arrived around it
   */
  acknowledge (seq: number, arrived: Uint8Array | undefined, now: number): boolean {
    const entry = this.#slots[seq % SPAN]
    const isTimed = entry?.seq === seq && entry.tries === 1 // else it is not known which one has arrived, or when
    if (isTimed) this.#rtt.sample(now - entry.sentAt, 0)
    let isNew = this.#take(seq, now)
    if (arrived === undefined) return isNew
    const first = firstArrived(seq)
    const end = Math.min(this.next, first + ARRIVED_BITS)
    for (let other = Math.max(first, this.#lowest); other < end; other++) if (hasArrived(arrived, other - first) && this.#take(other, now)) isNew = true
    return isNew
  }

  #take (seq: number, now: number): boolean {
    const entry = this.#slots[seq % SPAN]
    if (entry?.seq !== seq || entry.tries === 0) return false
    this.#forget(entry)
    this.heardAt = this.acknowledgedAt = now
    this.#delivered += this.#packet
    this.#acknowledged += this.#packet
    if (this.#newest === undefined || seq > this.#newest.seq) this.#newest = entry
    return true
  }

  /** Tells the congestion control of acknowledgements that came together. */
  finish (now: number): void {
    const entry = this.#newest
    if (entry === undefined) return
    const time = Math.max(now - entry.sentAt, now - entry.deliveredAt)
    this.#control.onSample({
      now,
      acknowledged: this.#acknowledged,
      lost: this.#lost,
      delivered: this.#delivered,
      priorDelivered: entry.delivered,
      rate: time > 0 ? (this.#delivered - entry.delivered) / time : 0,
      isAppLimited: entry.isLimited,
      rtt: entry.tries === 1 ? now - entry.sentAt : 0,
      inFlight: this.#inFlight
    })
    this.#newest = undefined
    this.#deliveredAt = now
    this.#acknowledged = this.#lost = 0
  }

  /** It is one of those that are not acknowledged. */
  has (entry: Outstanding): boolean { return this.#slots[entry.seq % SPAN] === entry }

  /** All get another signature before they are repeated. */
  signAllAgain (): void {
    for (let seq = this.#lowest; seq < this.next; seq++) {
      const entry = this.#slots[seq % SPAN]
      if (entry !== undefined) entry.signedAt = -Infinity
    }
  }

  /** Nothing is repeated but the last few messages. */
  keepLast (count: number): void {
    this.drop(({ seq }) => seq < this.next - count)
  }

  /** Such messages are not repeated any more. */
  drop (isSuch: (entry: Outstanding) => boolean): void {
    for (let seq = this.#lowest; seq < this.next; seq++) {
      const entry = this.#slots[seq % SPAN]
      if (entry !== undefined && isSuch(entry)) this.#forget(entry)
    }
  }

  /** Calls `fn` with each message that is due, and returns when the next one will be; Infinity: none. */
  forEachDue (now: number, fn: (entry: Outstanding) => void): number {
    let next = Infinity
    for (let seq = this.#lowest; seq < this.next; seq++) {
      const entry = this.#slots[seq % SPAN]
      if (entry === undefined || entry.isSigning) continue
      if (entry.dueAt <= now) {
        if (entry.isOnce) this.#forget(entry)
        else fn(entry)
      }
      if (!entry.isSigning && this.has(entry)) next = Math.min(next, entry.dueAt)
    }
    return next
  }

  get #inFlight (): number { return (this.#count - this.#unsent) * this.#packet }

  #forget ({ seq, tries }: Outstanding): void {
    this.#slots[seq % SPAN] = undefined
    this.#count--
    if (tries === 0) this.#unsent--
    while (this.#lowest < this.next && this.#slots[this.#lowest % SPAN] === undefined) this.#lowest++
  }
}
