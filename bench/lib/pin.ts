/** Gives processes a core of their own. */
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import type { Run } from './run.ts'

const MEASURED = '0'
const LOAD = '1'

/**
 * Those that are measured get one core, which they share as only one of them works at a time, and this process another one, with those that
 * make their load. Linux, with two cores.
 */
export function pinApart (run: Run, measured: readonly number[], load: readonly number[] = []): void {
  if (process.platform !== 'linux' || cpus().length < 2) {
    run.leaveOut('a core of its own for what is measured', 'takes Linux and two cores')
    return
  }
  for (const [core, pids] of [[MEASURED, measured], [LOAD, [process.pid, ...load]]] as const) for (const pid of pids) execFileSync('taskset', ['-acp', core, String(pid)], { stdio: 'ignore' })
}

/** Lets this process have all cores again. */
export function unpin (): void {
  if (process.platform === 'linux') execFileSync('taskset', ['-acp', `0-${cpus().length - 1}`, String(process.pid)], { stdio: 'ignore' })
}
