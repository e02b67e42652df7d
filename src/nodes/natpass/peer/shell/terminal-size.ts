/** The size of a terminal. */
import { ShellError } from './shell-error.ts'

/** In characters. */
export interface TerminalSize {
  readonly rows: number
  readonly cols: number
}

/** The system has 16 bits for each. */
const MAX = 0xffff

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= MAX

/** @throws {ShellError} `ERR_SHELL_SIZE` unless rows and columns are 1 to 65535 */
export function verifySize (rows: number, cols: number): TerminalSize {
  if (!isCount(rows) || !isCount(cols)) throw new ShellError('ERR_SHELL_SIZE', `a terminal has 1 to ${MAX} rows and columns, not ${rows} x ${cols}`)
  return { rows, cols }
}
