/** Folders for what programs keep, so that tests leave nothing in those of the machine. */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reap } from './reaper.ts'

let root: string | undefined
let count = 0

/** A new folder; it goes with this process. */
export function newHome (): string {
  if (root === undefined) {
    root = mkdtempSync(join(tmpdir(), 'tunpipe-test-'))
    reap('folder', root)
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
