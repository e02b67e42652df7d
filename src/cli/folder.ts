import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { codeOf } from './reason.ts'

/**
 * Makes a folder for its owner, with all those above it that are missing. Throws what the system says. The recursive `mkdir` of Node
 * would never return where nothing can be made, as in `/proc`.
 */
export function makeFolder (path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (err) {
    if (codeOf(err) === 'EEXIST' && statSync(path).isDirectory()) return
    if (codeOf(err) !== 'ENOENT' || dirname(path) === path) throw err
    makeFolder(dirname(path))
    mkdirSync(path, { mode: 0o700 })
  }
}
