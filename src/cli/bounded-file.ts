import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { reason } from './reason.ts'
import { UsageError } from './usage-error.ts'

/**
 * Reads a whole text file that the user named. Also takes pipes such as `/dev/stdin`. Throws `UsageError` when it cannot be
 * read, is larger than the limit or is not UTF-8.
 *
 * @param key - how the user named it: `--config`, or `relay.yaml:4: candy.password-file`
 */
export function readBounded (file: string, key: string, limit: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readUpTo(file, key, limit))
  } catch (err) {
    if (err instanceof UsageError) throw err
    throw new UsageError(err instanceof TypeError
      ? `${key}: not text (${JSON.stringify(file)}), expected UTF-8`
      : `${key}: cannot be read (${JSON.stringify(file)}): ${reason(err)}`)
  }
}

function readUpTo (file: string, key: string, limit: number): Buffer {
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(limit + 1)
    let length = 0
    for (let got = -1; got !== 0 && length <= limit; length += got) got = readSync(fd, bytes, length, bytes.length - length, null)
    if (length > limit) throw new UsageError(`${key}: too large (${JSON.stringify(file)}), expected at most ${limit / 1024} KiB`)
    return bytes.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}

/** True when others than its owner may read it; a device or a pipe is nobody's file. */
export function readableByOthers (file: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat !== undefined && stat.isFile() && (stat.mode & 0o044) !== 0
}
