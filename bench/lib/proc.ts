/** What Linux knows of a process, also of one that is not ours. */
import { readFileSync } from 'node:fs'

/** Ticks of the clock of processes in a second. */
const TICKS = 100

/** A file of a process in `/proc`. */
export const procFile = (pid: number, name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8')

/** Microseconds of processor time since its start, of all its threads, to a tick of 10 ms. */
export function cpuOf (pid: number): number {
  const fields = procFile(pid, 'stat').replace(/^.*\) /s, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS * 1e6
}

/** Bytes of resident memory. */
export const residentOf = (pid: number): number => Number(/^VmRSS:\s*(\d+) kB$/m.exec(procFile(pid, 'status'))?.[1]) * 1024
