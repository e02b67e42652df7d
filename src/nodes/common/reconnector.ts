/** The connection loop of a peer: connect, serve, wait after the connection is lost, connect again. */
import { LinkClosedError } from '../../errors.ts'
import { wait } from '../../streams/clock.ts'
import type { Clock } from '../../types.ts'

export interface ReconnectorInit {
  /** Connects and serves; settles when the other side has ended the connection, and rejects with any other cause. */
  attempt (signal: AbortSignal): Promise<void>
  /** The attempt has failed or its connection has ended. Returns milliseconds until the next attempt; an error that it throws ends the loop. */
  onLost (reason: Error): number
  signal: AbortSignal
  clock: Clock
}

export class Reconnector {
  readonly #init: ReconnectorInit
  #waiting = new AbortController()

  constructor (init: ReconnectorInit) { this.#init = init }

  /** Settles after the signal has aborted and the current connection has ended. Rejects with what `onLost` throws. */
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
        this.#waiting = new AbortController() // before onLost, whose event listeners may call wake()
        await wait(clock, onLost(reason), { signal: this.#waiting.signal }).catch(() => {})
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  /** Skips the wait for the next attempt, if there is one. */
  wake (): void { this.#waiting.abort() }
}
