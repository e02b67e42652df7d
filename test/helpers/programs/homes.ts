/** Folders for what programs keep, so that tests leave nothing in those of the machine. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

let root: string | undefined
let count = 0

/** A new folder; it goes with this process. */
export function newHome (): string {
  if (root === undefined) {
    const made = root = mkdtempSync(join(tmpdir(), 'tunpipe-test-'))
    process.once('exit', () => { rmSync(made, { recursive: true, force: true }) })
  }
  const home = join(root, String(count++))
  mkdirSync(home)
  return home
}

/** Environment of a program that keeps its state and its control socket in a folder of its own. */
export function homeEnv (): Record<string, string> {
  const home = newHome()
  return { STATE_DIRECTORY: join(home, 'state'), RUNTIME_DIRECTORY: join(home, 'run') }
}
