import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { codeOf, reason } from '../reason.ts'
import { UsageError } from '../usage-error.ts'

/** Between two looks at a pipe that is empty so far, and how long that may go on: whoever reads does nothing else meanwhile. */
const RETRY_MS = 20
const READ_TIMEOUT_MS = 15_000

/**
 * Reads a whole text file that the user named. Also takes pipes such as `/dev/stdin`, and waits for what writes to them. Throws
 * `UsageError` when it cannot be read, is a pipe that nobody writes to, is larger than the limit or is not UTF-8.
 *
 * @param key - how the user named it: `--config`, or `relay.yaml:4: candy.password-file`
 */
export function readBounded (file: string, key: string, limit: number): string {
  return textOf(readBoundedBytes(file, key, limit), file, key)
}

/** Throws `UsageError` when it is not UTF-8. */
export function textOf (bytes: Uint8Array, file: string, key: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new UsageError(`${key}: not text (${JSON.stringify(file)}), expected UTF-8`)
  }
}

/** The same, whatever is in it. */
export function readBoundedBytes (file: string, key: string, limit: number): Buffer {
  try {
    return readUpTo(file, key, limit)
  } catch (err) {
    if (err instanceof UsageError) throw err
    throw new UsageError(`${key}: cannot be read (${JSON.stringify(file)}): ${reason(err)}`)
  }
}

function readUpTo (file: string, key: string, limit: number): Buffer {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK) // or a named pipe would hold us until somebody writes
  try {
    const bytes = Buffer.alloc(limit + 1)
    let length = 0
    const deadline = performance.now() + READ_TIMEOUT_MS
    for (let got = -1; got !== 0 && length <= limit; length += got) {
      got = readPatiently(fd, bytes.subarray(length), deadline)
      if (got < 0) throw new UsageError(`${key}: a pipe that somebody holds open and writes nothing to (${JSON.stringify(file)})`)
    }
    if (length === 0 && fstatSync(fd).isFIFO()) throw new UsageError(`${key}: a pipe that nobody writes to (${JSON.stringify(file)})`)
    if (length > limit) throw new UsageError(`${key}: too large (${JSON.stringify(file)}), expected at most ${limit / 1024} KiB`)
    return bytes.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}

/** Reads what there is, and waits while there is nothing: with `O_NONBLOCK` that means that somebody has yet to write. -1 when that takes too long. */
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

/** True when others than its owner may read it; a device or a pipe is nobody's file. */
export function readableByOthers (file: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat !== undefined && stat.isFile() && (stat.mode & 0o044) !== 0
}
