/** Files that are replaced as a whole, and that one process uses at a time. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Logger } from '../../log.ts'
import { makeFolder } from '../folder.ts'
import { reason } from '../reason.ts'
import { listenUnix } from '../unix-socket.ts'

/** Milliseconds until the next attempt when a file cannot be written: the disk is full, say. */
export const RETRY = 30_000

export interface Claim {
  readonly file: string
  /** Others may use it from now on. */
  release (): Promise<void>
}

/** What to say when a file cannot be had. */
export interface ClaimWarnings {
  /** Nothing can be kept there, or anywhere. */
  notKept: string
  /** Another process uses it. */
  inUse: string
}

/**
 * Makes the folder of a file and keeps other processes from using it. Whatever is in the way is a warning.
 *
 * @param dir - undefined when no folder is known
 * @returns undefined when there is no such file for this process
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

/** Replaces a file atomically: a reader sees the old text or the new one, also after a power failure. */
export function replaceFile (file: string, text: string): void {
  const temporary = `${file}.new`
  try {
    const fd = openSync(temporary, 'w', 0o600)
    try {
      writeSync(fd, text)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, file)
  } catch (err) {
    rmSync(temporary, { force: true })
    throw err
  }
}

/** The same without holding up anything else. */
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
