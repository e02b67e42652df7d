/** Reading an interface by a function that is called with what comes: `carry` of a `Tun`. */
import type { Take } from './device.ts'
import type { Watch } from './poller.ts'
import type { Batch } from '../types.ts'

/** Reads of one burst, at most. */
export const BURST = 64

/** Whoever waits for packets. */
export interface Reader {
  /** A read may bring something. */
  ready (): void
  /** There is nothing more to come, or the reader has to go; maybe because of a failure. */
  ended (failure?: Error): void
}

export class Carrying implements Reader {
  /** Settles when nothing is read any more. */
  readonly over: Promise<void>
  readonly #take: Take
  readonly #burst: (most: number) => Batch
  readonly #watch: Watch
  readonly #onEnd: () => void
  #resolve: () => void = () => {}
  #reject: (err: Error) => void = () => {}
  #isOver = false
  #isAlone = true

  /** @param burst reads so many times at most; throws when the interface is gone */
  constructor (take: Take, burst: (most: number) => Batch, watch: Watch, onEnd: () => void) {
    this.#take = take
    this.#burst = burst
    this.#watch = watch
    this.#onEnd = onEnd
    this.over = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  ready (): void {
    try {
      // a packet that comes alone, as the last one did, does not wait until it is known that there is no other
      if (!this.#isAlone || this.#read(1)) this.#read(BURST)
    } catch (err) {
      this.ended(err as Error)
    }
  }

  ended (failure?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#onEnd()
    if (failure === undefined) this.#resolve()
    else this.#reject(failure)
  }

  /** False when there was nothing, or nothing more may be read now. */
  #read (most: number): boolean {
    const batch = this.#burst(most)
    this.#isAlone = batch.length <= 1
    if (batch.length === 0) return false
    const taken = this.#take(batch)
    if (taken === undefined) return !this.#isOver
    this.#watch.stop()
    taken.then(() => { if (!this.#isOver) this.#watch.start() }, (err) => { this.ended(err) })
    return false
  }
}
