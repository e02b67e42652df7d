/**
 * Nothing that a test makes outlives its process, however that ends: by itself, by the time-out of the test runner, by SIGKILL. A second
 * process holds the other end of a pipe and removes what is left when it closes.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

let reaper: Writable | undefined

/** Its own session, so that no signal to the group of the test reaches it. */
function start (): Writable {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, fileURLToPath(new URL('reaper-process.js', import.meta.url))], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] })
  child.unref()
  const input = child.stdin as Writable & { unref (): void }
  input.unref()
  return input
}

/**
 * Has something removed at the end of this process: a group of processes by its id, a namespace by its name, a folder by its path.
 * Registered before it is made where that can be.
 *
 * @returns a function that forgets it again
 */
export function reap (kind: 'group' | 'namespace' | 'folder', name: string | number): () => void {
  const input = reaper ??= start()
  input.write(`+ ${kind} ${name}\n`)
  return () => { input.write(`- ${kind} ${name}\n`) }
}

/** Ends a group of processes; false when none of it is left. */
export function killGroup (id: number): boolean {
  try {
    return process.kill(-id, 'SIGKILL')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ESRCH') throw err
    return false
  }
}

/**
 * Starts a program in a process group of its own, which ends with the program, and with this process at the latest. `env` becomes that
 * program, so the process id is its own. The test runner adds hooks to `NODE_OPTIONS` of whatever is spawned; `env` removes them.
 */
export function spawnGroup (command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args], { ...options, detached: true })
  const id = child.pid
  if (id === undefined) return child // there is no `env`; the event `error` follows
  const forget = reap('group', id)
  child.once('exit', () => {
    killGroup(id)
    forget()
  })
  return child
}
