/**
 * The way out of a process. `process.exit` waits for the threads of libuv's pool, and what runs there cannot be cancelled: a look-up of
 * a name waits for name servers, a file for whoever is to write it. Meanwhile no signal is heard any more.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { exitAtOnce } from '../../net/native/libc.ts'

/** What Node calls requests that such a thread may be busy with: look-ups of names, and files. */
const ON_A_THREAD = /^(GetAddrInfo|GetNameInfo|FS)Req/

/** Milliseconds that threads are given before they are left behind, and between two looks: no event tells that they are done. */
const THREADS_TIMEOUT = 500
const POLL_INTERVAL = 10

const isBusy = (): boolean => process.getActiveResourcesInfo().some((name) => ON_A_THREAD.test(name))

/** Ends the process now, whatever its threads do. */
export function exitProcess (code: number): never {
  if (isBusy()) exitWithoutThreads(code)
  process.exit(code)
}

/** Settles when threads have done what they were asked, as they nearly always have in no time, or have had time enough. */
export async function threadsDone (): Promise<void> {
  for (let waited = 0; waited < THREADS_TIMEOUT && isBusy(); waited += POLL_INTERVAL) await delay(POLL_INTERVAL)
}

/** What `process.exit` does, without its waiting. */
function exitWithoutThreads (code: number): void {
  process.exitCode = code
  process.emit('exit', code)
  exitAtOnce(code)
  // Without the optional koffi: by SIGTERM, which a supervisor takes for a clean end, or by a signal that it does not.
  const signal = code === 0 ? 'SIGTERM' : 'SIGKILL'
  if (signal === 'SIGTERM') process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}
