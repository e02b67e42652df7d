/** Why a shell cannot be opened. */
import { CodedError } from '../../../../errors.ts'

export type ShellErrorCode =
  | 'ERR_SHELL_PTY' // the optional package `@lydell/node-pty` is not installed
  | 'ERR_SHELL_PLATFORM' // this system has no terminals that can be opened here
  | 'ERR_SHELL_NONE' // no program was asked for, and there is no shell
  | 'ERR_SHELL_ENVIRONMENT' // the environment is malformed or too large
  | 'ERR_SHELL_SIZE' // rows or columns are out of range
  | 'ERR_SHELL_START' // the program cannot be started; the text is that of the system

/** Raised before a shell is there; nothing is left behind. */
export class ShellError extends CodedError<ShellErrorCode> {
  override readonly name = 'ShellError'
}
