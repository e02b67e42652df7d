/** Files that are replaced as a whole, and that one process uses at a time. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { listenUnix, type UnixServer } from '../unix-socket.ts'

/** @returns undefined when another process uses it. Rejects when the folder does not let anyone make a lock. */
export const lockFile = (file: string): Promise<UnixServer | undefined> => listenUnix(`${file}.lock`, (socket) => { socket.destroy() })

/** Whoever reads the file sees the old text or the new one, also after a power failure. */
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
