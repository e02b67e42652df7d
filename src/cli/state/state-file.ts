/** Files that are replaced atomically, with a claim that keeps other processes out. */
import { renameSync, rmSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Logger } from '../../log.ts'
import { makeFolder } from '../folder.ts'
import { reason } from '../reason.ts'
import { listenUnix } from '../unix-socket.ts'
import { writeSynced } from './synced-file.ts'

/** Milliseconds until the next attempt to write a file, when the disk is full for example. */
export const RETRY = 30_000

export interface Claim {
  readonly file: string
  /** Releases the claim. */
  release (): Promise<void>
}

/** The warnings for a file that cannot be used. */
export interface ClaimWarnings {
  /** It cannot be written. */
  notKept: string
  /** Another process has claimed it. */
  inUse: string
}

/**
 * Makes the folder of a file and claims the file for this process. Failures are warnings.
 *
 * @param dir - undefined when there is no default folder
 * @returns undefined when this process cannot use the file
 */
export async function claimFile (dir: string | undefined, path: string, log: Logger, { notKept, inUse }: ClaimWarnings): Promise<Claim | undefined> {
  if (dir === undefined) {
    log.warn({ reason: 'this user has no home folder' }, notKept)
    return undefined
  }
  const file = join(dir, path)
  try {
    makeFolder(dirname(file))
    const lock = await listenUnix(`${file}.lock`, (socket) => { socket.destroy() })
    if (lock !== undefined) return { file, release: lock.close }
    log.warn({ file }, inUse)
  } catch (err) {
    log.warn({ file, reason: reason(err) }, notKept)
  }
  return undefined
}

/** Replaces a file atomically: after a power failure it has the old or the new text. */
export function replaceFile (file: string, text: string): void {
  const temporary = `${file}.new`
  try {
    writeSynced(temporary, text, 'w')
    renameSync(temporary, file)
  } catch (err) {
    rmSync(temporary, { force: true })
    throw err
  }
}

/** The same, asynchronously. */
export async function replaceFileLater (file: string, text: string): Promise<void> {
  const temporary = `${file}.new`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (err) {
    await rm(temporary, { force: true })
    throw err
  }
}
