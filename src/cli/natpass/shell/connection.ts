/** What a terminal is attached to. */
import { CodedError } from '../../../errors.ts'
import type { OpenedShell } from '../../../nodes/natpass/index.ts'
import type { Link } from '../../../types.ts'

/** A shell of another client, by a page or by a connection of our own. `abort` of its link ends it. */
export interface ShellConnection extends Pick<OpenedShell, 'resize' | 'exited'> {
  readonly link: Pick<Link, 'source' | 'sink' | 'abort'>
}

/** What is said while a shell is being attached to again, and then. */
export const LOST = 'the connection to the shell is lost, trying again'
export const BACK = 'attached again'

/** There is no shell, or not any more. */
export class ShellConnectionError extends CodedError<'ERR_SHELL_CONNECTION'> {
  override readonly name = 'ShellConnectionError'

  constructor (message: string, options?: ErrorOptions) { super('ERR_SHELL_CONNECTION', message, options) }
}

/** Says who refuses: the reason is in the words of the other end, or of the server. */
export const notOpened = (target: string, cause: Error): ShellConnectionError =>
  new ShellConnectionError(`no shell of ${target}: ${cause.message}`, { cause })
