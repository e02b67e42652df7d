import type { Clock } from '../../../types.ts'

/** Settles when the work has; when that takes too long, it is cut short first. */
export async function withDrainTimeout (clock: Clock, work: Promise<unknown>, milliseconds: number, cut: () => void): Promise<void> {
  const timer = clock.set(milliseconds, cut)
  await work
  clock.clear(timer)
}
