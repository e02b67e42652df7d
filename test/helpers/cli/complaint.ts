import type { Test } from 'tap'

/** The one line with which it ends; that it ends with one, and with exit code 2, is checked on the way. */
export function complaint (t: Test, action: () => unknown): string {
  try {
    action()
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    t.equal(code, 'ERR_USAGE', message)
    t.notMatch(message, /\n/)
    return message
  }
  return 'no complaint'
}
