import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { codeOf } from './reason.ts'

/**
 * Makes a folder for its owner only, with missing parents. Node's recursive `mkdir` never returns where nothing can be created, as in
 * `/proc`.
 *
 * @throws an error of the system
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
