/** Reads an interface in bursts, for a reader that is called with what comes. */
import type { PollHandle } from '../net/native/poller.ts'
import { Flow } from '../streams/flow.ts'
import type { Batch, Take } from '../types.ts'

/** Reads of one burst, at most. */
export const BURST = 64

/** Whoever waits for packets. */
export interface Reader {
  /** A read may bring something. */
  ready (): void
  /** There is nothing more to come, maybe because of a failure. */
  ended (failure?: Error): void
}

export class BurstReader implements Reader {
  readonly #flow: Flow
  readonly #burst: (most: number) => Batch
  #isAlone = true

  /** @param burst reads so many times at most; throws when the interface is gone */
  constructor (take: Take, burst: (most: number) => Batch, handle: PollHandle) {
    this.#burst = burst
    this.#flow = new Flow(take, {
      onBusy: () => { handle.stop() },
      onPull: () => { handle.start() },
      onReturn: () => { handle.stop() }
    })
  }

  /** See `Flow.until`. */
  until (signal: AbortSignal | undefined): Promise<void> { return this.#flow.until(signal) }

  ready (): void {
    try {
      // a packet that comes alone, as the last one did, does not wait until it is known that there is no other
      if (!this.#isAlone || this.#read(1)) this.#read(BURST)
    } catch (err) {
      this.ended(err as Error)
    }
  }

  ended (failure?: Error): void {
    this.#flow.discard()
    if (failure === undefined) this.#flow.end()
    else this.#flow.fail(failure)
  }

  /** False when there was nothing, or nothing more may be read now. */
  #read (most: number): boolean {
    const batch = this.#burst(most)
    this.#isAlone = batch.length <= 1
    if (batch.length === 0) return false
    this.#flow.pushBatch(batch)
    return !this.#flow.closed && this.#flow.size === 0
  }
}
