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

/** Packets of a measurement of the loss, measurements that count, and the largest loss that is made up for. */
const LOSS_SAMPLE = 100
const LOSS_SAMPLES = 8
const MOST_LOSS = 0.45

/** Options of {@link BottleneckModel}. */
export interface BottleneckModelInit {
  /** Bytes of the largest packet. */
  maxDatagram: number
  /** 0 to 1: where a cycle of phases begins, so that senders do not probe together. Default: `Math.random`. */
  random?: () => number
}

/**
 * Where packets are lost whatever the rate, as by radio, more are sent, so that as many arrive as the bottleneck delivers: for the lowest
 * loss of the last while, which that of a queue that overflows is not, as it ends in each pause.
 */
export class BottleneckModel implements CongestionControl {
  #state: 'startup' | 'drain' | 'cruise' | 'probe' = 'startup'
  readonly #packet: number
  readonly #random: () => number
  /** The highest rate of each round. */
  readonly #rates = new Float64Array(RATE_ROUNDS)
  #rateRound = 0
  #isRateOfRound = false
  #rate = 0
  #minRtt = Infinity
  #minRttAt = 0
  /** What was delivered when the round ends. */
  #roundEnd = 0
  #fullRate = 0
  #fullRounds = 0
  #phase = 0
  #phaseAt = 0
  #hasLost = false
  #probeUntil = Infinity
  #lossAcknowledged = 0
  #lossLost = 0
  readonly #losses = new Float64Array(LOSS_SAMPLES)
  #lossSamples = 0
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
    const target = (this.#state === 'startup' || this.#state === 'drain' ? STARTUP_GAIN : WINDOW_GAIN) * this.#product / (1 - this.#loss) + least
    return this.#state === 'startup' ? Math.max(target, INITIAL_PACKETS * this.#packet) : target
  }

  get pacingRate (): number {
    if (this.#rate === 0) return this.#minRtt === Infinity ? Infinity : STARTUP_GAIN * INITIAL_PACKETS * this.#packet / Math.max(this.#minRtt, LEAST_RTT)
    return this.#gain * this.#rate / (1 - this.#loss)
  }

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
    this.#measureRtt(sample)
  }

  onSpuriousLoss (bytes: number): void { this.#lossLost = Math.max(0, this.#lossLost - bytes) }

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

  #measureLoss ({ acknowledged, lost }: DeliverySample): void {
    this.#lossAcknowledged += acknowledged
    this.#lossLost += lost
    const total = this.#lossAcknowledged + this.#lossLost
    if (total < LOSS_SAMPLE * this.#packet) return
    this.#losses[this.#lossSamples++ % LOSS_SAMPLES] = this.#lossLost / total
    this.#lossAcknowledged = this.#lossLost = 0
    let lowest = MOST_LOSS
    for (let i = 0; i < LOSS_SAMPLES; i++) lowest = Math.min(lowest, this.#losses[i])
    this.#loss = lowest // 0 before all were taken
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

  #measureRtt ({ rtt, now, inFlight }: DeliverySample): void {
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
