/** Reports failures of a peer in the form of the original's documentation (gotunnel protocol, section 7). */
import type { Logger as Pino } from 'pino'
import { AUTHENTICATION_FAILED, CONNECT_FAILED, ConnectError, RefusedError, type GotunnelRefusal } from '../../nodes/gotunnel/index.ts'
import { stderrLines } from '../process/bounded-lines.ts'
import { Redactor } from '../process/redactor.ts'
import type { Output } from '../process/output.ts'
import type { StartContext } from '../protocol.ts'
import { codeOf, reason } from '../reason.ts'
import { printable } from '../../text/printable.ts'

const TEXTS: Readonly<Record<number, string>> = {
  [CONNECT_FAILED]: 'Failed to connect to server',
  [AUTHENTICATION_FAILED]: 'Authentication failed'
}

/** Advice for a rejection. */
const HINTS: Readonly<Partial<Record<GotunnelRefusal, string>>> = {
  token: 'compare the token with that of the server',
  mode: 'leave out --mode compatible',
  no_strict: 'leave out --mode strict, or use a relay of tunpipe',
  port: 'have the server allow it (--ports there, and the right to listen on it), or take another port in --map',
  name: 'give this peer another --name',
  replaced: 'end the other one, or take another port in --map'
}

const UNTRUSTED = 'a certificate of your own is trusted with --ca FILE'

/** Advice for certificate errors, by the codes of Node. A server of another protocol is reported elsewhere. */
const TROUBLES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name: use that in --server'
}

/** A `ConnectError` has the error of the connection as its cause. */
const troubleOf = (err: Error): string | undefined => TROUBLES[codeOf(err.cause) ?? '']

const MAX_TEXT = 200

export class Reporter {
  readonly #log: Pino
  readonly #out: Output
  readonly #redactor: Redactor

  constructor ({ secrets, log, out }: Pick<StartContext<unknown>, 'secrets' | 'log' | 'out'>) {
    this.#log = log
    this.#out = out
    this.#redactor = new Redactor(secrets)
  }

  /** A connection was lost or could not be made; the next attempt follows after `wait` milliseconds. */
  offline (port: number, err: Error, wait: number): void {
    const text = textOf(err)
    const trouble = troubleOf(err)
    const fields = { port, reason: text, wait: Math.round(wait), ...(trouble === undefined ? {} : { hint: trouble }) }
    const number = numberOf(err)
    if (number === undefined) this.#log.warn(fields, 'offline')
    else this.#fail(number, trouble === undefined ? text : `${text}; ${trouble}`, `port ${port} tries again in ${(wait / 1000).toFixed(1)} s`, fields)
  }

  /** The server has rejected a port; it is tried again after `wait` milliseconds, or never. */
  refused (port: number, err: RefusedError, wait: number | undefined): void {
    const text = textOf(err)
    const fields = { port, reason: text, ...(wait === undefined ? {} : { wait: Math.round(wait) }) }
    const number = numberOf(err)
    if (number === undefined) this.#log.error(fields, wait === undefined ? 'the server refuses this port for good' : 'the server refuses this port, which is tried again seldom')
    else this.#fail(number, text, wait === undefined ? `port ${port} is given up` : `port ${port} tries again in ${Math.round(wait / 1000)} s`, fields)
  }

  /** The error that ends the process, with advice. */
  failure (err: RefusedError): Error {
    const text = textOf(err)
    const hint = HINTS[err.reason]
    return Object.assign(new Error(`the server has refused every port for good: ${text}${hint === undefined ? '' : `; ${hint}`}`, { cause: err }), { code: 'ERR_GOTUNNEL_REFUSED' })
  }

  #fail (number: number, detail: string, consequence: string, fields: object): void {
    // the text of the server would only repeat the message
    const message = `${TEXTS[number]}: ${number === AUTHENTICATION_FAILED ? 'the server does not know this token' : detail}`
    if (this.#out.isJson) {
      this.#log.error({ ...fields, code: number }, message)
      return
    }
    this.#log.debug(fields, message)
    if (this.#log.isLevelEnabled('error')) stderrLines.write(`${this.#redactor.redact(`[ERROR][${number}] ${message} (${consequence})`)}\n`)
  }
}

const numberOf = (err: Error): number | undefined => err instanceof ConnectError || err instanceof RefusedError ? err.number : undefined

const isTimeout = (err: unknown): boolean => err instanceof Error && err.name === 'TimeoutError'

/** The text may come from a server: it is escaped, on one line, and bounded. */
export const textOf = (err: Error): string => printable(isTimeout(err) || isTimeout(err.cause) ? 'no answer in time' : reason(err), MAX_TEXT)
