import { pino, type Logger } from 'pino'
import { prettyFactory } from 'pino-pretty'

export interface LoggerInit {
  level: string
  json: boolean
  /** Never to appear in the log, whatever happens: a second net, since nobody hands them to the logger in the first place. */
  secrets?: readonly string[]
  /** Default: stderr. */
  write?: (line: string) => void
  /** For people rather than programs. Default: when stderr is a terminal. */
  pretty?: boolean
}

const SECRET_KEYS = ['password', 'secret', 'token', 'key', 'authorization']

/** Shorter ones occur in words by chance. */
const SHORTEST_SECRET = 6

/**
 * Writes line by line and at once, so that the last words of a process are not lost: pretty on a terminal, JSON lines
 * otherwise.
 */
export function createLogger ({ level, json, secrets = [], write = writeToStderr, pretty = process.stderr.isTTY }: LoggerInit): Logger {
  const format = pretty && !json ? prettyFactory({ colorize: process.env.NO_COLOR === undefined, ignore: 'pid,hostname', singleLine: true }) : (line: string) => line
  const conceal = concealer(secrets)
  const redact = { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[redacted]' }
  return pino({ level, redact }, { write: (line: string) => { write(conceal(format(line))) } })
}

/** Replaces the secrets in a line. Digits alone are let through, as a JSON line without its numbers is none. */
function concealer (secrets: readonly string[]): (line: string) => string {
  const hidden = secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET && !/^[\d.,:{}[\]+-]*$/.test(secret))
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
  return hidden.length === 0 ? (line) => line : (line) => hidden.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), line)
}

function writeToStderr (line: string): void {
  process.stderr.write(line)
}
