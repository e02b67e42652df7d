/** What loads have in common. */
import { report } from '../lib/child.js'

/**
 * Says that the load is ready, and does what it is told.
 *
 * @param handle returns the answer to a message; what it throws is the answer as well
 */
export function serveLoad (handle) {
  process.on('message', (message) => {
    if ('collect' in message) return
    let answer
    try {
      answer = handle(message)
    } catch (err) {
      answer = { error: err.message }
    }
    if (process.connected) process.send(answer)
  })
  report(0, () => 0)
}

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

/** Waits while the process does nothing else. */
export function sleep (milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
