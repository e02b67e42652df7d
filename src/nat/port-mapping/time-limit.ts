/** A signal that is aborted after so many milliseconds, in a thread, where the clock is that of the system. */
import { systemClock, wait } from '../../streams/clock.ts'

export function timeLimit (ms: number): AbortSignal {
  const controller = new AbortController()
  void wait(systemClock, ms, { ref: false }).then(() => { controller.abort(new Error(`no answer within ${ms} ms`)) })
  return controller.signal
}
