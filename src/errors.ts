/** Errors that more than one folder raises. Each has a stable `code`; the text is for people. */

/** The base of errors that share a class and are told apart by their code. */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code

  constructor (code: Code, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A stream ended inside a frame. */
export class TruncatedError extends Error {
  override readonly name = 'TruncatedError'
  readonly code = 'ERR_TRUNCATED'
}

/** The link has ended, so it can neither be read nor written. */
export class LinkClosedError extends Error {
  override readonly name = 'LinkClosedError'
  readonly code = 'ERR_LINK_CLOSED'
}

/** An option has a value that cannot work. Raised where the option is given, never later. */
export class OptionError extends TypeError {
  override readonly name = 'OptionError'
  readonly code = 'ERR_OPTION'
  /** The name of the option; undefined when only the message says it. */
  readonly option: string | undefined
  /** What is wrong with the value, without the name of the option; undefined when `option` is. */
  readonly detail: string | undefined

  constructor (message: string, field?: { option: string, detail: string }) {
    super(message)
    this.option = field?.option
    this.detail = field?.detail
  }
}

/** A link is written by one `sink` at a time. */
export class LinkBusyError extends Error {
  override readonly name = 'LinkBusyError'
  readonly code = 'ERR_LINK_BUSY'
}

/** The other side has reset the link, not the connection below. */
export class LinkResetError extends Error {
  override readonly name = 'LinkResetError'
  readonly code = 'ERR_LINK_RESET'
  /** A code of the other side, where the protocol has one: `ResetCode` of links of a `LinkMux`. */
  readonly reason: number | undefined

  constructor (message: string, reason?: number) {
    super(message)
    this.reason = reason
  }
}
