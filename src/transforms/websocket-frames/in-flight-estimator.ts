/**
 * How much of what was sent is still on its way in some buffer, where the system does not tell: pings between the messages come back as
 * pongs, and what was sent before one of them has arrived.
 *
 * What is not acknowledged yet is more than what waits: a way that is long holds bytes while they travel. As many as leave within the
 * shortest round trip are taken for those.
 */
import { DrainRate } from '../../limits/drain-rate.ts'

/** Bytes after which to ask again, ... */
const STEP = 32 * 1024

/** ... or this part of what is under way, when that is more; and questions that have no answer yet, at most. */
const PART = 32
const MAX_PROBES = 128

/** Milliseconds after which to ask in any case, once something was sent: while little passes a round trip is as short as it can be. */
const MAX_PROBE_INTERVAL = 1000

/** Milliseconds for which the shortest round trip counts, at least: ways change. */
const MEMORY = 30_000

/** Bytes under way with which a question may begin a new time; behind more of them it would take the queue for a part of the way. */
const MAX_IDLE_BYTES = 16 * 1024

/** Milliseconds after which a question is not going to be answered. Then nothing is known any more, until one is. */
const PROBE_TIMEOUT = 5000

const PROBE_PREFIX = Buffer.from('sent')

interface Probe {
  /** Bytes that were sent before it. */
  sent: number
  at: number
  /** Hardly anything was under way. */
  isAlone: boolean
}

export class InFlightEstimator {
  readonly #drainRate = new DrainRate()
  /** Those without an answer, the oldest first, and the number of that one. */
  readonly #probes: Probe[] = []
  #first = 0
  #sent = 0
  #asked = 0
  #askedAt = -Infinity
  #arrived = 0
  #answeredAt: number | undefined
  /** Shortest round trips: of this time, of the one before, and when this one has begun. */
  #shortest = Infinity
  #before = Infinity
  #since = 0

  /**
   * Bytes that wait; undefined while the other side has answered nothing.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  estimate (now: number): number | undefined {
    this.#giveUp(now)
    if (this.#answeredAt === undefined) return undefined
    const rate = this.#drainRate.rate ?? 0
    // Answers come one by one, but bytes leave all the time: up to the next answer, which has not come.
    const next = this.#probes.length > 0 ? this.#probes[0].sent : this.#sent
    const arrived = Math.min(next, this.#arrived + rate * (now - this.#answeredAt))
    return Math.max(0, Math.round(this.#sent - arrived - rate * Math.min(this.#shortest, this.#before)))
  }

  /**
   * So many bytes were sent.
   *
   * @param now milliseconds of a clock that only goes forward
   * @returns the payload of a ping that is to follow them, if it is time for one
   */
  sent (bytes: number, now: number): Uint8Array | undefined {
    this.#giveUp(now)
    const isAlone = this.#answeredAt !== undefined && this.#sent - this.#arrived <= MAX_IDLE_BYTES
    this.#sent += bytes
    const isDue = this.#sent - this.#asked >= Math.max(STEP, (this.#sent - this.#arrived) / PART) || now - this.#askedAt >= MAX_PROBE_INTERVAL
    if (!isDue || this.#probes.length === MAX_PROBES) return undefined
    this.#asked = this.#sent
    this.#askedAt = now
    const payload = Buffer.alloc(PROBE_PREFIX.length + 4)
    payload.set(PROBE_PREFIX)
    payload.writeUInt32BE((this.#first + this.#probes.push({ sent: this.#sent, at: now, isAlone }) - 1) >>> 0, PROBE_PREFIX.length)
    return payload
  }

  /** The last question could not be asked. */
  withdraw (): void { this.#probes.pop() }

  /** A pong has come. Those that answer nothing are left alone; one answers all questions before it as well, RFC 6455 section 5.5.3. */
  pong (payload: Uint8Array, now: number): void {
    if (payload.length < PROBE_PREFIX.length + 4 || PROBE_PREFIX.compare(payload, 0, PROBE_PREFIX.length) !== 0) return
    const number = Buffer.from(payload.buffer, payload.byteOffset, payload.length).readUInt32BE(PROBE_PREFIX.length)
    const index = (number - this.#first) >>> 0
    if (index >= this.#probes.length) return
    const { sent, at, isAlone } = this.#probes[index]
    this.#probes.splice(0, index + 1)
    this.#first = (number + 1) >>> 0
    this.#remember(now - at, now, isAlone)
    if (this.#answeredAt !== undefined) this.#drainRate.sample(sent - this.#arrived, now - this.#answeredAt, now)
    this.#answeredAt = now
    this.#arrived = sent
  }

  #giveUp (now: number): void {
    if (this.#probes.length === 0 || now - this.#probes[0].at < PROBE_TIMEOUT) return
    this.#first = (this.#first + this.#probes.length) >>> 0
    this.#probes.length = 0
    this.#answeredAt = undefined
    this.#arrived = this.#sent // or not; else it would ask as seldom as one does with so much under way
  }

  #remember (roundTrip: number, now: number, isAlone: boolean): void {
    if (isAlone && now - this.#since >= MEMORY) {
      this.#before = this.#shortest
      this.#shortest = Infinity
      this.#since = now
    }
    this.#shortest = Math.min(this.#shortest, roundTrip)
  }
}
