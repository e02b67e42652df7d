/** What a peer does all its life: connects, serves, waits when the connection is lost, and begins again. */
import { LinkClosedError } from '../../errors.ts'
import { wait } from '../../streams/clock.ts'
import type { Clock } from '../../types.ts'

export interface ReconnectorInit {
  /** Connects, and settles when the connection has ended; rejects with what ended it, when that was not the other side. */
  attempt (signal: AbortSignal): Promise<void>
  /** There is no connection any more, or none was made. Returns milliseconds until the next attempt; what it throws ends all. */
  onLost (reason: Error): number
  signal: AbortSignal
  clock: Clock
}

export class Reconnector {
  readonly #init: ReconnectorInit
  #waiting = new AbortController()

  constructor (init: ReconnectorInit) { this.#init = init }

  /** Settles when the signal asks for it and the connection of that time has ended. Rejects with what `onLost` throws. */
  async run (): Promise<void> {
    const { signal, clock, attempt, onLost } = this.#init
    const wake = (): void => { this.wake() }
    signal.addEventListener('abort', wake, { once: true })
    try {
      while (!signal.aborted) {
        let reason: Error = new LinkClosedError('the server has ended the connection')
        try {
          await attempt(signal)
        } catch (err) {
          reason = err as Error
        }
        if (signal.aborted) break
        this.#waiting = new AbortController() // before anybody is told, who may wake it at once
        await wait(clock, onLost(reason), { signal: this.#waiting.signal }).catch(() => {})
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  /** The next attempt is made now, if one is waited for. */
  wake (): void { this.#waiting.abort() }
}
