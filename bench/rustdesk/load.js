/** What loads have in common. */

/**
 * A round: what was done, how long that took, and what the load itself took of a core.
 *
 * @param work until a time of `performance.now()`; returns how much it was
 */
export function measured (milliseconds, work) {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const count = work(start + milliseconds)
  const elapsed = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { count, elapsed, load: (user + system) / 1000 / elapsed }
}
