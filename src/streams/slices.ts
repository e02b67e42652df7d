/** Work in short slices beside other work that must not wait for it. */
import { wait } from './clock.ts'
import type { Clock } from '../types.ts'

export interface SlicesInit {
  clock: Clock
  /** Ends the work before the next step. */
  signal: AbortSignal
  /** Steps after which the work is done. */
  steps: number
  /** Milliseconds: the longest slice, a step beyond; the pause after each; of all slices together. */
  slice: number
  pause: number
  budget: number
  /** A number that changes with the other work, read before each slice: after a change there is a pause of `quiet` milliseconds, and none of this work. */
  others (): number
  quiet: number
}

/**
 * Calls `step` until all steps are done, the budget is spent, or the signal is aborted. Pauses do not keep the process alive.
 *
 * @returns how many steps were done. @throws the error of a step
 */
export async function inSlices (step: () => Promise<void>, { clock, signal, steps, slice, pause, budget, others, quiet }: SlicesInit): Promise<number> {
  const rest = (ms: number): Promise<void> => wait(clock, ms, { signal, ref: false }).catch(() => {}) // aborted
  let done = 0
  let spent = 0
  let seen = others()
  while (done < steps && spent < budget && !signal.aborted) {
    const now = others()
    if (now !== seen) {
      seen = now
      await rest(quiet)
      continue
    }
    const start = clock.now()
    let elapsed = 0
    while (done < steps && elapsed < slice && !signal.aborted) {
      await step()
      done++
      elapsed = clock.now() - start
    }
    spent += elapsed
    await rest(pause)
  }
  return done
}
