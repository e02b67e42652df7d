import type { Clock } from '../../../types.ts'

/** Waits for work to settle, and calls `cut` when that takes longer than `milliseconds`. */
export async function withDrainTimeout (clock: Clock, work: Promise<unknown>, milliseconds: number, cut: () => void): Promise<void> {
  const timer = clock.set(milliseconds, cut)
  await work.finally(() => { clock.clear(timer) })
}
