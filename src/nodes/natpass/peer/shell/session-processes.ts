/** Ends all processes of a session: the program of a terminal, what it runs, and its jobs in the background. */
import { readdir, readFile } from 'node:fs/promises'

/** The session of a process, from its line in /proc: the sixth field; the second one, in parentheses, may contain anything. */
export function sessionOf (stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3])
}

/** Sends signals, one after the other, to a process or, where it is negative, to a group. A process that is gone is ignored. */
function send (target: number, signals: readonly NodeJS.Signals[]): void {
  for (const signal of signals) {
    try {
      process.kill(target, signal)
    } catch {
      return
    }
  }
}

/**
 * Signals the group of the leader now, and then each process of its session where the system lists processes (Linux).
 *
 * @param session - the process id of its leader
 */
export async function signalSession (session: number, ...signals: NodeJS.Signals[]): Promise<void> {
  send(-session, signals)
  const all = await readdir('/proc').catch(() => [])
  for (const name of all) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    if (sessionOf(stat) === session) send(Number(name), signals)
  }
}
