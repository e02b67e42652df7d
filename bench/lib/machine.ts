/** Where and of what the figures are. */
import { execFileSync } from 'node:child_process'
import { cpus, release, type } from 'node:os'

export interface Machine {
  cpu: string
  cores: number
  kernel: string
  node: string
}

export const machine: Machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, kernel: `${type()} ${release()}`, node: process.version }

/** As `1a2b3c4`, with `-dirty` behind it where files differ from that; undefined outside a repository. */
export function commit (): string | undefined {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=7', '--exclude=*'], { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
}
