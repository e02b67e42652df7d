/**
 * Packets on their way, by number: what is acknowledged, what is lost (RFC 9002, section 6.1), and how fast they are delivered
 * (as draft-ietf-ccwg-bbr says). What they carry is a matter of their sender.
 */
import type { DeliverySample } from './congestion.ts'
import type { RttEstimator } from './rtt-estimator.ts'

const SMALLEST = 256
/** Packets that are remembered; a sender waits before it has more on their way. */
const LARGEST = 65_536

/** Packets that a later one overtakes at least, until it counts as lost; grows on a path that reorders. */
const PACKET_THRESHOLD = 3
const MOST_THRESHOLD = 1024

/** Round trip times for which a packet may be late; grows in the same way. */
const TIME_THRESHOLD = 9 / 8
const MOST_TIME_THRESHOLD = 2
const THRESHOLD_STEP = 1 / 8

/** Milliseconds: clocks are no finer. */
const GRANULARITY = 1

const IN_FLIGHT = 1
const LOST = 2
const LIMITED = 4
/** Sent on an earlier path. */
const EARLIER = 8

/** What {@link SentPackets} uses, and whom it tells. */
export interface SentPacketsInit {
  /** For how late a packet may be. */
  rtt: RttEstimator
  /** A packet has arrived; `slot` finds what it carried. */
  onAcknowledged: (slot: number) => void
  /** A packet counts as lost. */
  onLost: (slot: number) => void
  /** A packet that had counted as lost was only late. */
  onSpuriousLoss: (bytes: number) => void
}

/** The packets of one sender, from its first one on. */
export class SentPackets {
  /** The next number. */
  next = 0
  /** Lowest number that is in flight, or `next`. */
  lowest = 0
  /** Bytes in flight on this path, and packets in flight on any. */
  inFlight = 0
  count = 0
  /** When the next packet counts as lost, if it is not acknowledged; Infinity: none does. */
  lossAt = Infinity
  /** When the last packet left. */
  lastSentAt = 0
  /** No packet counts as lost, however late it is. */
  isReliable = false
  largestAcknowledged = -1
  delivered = 0
  /** What they carry, by slot: for the sender. */
  offsets = new Float64Array(SMALLEST)
  sizes = new Uint32Array(SMALLEST)
  kinds = new Uint8Array(SMALLEST)
  #state = new Uint8Array(SMALLEST)
  #bytes = new Uint32Array(SMALLEST)
  #sentAt = new Float64Array(SMALLEST)
  /** As of when it was sent: bytes delivered, the time of that, and when the packet left that was delivered last. */
  #delivered = new Float64Array(SMALLEST)
  #deliveredAt = new Float64Array(SMALLEST)
  #firstSentAt = new Float64Array(SMALLEST)
  #capacity = SMALLEST
  #firstOfPath = 0
  /** Lowest number of which a late acknowledgement counts: what was in flight a round trip before the last one. */
  #lateFrom = 0
  #lowestOfRound = 0
  #roundEnd = 0
  #lastDeliveredAt = 0
  #lastFirstSentAt = 0
  /** Bytes delivered until samples tell the rate of the path again; 0: they do. */
  #limitedUntil = 0
  #packetThreshold = PACKET_THRESHOLD
  #timeThreshold = TIME_THRESHOLD
  /** Of the acknowledgements since the last sample: the newest packet, and bytes. */
  #newest = -1
  #acknowledged = 0
  #lost = 0
  readonly #init: SentPacketsInit

  constructor (init: SentPacketsInit) { this.#init = init }

  /** The lowest number whose acknowledgement is still of use. */
  get floor (): number { return Math.min(this.#lateFrom, this.lowest) }

  /** Packets that can be sent. */
  get room (): number { return LARGEST - (this.next - this.floor) }

  /** Notes a packet with the next number; returns its slot. */
  add (bytes: number, now: number): number {
    if (this.next - this.floor >= this.#capacity) this.#grow()
    const slot = this.next & (this.#capacity - 1)
    if (this.inFlight === 0) this.#lastDeliveredAt = this.#lastFirstSentAt = now
    this.#state[slot] = this.#limitedUntil > 0 ? IN_FLIGHT | LIMITED : IN_FLIGHT
    this.#bytes[slot] = bytes
    this.#sentAt[slot] = now
    this.#delivered[slot] = this.delivered
    this.#deliveredAt[slot] = this.#lastDeliveredAt
    this.#firstSentAt[slot] = this.#lastFirstSentAt
    this.next++
    this.count++
    this.inFlight += bytes
    this.lastSentAt = now
    return slot
  }

  /** The slot of a packet. */
  slotOf (number: number): number { return number & (this.#capacity - 1) }

  isInFlight (number: number): boolean { return (this.#state[this.slotOf(number)] & IN_FLIGHT) !== 0 }

  /** Nothing more is there to send: rates until this is delivered are no bound of the path. */
  limit (): void { this.#limitedUntil = this.delivered + this.inFlight || 1 }

  /** Packets `low` to `high` have come. Numbers that were not sent are no harm. Returns whether any of them is news. */
  acknowledge (low: number, high: number): boolean {
    const mask = this.#capacity - 1
    let isNews = false
    const last = Math.min(high, this.next - 1)
    for (let number = Math.max(low, this.floor); number <= last; number++) {
      const slot = number & mask
      const state = this.#state[slot]
      if ((state & (IN_FLIGHT | LOST)) === 0) continue
      this.#state[slot] = state & (LIMITED | EARLIER)
      isNews = true
      if ((state & LOST) !== 0) {
        if ((state & EARLIER) === 0) this.#onLate(number, this.#bytes[slot])
      } else {
        this.count--
        if ((state & EARLIER) === 0) {
          const bytes = this.#bytes[slot]
          this.inFlight -= bytes
          this.delivered += bytes
          this.#acknowledged += bytes
          if (number > this.#newest) this.#newest = number
        }
      }
      this.#init.onAcknowledged(slot)
    }
    if (last > this.largestAcknowledged) this.largestAcknowledged = last
    return isNews
  }

  /** The round trip time of a packet that was just acknowledged, when it is the newest one and of this path; else 0. */
  roundTrip (largest: number, now: number): number {
    return this.#newest === largest && largest >= this.#firstOfPath ? now - this.#sentAt[this.slotOf(largest)] : 0
  }

  /** Finds what is lost. */
  detect (now: number): void {
    this.lossAt = Infinity
    this.#advance()
    if (this.isReliable) return
    const { rtt } = this.#init
    const delay = Math.max(this.#timeThreshold * Math.max(rtt.smoothed, rtt.latest), GRANULARITY)
    const mask = this.#capacity - 1
    for (let number = Math.max(this.lowest, this.#firstOfPath); number < this.largestAcknowledged; number++) {
      const slot = number & mask
      if ((this.#state[slot] & IN_FLIGHT) === 0) continue
      const lossAt = this.#sentAt[slot] + delay
      if (lossAt > now && number + this.#packetThreshold > this.largestAcknowledged) {
        this.lossAt = Math.min(this.lossAt, lossAt)
        continue
      }
      this.#state[slot] ^= IN_FLIGHT | LOST
      this.count--
      this.inFlight -= this.#bytes[slot]
      this.#lost += this.#bytes[slot]
      this.#init.onLost(slot)
    }
    this.#advance()
  }

  /** Packets from `from` on were not sent after all. They say nothing of the path. */
  refuse (from: number): void { this.#withdraw(from, this.next) }

  /** From now on packets take another path. Those on their way do not count for it. */
  move (isReliable: boolean): void {
    for (let number = this.floor; number < this.next; number++) this.#state[this.slotOf(number)] |= EARLIER
    this.#firstOfPath = this.next
    this.inFlight = 0
    this.isReliable = isReliable
    this.lossAt = Infinity
    this.#packetThreshold = PACKET_THRESHOLD
    this.#timeThreshold = TIME_THRESHOLD
    this.#newest = -1
    this.#acknowledged = this.#lost = this.#limitedUntil = 0
  }

  /** What is still on its way on earlier paths is lost. */
  loseEarlier (): void { this.#withdraw(this.lowest, this.#firstOfPath) }

  /** Packets of more bytes do not arrive. That they are lost says nothing of the rate of the path. */
  loseLonger (bytes: number): void { this.#withdraw(this.lowest, this.next, bytes) }

  /** The sample of what has happened since the last one; undefined when nothing was acknowledged or lost. */
  finish (rtt: number, now: number): DeliverySample | undefined {
    if (this.largestAcknowledged >= this.#roundEnd) {
      this.#lateFrom = this.#lowestOfRound
      this.#lowestOfRound = this.lowest
      this.#roundEnd = this.next
    }
    if (this.#newest < 0 && this.#lost === 0) return undefined
    const sample: DeliverySample = {
      now, acknowledged: this.#acknowledged, lost: this.#lost, delivered: this.delivered, priorDelivered: -1, rate: 0, isAppLimited: true, rtt, inFlight: this.inFlight
    }
    if (this.#newest >= 0) {
      const slot = this.slotOf(this.#newest)
      const time = Math.max(this.#sentAt[slot] - this.#firstSentAt[slot], now - this.#deliveredAt[slot])
      sample.priorDelivered = this.#delivered[slot]
      sample.rate = time > 0 ? (this.delivered - sample.priorDelivered) / time : 0
      sample.isAppLimited = (this.#state[slot] & LIMITED) !== 0
      this.#lastFirstSentAt = this.#sentAt[slot]
      this.#lastDeliveredAt = now
    }
    if (this.delivered > this.#limitedUntil) this.#limitedUntil = 0
    this.#newest = -1
    this.#acknowledged = this.#lost = 0
    return sample
  }

  /** A packet that had counted as lost has arrived: the path reorders. */
  #onLate (number: number, bytes: number): void {
    const distance = this.largestAcknowledged - number + 1
    this.#packetThreshold = Math.min(MOST_THRESHOLD, Math.max(this.#packetThreshold, distance + 1))
    this.#timeThreshold = Math.min(MOST_TIME_THRESHOLD, this.#timeThreshold + THRESHOLD_STEP)
    this.#init.onSpuriousLoss(bytes)
  }

  #withdraw (from: number, to: number, longerThan = 0): void {
    for (let number = Math.max(from, this.lowest); number < to; number++) {
      const slot = this.slotOf(number)
      if ((this.#state[slot] & IN_FLIGHT) === 0 || this.#bytes[slot] <= longerThan) continue
      if ((this.#state[slot] & EARLIER) === 0) this.inFlight -= this.#bytes[slot]
      this.#state[slot] = (this.#state[slot] ^ (IN_FLIGHT | LOST)) | EARLIER
      this.count--
      this.#init.onLost(slot)
    }
    this.#advance()
  }

  #advance (): void {
    const mask = this.#capacity - 1
    while (this.lowest < this.next && (this.#state[this.lowest & mask] & IN_FLIGHT) === 0) this.lowest++
  }

  #grow (): void {
    const before = this.#capacity
    const capacity = this.#capacity = before * 2
    const moved = <A extends Uint8Array | Uint32Array | Float64Array>(from: A, to: A): A => {
      for (let number = Math.max(0, this.next - before); number < this.next; number++) to[number & (capacity - 1)] = from[number & (before - 1)]
      return to
    }
    this.offsets = moved(this.offsets, new Float64Array(capacity))
    this.sizes = moved(this.sizes, new Uint32Array(capacity))
    this.kinds = moved(this.kinds, new Uint8Array(capacity))
    this.#state = moved(this.#state, new Uint8Array(capacity))
    this.#bytes = moved(this.#bytes, new Uint32Array(capacity))
    this.#sentAt = moved(this.#sentAt, new Float64Array(capacity))
    this.#delivered = moved(this.#delivered, new Float64Array(capacity))
    this.#deliveredAt = moved(this.#deliveredAt, new Float64Array(capacity))
    this.#firstSentAt = moved(this.#firstSentAt, new Float64Array(capacity))
  }
}
