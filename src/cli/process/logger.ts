import { createRequire } from 'node:module'
import { pino, type Logger } from 'pino'
import { stderrLines } from './bounded-lines.ts'
import { Redactor } from './redactor.ts'

export interface LoggerInit {
  level: string
  json: boolean
  /** Removes secrets from each line. */
  redactor?: Redactor
  /** Default: stderr. */
  write?: (line: string) => void
  /** For people rather than programs. Default: when stderr is a terminal. */
  pretty?: boolean
}

const SECRET_KEYS = ['password', 'secret', 'token', 'key', 'authorization']

/**
 * Writes each line at once, so that the last lines of a process are not lost: pretty on a terminal, JSON lines otherwise.
 */
export function createLogger ({ level, json, redactor = new Redactor(), write = writeToStderr, pretty = process.stderr.isTTY }: LoggerInit): Logger {
  const format = pretty && !json ? prettyFormat() : (line: string) => line
  const redact = { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[redacted]' }
  return pino({ level, redact }, { write: (line: string) => { write(redactor.redact(format(line))) } })
}

/** Loaded only where it is used. */
function prettyFormat (): (line: string) => string {
  const { prettyFactory }: typeof import('pino-pretty') = createRequire(import.meta.url)('pino-pretty')
  return prettyFactory({ colorize: process.env.NO_COLOR === undefined, ignore: 'pid,hostname', singleLine: true })
}

function writeToStderr (line: string): void {
  stderrLines.write(line)
}
