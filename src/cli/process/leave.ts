/**
 * The way out of a process. `process.exit` waits for the threads of libuv's pool, and what runs there cannot be cancelled: a look-up of
 * a name waits for name servers, a file for whoever is to write it. Meanwhile no signal is heard any more.
 */
import { exitAtOnce } from '../../tun/libc.ts'

/** What Node calls requests that such a thread may be busy with: look-ups of names, and files. */
const ON_A_THREAD = /^(GetAddrInfo|GetNameInfo|FS)Req/

/** Ends the process now, whatever its threads do. */
export function leave (code: number): never {
  if (process.getActiveResourcesInfo().some((name) => ON_A_THREAD.test(name))) leaveThreads(code)
  process.exit(code)
}

/** What `process.exit` does, without its waiting. */
function leaveThreads (code: number): void {
  process.exitCode = code
  process.emit('exit', code)
  exitAtOnce(code)
  // Without the optional koffi: by SIGTERM, which a supervisor takes for a clean end, or by a signal that it does not.
  const signal = code === 0 ? 'SIGTERM' : 'SIGKILL'
  if (signal === 'SIGTERM') process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}
