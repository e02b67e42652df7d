import { errnoOf } from '../net/native/errno.ts'
import { oneLine } from '../text/printable.ts'

/** The text of an error without code, system call and path: `no such file or directory` for `ENOENT: no such file or directory, open 'x'`. */
export function reason (err: unknown): string {
  if (!(err instanceof Error)) return String(err)
  const { errno } = err as NodeJS.ErrnoException
  const [name, text] = errno === undefined ? [] : errnoOf(-errno)
  return text !== undefined && name !== 'EUNKNOWN' ? text : oneLine(err.message)
}

/** The code of an error. An error with a code is expected, and its text suffices; one without is a bug. */
export function codeOf (err: unknown): string | undefined {
  const code = err instanceof Error ? (err as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : undefined
}

/** The same error with a prefix that says what failed: `cannot listen on ws://127.0.0.1:80: permission denied`. */
export function explained (err: unknown, what: string): unknown {
  if ((err as NodeJS.ErrnoException).errno === undefined) return err // not an error of the system: its text needs no prefix
  return Object.assign(new Error(`${what}: ${reason(err)}`, { cause: err }), { code: codeOf(err) })
}
