import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { codeOf, reason } from '../reason.ts'
import { UsageError } from '../usage-error.ts'

/** Between two reads of an empty pipe, and for all of them: the process blocks meanwhile. */
const RETRY_MS = 20
const READ_TIMEOUT_MS = 15_000

/**
 * Reads a whole text file that the user named. Also takes pipes such as `/dev/stdin`, and waits for their writer.
 *
 * @param key - how the user named it: `--config`, or `relay.yaml:4: candy.password-file`
 * @throws {UsageError} when it cannot be read, is a pipe without a writer, is larger than the limit, or is not UTF-8
 */
export function readBounded (file: string, key: string, limit: number): string {
  return textOf(readBoundedBytes(file, key, limit), file, key)
}

/** @throws {UsageError} when the bytes are not UTF-8 */
export function textOf (bytes: Uint8Array, file: string, key: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new UsageError(`${key}: not text (${JSON.stringify(file)}), expected UTF-8`)
  }
}

/** The same without the check for UTF-8. */
export function readBoundedBytes (file: string, key: string, limit: number): Buffer {
  try {
    return readUpTo(file, key, limit)
  } catch (err) {
    if (err instanceof UsageError) throw err
    throw new UsageError(`${key}: cannot be read (${JSON.stringify(file)}): ${reason(err)}`)
  }
}

function readUpTo (file: string, key: string, limit: number): Buffer {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK) // a named pipe without a writer would block otherwise
  try {
    const bytes = Buffer.alloc(limit + 1)
    let length = 0
    const deadline = performance.now() + READ_TIMEOUT_MS
    for (let got = -1; got !== 0 && length <= limit; length += got) {
      got = readPatiently(fd, bytes.subarray(length), deadline)
      if (got < 0) throw new UsageError(`${key}: a pipe that is open for writing, but has no data (${JSON.stringify(file)})`)
    }
    if (length === 0 && fstatSync(fd).isFIFO()) throw new UsageError(`${key}: a pipe that nobody writes to (${JSON.stringify(file)})`)
    if (length > limit) throw new UsageError(`${key}: too large (${JSON.stringify(file)}), expected at most ${limit / 1024} KiB`)
    return bytes.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}

/** Reads what is available, and retries on `EAGAIN`: the pipe has a writer that has not written yet. -1 after the deadline. */
function readPatiently (fd: number, bytes: Buffer, deadline: number): number {
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    try {
      return readSync(fd, bytes, 0, bytes.length, null)
    } catch (err) {
      if (codeOf(err) !== 'EAGAIN') throw err
      if (performance.now() > deadline) return -1
      Atomics.wait(clock, 0, 0, RETRY_MS)
    }
  }
}

/** Whether other users than the owner may read a regular file; false for devices and pipes. */
export function readableByOthers (file: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat !== undefined && stat.isFile() && (stat.mode & 0o044) !== 0
}
