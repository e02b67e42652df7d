/**
 * An error in the command line or the configuration. The message is one line that says which key, what was wrong and what is
 * expected; it is printed alone, and the exit code is 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code = 'ERR_USAGE'
}
