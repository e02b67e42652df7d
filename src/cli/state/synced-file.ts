/** Files whose text is on the disk when a call returns. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'

/** Writes a file for its owner alone. @param flags `w`: what is there is replaced; `wx`: the file has to be new */
export function writeSynced (file: string, text: string, flags: 'w' | 'wx'): void {
  const fd = openSync(file, flags, 0o600)
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Syncs a folder, as the name of a new file has to reach the disk as well. */
export function syncFolder (folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
