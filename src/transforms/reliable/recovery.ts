/** When packets may leave, and when they have to be sent again (RFC 9002, section 6). */
import { MAX_ACK_DELAY } from './acknowledger.ts'
import { BottleneckModel } from './bottleneck-model.ts'
import { NoCongestionControl, type CongestionControl } from './congestion.ts'
import type { ReliablePath } from './config.ts'
import { Pacer } from './pacer.ts'
import type { PacketReader } from './packet.ts'
import { RttEstimator } from './rtt-estimator.ts'
import { SentPackets, type SentPacketsInit } from './sent-packets.ts'

/** Milliseconds between two probes at most, and for the first one on a reliable path, which is sent for a lost acknowledgement only. */
const MOST_TIMEOUT = 3000
const RELIABLE_TIMEOUT = 1000

/** Packets of a probe, which leave whatever the window. */
const PROBES = 2

/** Milliseconds for which packets on an earlier path may still be acknowledged. */
const LEAST_GRACE = 20
const MOST_GRACE = 200

export interface RecoveryInit extends Pick<SentPacketsInit, 'onAcknowledged' | 'onLost'> {
  path: ReliablePath
  random: () => number
  now: number
}

export class Recovery {
  readonly rtt = new RttEstimator()
  readonly packets: SentPackets
  control: CongestionControl
  pacer: Pacer
  path: ReliablePath
  /** Packets that may leave whatever the window. */
  probes = 0
  /** Probes in a row without an answer. */
  timeouts = 0
  /** Since when nothing that was sent was acknowledged; undefined: nothing waits for that. */
  unansweredSince: number | undefined
  #graceUntil = Infinity
  #roundTrip = 0
  readonly #random: () => number

  constructor ({ path, random, now, onAcknowledged, onLost }: RecoveryInit) {
    this.path = path
    this.#random = random
    this.packets = new SentPackets({ rtt: this.rtt, onAcknowledged, onLost, onSpuriousLoss: (bytes) => { this.control.onSpuriousLoss(bytes) } })
    this.packets.isReliable = path.isReliable
    this.control = this.#controlOf(path)
    this.pacer = new Pacer(path.maxDatagram, now)
  }

  /** Packets that may leave now; a bound by the pacer is told as well. */
  sendable (now: number): number {
    const { maxDatagram } = this.path
    if (this.packets.room <= 0) return 0
    const window = this.timeouts >= 2 ? 0 : this.control.window - this.packets.inFlight
    const paced = window <= 0 ? 0 : this.pacer.available(now)
    return Math.min(this.packets.room, Math.max(this.probes, Math.ceil(Math.min(window, paced) / maxDatagram)))
  }

  /** When the pacer lets the next packet leave; Infinity where something else holds it back. */
  get pacedUntil (): number {
    return this.packets.room <= 0 || this.timeouts >= 2 || this.control.window <= this.packets.inFlight ? Infinity : this.pacer.readyAt()
  }

  onSent (bytes: number, now: number): number {
    if (this.probes > 0) this.probes--
    this.pacer.take(bytes)
    this.unansweredSince ??= now
    return this.packets.add(bytes, now)
  }

  /** The ranges of an acknowledgement. */
  onAck (ack: PacketReader, now: number): void {
    let isNews = false
    for (let i = 0; i < ack.ranges; i++) {
      if (ack.highs[i] < this.packets.floor) break
      if (this.packets.acknowledge(ack.lows[i], ack.highs[i])) isNews = true
    }
    if (!isNews) return
    const roundTrip = this.packets.roundTrip(ack.highs[0], now)
    if (roundTrip > 0) {
      this.#roundTrip = roundTrip
      this.rtt.sample(roundTrip, Math.min(ack.delay, MAX_ACK_DELAY))
    }
    this.timeouts = this.probes = 0
    this.unansweredSince = this.packets.count > 0 ? now : undefined
  }

  /** After the acknowledgements that came together. */
  finish (now: number): void {
    this.packets.detect(now)
    const sample = this.packets.finish(this.#roundTrip, now)
    this.#roundTrip = 0
    if (sample === undefined) return
    this.control.onSample(sample)
    this.pacer.setRate(this.control.pacingRate, now)
    if (this.packets.count === 0) this.unansweredSince = undefined
  }

  get deadline (): number { return Math.min(this.packets.lossAt, this.#graceUntil, this.#probeAt) }

  /** Does what is due. Returns true when packets have to be probed for. */
  run (now: number): boolean {
    if (now >= this.#graceUntil) {
      this.#graceUntil = Infinity
      this.packets.loseEarlier()
    }
    if (now >= this.packets.lossAt) this.finish(now)
    if (now < this.#probeAt) return false
    this.timeouts++
    this.probes = PROBES
    return true
  }

  /** From now on packets take another path. */
  move (path: ReliablePath, now: number): void {
    if (this.packets.count > 0) {
      const grace = this.rtt.hasSample ? this.rtt.probeTimeout(0) : MOST_GRACE
      this.#graceUntil = Math.min(this.#graceUntil, now + Math.min(MOST_GRACE, Math.max(LEAST_GRACE, grace)))
    }
    this.path = path
    this.rtt.reset()
    this.packets.move(path.isReliable)
    this.control = this.#controlOf(path)
    this.pacer = new Pacer(path.maxDatagram, now)
    this.timeouts = this.probes = 0
    this.unansweredSince = undefined
  }

  /** The path takes datagrams of another size. */
  resize (maxDatagram: number): void {
    this.path = { ...this.path, maxDatagram }
    this.control.resize(maxDatagram)
    this.pacer.resize(maxDatagram)
    this.packets.loseLonger(maxDatagram)
    this.timeouts = this.probes = 0
    if (this.packets.count === 0) this.unansweredSince = undefined
  }

  /** When to probe for the packets in flight. */
  get #probeAt (): number {
    if (this.packets.count === 0 || this.#graceUntil !== Infinity) return Infinity
    const least = this.path.isReliable ? RELIABLE_TIMEOUT : 0
    return this.packets.lastSentAt + Math.min(MOST_TIMEOUT, Math.max(least, this.rtt.probeTimeout(MAX_ACK_DELAY)) * 2 ** Math.min(this.timeouts, 16))
  }

  #controlOf ({ isReliable, maxDatagram }: ReliablePath): CongestionControl {
    return isReliable ? new NoCongestionControl() : new BottleneckModel({ maxDatagram, random: this.#random })
  }
}
