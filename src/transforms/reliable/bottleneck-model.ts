/**
 * A congestion control by a model of the path, in the manner of BBR (draft-ietf-ccwg-bbr): the rate at which the bottleneck delivers, and the
 * round trip time without a queue. Loss alone does not slow it down.
 */
import type { CongestionControl, DeliverySample } from './congestion.ts'

/** Doubles the rate in each round trip: 2 / ln 2. */
const STARTUP_GAIN = 2.885
/** A path is full when its rate has not grown by a quarter in so many round trips. */
const FULL_GROWTH = 1.25
const FULL_ROUNDS = 3

/** Round trips for which the highest rate counts. */
const RATE_ROUNDS = 10

/** Phases of a round trip each: a probe for more, a pause in which its queue drains, and six to cruise. */
const PHASES = [1.25, 0.75, 1, 1, 1, 1, 1, 1] as const
const WINDOW_GAIN = 2

/** Milliseconds after which the shortest round trip time is measured again, and for which the queue is kept empty for that. */
const MIN_RTT_TIME = 10_000
const PROBE_TIME = 200
const PROBE_GAIN = 0.5

/** Packets that may always be in flight, and at the start. */
const LEAST_PACKETS = 4
const INITIAL_PACKETS = 32

/** Milliseconds: what hosts take for their work, so that the window of a very short path does not depend on it. */
const LEAST_RTT = 2

/** Of a measurement of the loss: packets that it takes, and that it remembers; a difference that is chance; the largest loss that is made up for. */
const LOSS_PACKETS = 40
const LOSS_MEMORY = 400
const LOSS_CHANCE = 0.05
const MOST_LOSS = 0.45

/** A queue, in shares of the shortest round trip time, up to which the bottleneck may be idle at times, and from which on it is not. */
const SHORT_QUEUE = 0.1
const LONG_QUEUE = 0.25

/** Options of {@link BottleneckModel}. */
export interface BottleneckModelInit {
  /** Bytes of the largest packet. */
  maxDatagram: number
  /** 0 to 1: where a cycle of phases begins, so that senders do not probe together. Default: `Math.random`. */
  random?: () => number
}

/** The loss of what was sent in one of the phases. */
class PhaseLoss {
  #total = 0
  #lost = 0

  get total (): number { return this.#total }

  get share (): number { return this.#total === 0 ? 0 : this.#lost / this.#total }

  add (acknowledged: number, lost: number, most: number): void {
    this.#total += acknowledged + lost
    this.#lost += lost
    if (this.#total < most) return
    this.#total /= 2
    this.#lost /= 2
  }
}

/**
 * Where packets are lost whatever the rate, as by radio, more are sent, so that as many arrive as the bottleneck delivers. The loss of a queue
 * that overflows is told from that by its phases: it is higher in a probe for more than in a pause. And none is made up for while there is a
 * queue, as the bottleneck is busy then.
 */
export class BottleneckModel implements CongestionControl {
  #state: 'startup' | 'drain' | 'cruise' | 'probe' = 'startup'
  #packet: number
  readonly #random: () => number
  /** The highest rate of each round. */
  readonly #rates = new Float64Array(RATE_ROUNDS)
  #rateRound = 0
  #isRateOfRound = false
  #rate = 0
  #minRtt = Infinity
  #minRttAt = 0
  /** The shortest one of this round, and of the last one. */
  #roundRtt = Infinity
  #lastRoundRtt = 0
  /** What was delivered when the round ends. */
  #roundEnd = 0
  #fullRate = 0
  #fullRounds = 0
  #phase = 0
  #phaseAt = 0
  #hasLost = false
  #probeUntil = Infinity
  readonly #probed = new PhaseLoss()
  readonly #paused = new PhaseLoss()
  #loss = 0

  constructor ({ maxDatagram, random = Math.random }: BottleneckModelInit) {
    this.#packet = maxDatagram
    this.#random = random
  }

  /** Bytes in a millisecond that the path delivers, as far as is known. */
  get deliveryRate (): number { return this.#rate }

  get minRtt (): number { return this.#minRtt }

  /** The share of packets that is lost whatever the rate. */
  get loss (): number { return this.#loss }

  get state (): string { return this.#state }

  get window (): number {
    const least = LEAST_PACKETS * this.#packet
    if (this.#state === 'probe') return Math.max(least, PROBE_GAIN * this.#product)
    const target = (this.#state === 'startup' || this.#state === 'drain' ? STARTUP_GAIN : WINDOW_GAIN) * this.#product + least
    return this.#state === 'startup' ? Math.max(target, INITIAL_PACKETS * this.#packet) : target
  }

  get pacingRate (): number {
    if (this.#rate === 0) return this.#minRtt === Infinity ? Infinity : STARTUP_GAIN * INITIAL_PACKETS * this.#packet / Math.max(this.#minRtt, LEAST_RTT)
    return this.#gain * this.#rate / (1 - this.#loss * this.#idleness)
  }

  resize (maxDatagram: number): void { this.#packet = maxDatagram }

  onSample (sample: DeliverySample): void {
    this.#measureLoss(sample)
    if (sample.lost > 0) this.#hasLost = true
    if (sample.priorDelivered < 0) return
    const isRound = sample.priorDelivered >= this.#roundEnd
    if (isRound) this.#roundEnd = sample.delivered
    this.#measureRate(sample, isRound)
    if (isRound && this.#state === 'startup' && !sample.isAppLimited) this.#checkFull()
    if (this.#state === 'drain' && sample.inFlight <= this.#product) this.#cruise(sample.now)
    if (this.#state === 'cruise') this.#nextPhase(sample)
    this.#measureRtt(sample, isRound)
  }

  onSpuriousLoss (): void {}

  get #gain (): number {
    if (this.#state === 'startup') return STARTUP_GAIN
    if (this.#state === 'drain') return 1 / STARTUP_GAIN
    return this.#state === 'cruise' ? PHASES[this.#phase] : 1
  }

  /** Bytes that fill the path without a queue. */
  get #product (): number { return this.#minRtt === Infinity ? 0 : this.#rate * Math.max(this.#minRtt, LEAST_RTT) }

  #measureRate ({ rate, isAppLimited }: DeliverySample, isRound: boolean): void {
    if (isRound && this.#isRateOfRound) {
      this.#rateRound = (this.#rateRound + 1) % RATE_ROUNDS
      this.#rates[this.#rateRound] = 0
      this.#isRateOfRound = false
    }
    if (rate === 0 || (isAppLimited && rate < this.#rate)) return
    this.#isRateOfRound = true
    if (rate > this.#rates[this.#rateRound]) this.#rates[this.#rateRound] = rate
    let highest = 0
    for (let i = 0; i < RATE_ROUNDS; i++) highest = Math.max(highest, this.#rates[i])
    this.#rate = highest
  }

  /** What is acknowledged or lost in a phase was sent in the one before. */
  #measureLoss ({ acknowledged, lost }: DeliverySample): void {
    if (this.#state !== 'cruise' || this.#phase < 1 || this.#phase > 2) return
    const phase = this.#phase === 1 ? this.#probed : this.#paused
    phase.add(acknowledged, lost, LOSS_MEMORY * this.#packet)
    if (Math.min(this.#probed.total, this.#paused.total) < LOSS_PACKETS * this.#packet) return
    const excess = Math.max(0, this.#probed.share - this.#paused.share - LOSS_CHANCE)
    this.#loss = Math.min(MOST_LOSS, Math.max(0, this.#paused.share - 2 * excess))
  }

  #checkFull (): void {
    if (this.#rate >= this.#fullRate * FULL_GROWTH) {
      this.#fullRate = this.#rate
      this.#fullRounds = 0
    } else if (++this.#fullRounds >= FULL_ROUNDS) {
      this.#state = 'drain'
    }
  }

  #cruise (now: number): void {
    this.#state = 'cruise'
    this.#phase = Math.floor(this.#random() * (PHASES.length - 1))
    if (this.#phase >= 1) this.#phase++ // not with the pause
    this.#phaseAt = now
    this.#hasLost = false
  }

  #nextPhase ({ now, inFlight }: DeliverySample): void {
    const gain = PHASES[this.#phase]
    const isOver = now - this.#phaseAt > Math.max(this.#minRtt, LEAST_RTT)
    if (gain > 1 ? !isOver || (!this.#hasLost && inFlight < gain * this.#product) : !isOver && (gain === 1 || inFlight > this.#product)) return
    this.#phase = (this.#phase + 1) % PHASES.length
    this.#phaseAt = now
    this.#hasLost = false
  }

  /** 1: the bottleneck has no queue, 0: it has one. */
  get #idleness (): number {
    const queue = this.#lastRoundRtt / this.#minRtt - 1
    return Math.min(1, Math.max(0, (LONG_QUEUE - queue) / (LONG_QUEUE - SHORT_QUEUE)))
  }

  #measureRtt ({ rtt, now, inFlight }: DeliverySample, isRound: boolean): void {
    if (isRound && this.#roundRtt !== Infinity) {
      this.#lastRoundRtt = this.#roundRtt
      this.#roundRtt = Infinity
    }
    if (rtt > 0) this.#roundRtt = Math.min(this.#roundRtt, rtt)
    const isOld = now - this.#minRttAt > MIN_RTT_TIME
    if (rtt > 0 && (rtt <= this.#minRtt || isOld)) {
      this.#minRtt = rtt
      this.#minRttAt = now
    }
    if (isOld && this.#state === 'cruise') {
      this.#state = 'probe'
      this.#probeUntil = Infinity
    }
    if (this.#state !== 'probe') return
    if (this.#probeUntil === Infinity) {
      if (inFlight <= this.window) this.#probeUntil = now + Math.max(PROBE_TIME, this.#minRtt)
    } else if (now >= this.#probeUntil) {
      this.#minRttAt = now
      this.#cruise(now)
    }
  }
}
