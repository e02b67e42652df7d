/**
 * Ends the process. `process.exit` waits for the threads of libuv's pool, whose work cannot be cancelled: a DNS query waits for name
 * servers, a read for the writer of a pipe. Signals are not handled meanwhile.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { exitAtOnce } from '../../net/native/libc.ts'

/** Requests of Node that use such a thread: DNS queries and files. */
const ON_A_THREAD = /^(GetAddrInfo|GetNameInfo|FS)Req/

/** Milliseconds to wait for the threads, and between two checks: there is no event for their end. */
const THREADS_TIMEOUT = 500
const POLL_INTERVAL = 10

const isBusy = (): boolean => process.getActiveResourcesInfo().some((name) => ON_A_THREAD.test(name))

/** Ends the process now, also while threads are busy. */
export function exitProcess (code: number): never {
  if (isBusy()) exitWithoutThreads(code)
  process.exit(code)
}

/** Settles when the threads are idle, or after the timeout. */
export async function threadsDone (): Promise<void> {
  for (let waited = 0; waited < THREADS_TIMEOUT && isBusy(); waited += POLL_INTERVAL) await delay(POLL_INTERVAL)
}

/** Ends the process as `process.exit` does, without waiting for threads. */
function exitWithoutThreads (code: number): void {
  process.exitCode = code
  process.emit('exit', code)
  exitAtOnce(code)
  // Without the optional koffi, by a signal: SIGTERM, which supervisors count as a clean end, or SIGKILL, which they do not.
  const signal = code === 0 ? 'SIGTERM' : 'SIGKILL'
  if (signal === 'SIGTERM') process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}
