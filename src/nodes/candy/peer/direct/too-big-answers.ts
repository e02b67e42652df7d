/** Answers to packets that are too large for a path, as many as one sender may cause. */
import { TokenBucket } from '../../../../limits/token-bucket.ts'
import { MIN_MTU } from '../../../../tun/device.ts'
import { fragmentationNeeded, wantsSize } from '../../../../tun/too-big.ts'

/** In a second, and at once. */
const ANSWERS = { rate: 100, burst: 50 }

export class TooBigAnswers {
  readonly #answers: TokenBucket

  constructor (now: number) {
    this.#answers = new TokenBucket(ANSWERS, now)
  }

  /**
   * The message that tells the sender of a packet the size that passes. Undefined when it does not want to know, when no packet would pass, and
   * beyond the rate.
   *
   * @param from the address that tells it. Default: the destination of the packet
   */
  answer (packet: Uint8Array, mtu: number, now: number, from?: number): Uint8Array | undefined {
    if (mtu < MIN_MTU || !wantsSize(packet)) return undefined
    this.#answers.refill(now)
    return this.#answers.take(1) ? fragmentationNeeded(packet, mtu, from) : undefined
  }
}
