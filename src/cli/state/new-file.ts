/** Files that are there as a whole or not at all, also after a power failure. */
import { randomBytes } from 'node:crypto'
import { closeSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { codeOf } from '../reason.ts'
import { syncFolder, writeSynced } from './synced-file.ts'

/** What systems say where files have one name only. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/**
 * Writes a file for its owner alone.
 *
 * @param overwrite - a file that is there is replaced
 * @throws an error of the system: `EEXIST` when there is one that may not be replaced
 */
export function placeFile (file: string, text: string, overwrite: boolean): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    writeSynced(temporary, text, 'wx')
    if (overwrite) renameSync(temporary, file)
    else give(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
  syncFolder(dirname(file))
}

/** Gives a file its name, unless another one has it. */
function give (temporary: string, file: string): void {
  try {
    linkSync(temporary, file)
  } catch (err) {
    if (!NO_LINKS.includes(codeOf(err) ?? '')) throw err
    closeSync(openSync(file, 'wx', 0o600)) // takes the name, where files have one only
    renameSync(temporary, file)
  }
}
