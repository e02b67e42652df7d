/**
 * Estimates the queued bytes of a connection where the system does not report them: pings are sent between messages, and bytes sent before
 * a ping have arrived when its pong does.
 *
 * Unacknowledged bytes are more than queued ones, as a long path holds bytes in flight. Those that drain within the shortest round trip are
 * subtracted.
 */
import { DrainRate } from '../../limits/drain-rate.ts'

/** Bytes between two probes, ... */
const STEP = 32 * 1024

/** ... or this fraction of the unacknowledged bytes, when that is more; and the maximum number of outstanding probes. */
const PART = 32
const MAX_PROBES = 128

/** Maximum milliseconds between two probes while data is sent: with little traffic a round trip is shortest. */
const MAX_PROBE_INTERVAL = 1000

/** Minimum milliseconds for which a shortest round trip is used: paths change. */
const MIN_PERIOD = 30_000

/** Maximum unacknowledged bytes of a probe that may start a new period of the minimum; with more, queueing delay would count as the path. */
const MAX_IDLE_BYTES = 16 * 1024

/** Milliseconds after which a probe counts as lost. Then nothing is known until the next pong. */
const PROBE_TIMEOUT = 5000

const PROBE_PREFIX = Buffer.from('sent')

interface Probe {
  /** Total bytes sent before the probe. */
  sent: number
  at: number
  /** Sent with few unacknowledged bytes. */
  isIdle: boolean
}

export class InFlightEstimator {
  readonly #drainRate = new DrainRate()
  /** Outstanding probes, the oldest first, and the number of the first one. */
  readonly #probes: Probe[] = []
  #first = 0
  #sent = 0
  #probedSent = 0
  #probedAt = -Infinity
  #arrived = 0
  #answeredAt: number | undefined
  /** Shortest round trips: of this period and of the one before; and the start of this period. */
  #shortest = Infinity
  #before = Infinity
  #periodStart = 0

  /**
   * Queued bytes; undefined until the other side has answered.
   *
   * @param now milliseconds of a monotonic clock
   */
  estimate (now: number): number | undefined {
    this.#expire(now)
    if (this.#answeredAt === undefined) return undefined
    const rate = this.#drainRate.rate ?? 0
    // Pongs come one by one, but bytes drain all the time: extrapolates up to the next probe, which is not answered yet.
    const next = this.#probes.length > 0 ? this.#probes[0].sent : this.#sent
    const arrived = Math.min(next, this.#arrived + rate * (now - this.#answeredAt))
    return Math.max(0, Math.round(this.#sent - arrived - rate * Math.min(this.#shortest, this.#before)))
  }

  /**
   * Accounts for bytes that were sent.
   *
   * @param now milliseconds of a monotonic clock
   * @returns the payload of a ping to send after them, if one is due
   */
  sent (bytes: number, now: number): Uint8Array | undefined {
    this.#expire(now)
    const isIdle = this.#answeredAt !== undefined && this.#sent - this.#arrived <= MAX_IDLE_BYTES
    this.#sent += bytes
    const isDue = this.#sent - this.#probedSent >= Math.max(STEP, (this.#sent - this.#arrived) / PART) || now - this.#probedAt >= MAX_PROBE_INTERVAL
    if (!isDue || this.#probes.length === MAX_PROBES) return undefined
    this.#probedSent = this.#sent
    this.#probedAt = now
    const payload = Buffer.alloc(PROBE_PREFIX.length + 4)
    payload.set(PROBE_PREFIX)
    payload.writeUInt32BE((this.#first + this.#probes.push({ sent: this.#sent, at: now, isIdle }) - 1) >>> 0, PROBE_PREFIX.length)
    return payload
  }

  /** The last probe could not be sent. */
  withdraw (): void { this.#probes.pop() }

  /** Handles a pong. Unsolicited ones are ignored; a pong answers all earlier probes as well (RFC 6455, section 5.5.3). */
  pong (payload: Uint8Array, now: number): void {
    if (payload.length < PROBE_PREFIX.length + 4 || PROBE_PREFIX.compare(payload, 0, PROBE_PREFIX.length) !== 0) return
    const number = Buffer.from(payload.buffer, payload.byteOffset, payload.length).readUInt32BE(PROBE_PREFIX.length)
    const index = (number - this.#first) >>> 0
    if (index >= this.#probes.length) return
    const { sent, at, isIdle } = this.#probes[index]
    this.#probes.splice(0, index + 1)
    this.#first = (number + 1) >>> 0
    this.#remember(now - at, now, isIdle)
    if (this.#answeredAt !== undefined) this.#drainRate.sample(sent - this.#arrived, now - this.#answeredAt, now)
    this.#answeredAt = now
    this.#arrived = sent
  }

  #expire (now: number): void {
    if (this.#probes.length === 0 || now - this.#probes[0].at < PROBE_TIMEOUT) return
    this.#first = (this.#first + this.#probes.length) >>> 0
    this.#probes.length = 0
    this.#answeredAt = undefined
    this.#arrived = this.#sent // a guess; otherwise probes would be as rare as with many unacknowledged bytes
  }

  #remember (roundTrip: number, now: number, isIdle: boolean): void {
    if (isIdle && now - this.#periodStart >= MIN_PERIOD) {
      this.#before = this.#shortest
      this.#shortest = Infinity
      this.#periodStart = now
    }
    this.#shortest = Math.min(this.#shortest, roundTrip)
  }
}
