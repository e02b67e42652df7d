/** Gives processes a core of their own. */
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import type { Run } from '../lib/run.ts'

const RELAYS = '0'
const LOAD = '1'

/** Relays get one core, which they share as only one of them works at a time, and this process another one. Linux, with two cores. */
export function pinApart (run: Run, relays: readonly number[]): void {
  if (process.platform !== 'linux' || cpus().length < 2) {
    run.leaveOut('a core of its own for the relay', 'takes Linux and two cores')
    return
  }
  for (const [core, pids] of [[RELAYS, relays], [LOAD, [process.pid]]] as const) for (const pid of pids) execFileSync('taskset', ['-acp', core, String(pid)], { stdio: 'ignore' })
}

/** Lets this process have all cores again. */
export function unpin (): void {
  if (process.platform === 'linux') execFileSync('taskset', ['-acp', `0-${cpus().length - 1}`, String(process.pid)], { stdio: 'ignore' })
}
