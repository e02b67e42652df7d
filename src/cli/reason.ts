import { errnoOf } from '../net/native/errno.ts'
import { withoutLocal } from '../errors.ts'

/** An error in few words: `no such file or directory` rather than `ENOENT: no such file or directory, open 'x'`. */
export function reason (err: unknown): string {
  if (!(err instanceof Error)) return String(err)
  const { errno } = err as NodeJS.ErrnoException
  const [name, text] = errno === undefined ? [] : errnoOf(-errno)
  return text !== undefined && name !== 'EUNKNOWN' ? text : withoutLocal(err.message).replaceAll(/\s*\n\s*/g, ' ')
}

/** Errors with a code are foreseen: their text is enough. Without one it is a defect of this program. */
export function codeOf (err: unknown): string | undefined {
  const code = err instanceof Error ? (err as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : undefined
}

/** The same error with what it kept us from doing in front: `cannot listen on ws://127.0.0.1:80: permission denied`. */
export function explained (err: unknown, what: string): unknown {
  if ((err as NodeJS.ErrnoException).errno === undefined) return err // not of the system: its text stands on its own
  return Object.assign(new Error(`${what}: ${reason(err)}`, { cause: err }), { code: codeOf(err) })
}
