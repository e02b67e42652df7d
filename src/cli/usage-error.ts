/**
 * What the user typed or wrote cannot work: bad usage or a bad configuration. The text is one line that says which key,
 * what was wrong and what is allowed; it is all that the user gets to see, with exit code 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code = 'ERR_USAGE'
}
