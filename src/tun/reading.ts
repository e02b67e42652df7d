/** Reads an interface in bursts, for a reader that is called. */
import type { PollHandle } from '../net/native/poller.ts'
import { Flow } from '../streams/flow.ts'
import type { Batch, Take } from '../types.ts'

/** Maximum reads of one burst. */
export const BURST = 64

/** A reader that waits for packets. */
export interface Reader {
  /** The device may be readable. */
  ready (): void
  /** The device has ended, maybe because of a failure. */
  ended (failure?: Error): void
}

export class BurstReader implements Reader {
  readonly #flow: Flow
  readonly #burst: (most: number) => Batch
  #isSingle = true

  /** @param burst reads up to this many times; throws when the interface is gone */
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
      // after a read of one packet the next packet is passed on before more are read
      if (!this.#isSingle || this.#read(1)) this.#read(BURST)
    } catch (err) {
      this.ended(err as Error)
    }
  }

  ended (failure?: Error): void {
    this.#flow.discard()
    if (failure === undefined) this.#flow.end()
    else this.#flow.fail(failure)
  }

  /** False when there was nothing, or the reader is busy or has left. */
  #read (most: number): boolean {
    const batch = this.#burst(most)
    this.#isSingle = batch.length <= 1
    if (batch.length === 0) return false
    this.#flow.pushBatch(batch)
    return !this.#flow.closed && this.#flow.size === 0
  }
}
