/** What the library needs of a logger; any `pino` logger fits. Secrets are never handed to it. */
export interface Logger {
  debug (fields: object, message: string): void
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
  error (fields: object, message: string): void
}

/** The default of every `log` option: a library is silent unless asked. */
export const silent: Logger = { debug () {}, info () {}, warn () {}, error () {} }
