/** Detects by its first bytes which protocol a connection speaks, and explains it in error texts. */
import { printable } from '../text/printable.ts'

/** Protocols that their first bytes tell. */
export type Protocol = 'TLS' | 'HTTP' | 'SSH' | 'PROXY' | 'gotunnel' | 'WebSocket' | 'text' | 'unknown'

/** What the first bytes of a connection are. */
export interface DetectedProtocol {
  protocol: Protocol
  /** The first line of SSH and of other text, the first bytes of an unknown protocol. */
  banner?: string
}

/** Maximum bytes of a banner. */
const MAX_BANNER = 60

/** Content types of a TLS record: change_cipher_spec, alert, handshake, application_data (RFC 8446, section 5.1). */
const TLS_TYPES = { least: 0x14, most: 0x17 } as const

/** The signature of a PROXY header of version 2. */
const PROXY_2 = '\r\n\r\n\0\r\nQUIT\n'

/**
 * The protocol that begins with these bytes.
 *
 * ```ts
 * detectProtocol(Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')) // { protocol: 'SSH', banner: 'SSH-2.0-OpenSSH_9.6' }
 * ```
 */
export function detectProtocol (bytes: Uint8Array): DetectedProtocol {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 256)).toString('latin1')
  if (isTls(bytes)) return { protocol: 'TLS' }
  if (/^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) |^HTTP/.test(text)) return { protocol: 'HTTP' }
  if (text.startsWith('SSH-')) return { protocol: 'SSH', banner: lineOf(text) }
  if (/^PROXY /.test(text) || text.startsWith(PROXY_2)) return { protocol: 'PROXY' }
  if (/^\0\0[^]{2}\{/.test(text)) return { protocol: 'gotunnel' }
  if (/^[\x81\x82\x88-\x8a][\x80-\xff]/.test(text)) return { protocol: 'WebSocket' }
  if (/^[\x20-\x7e\t\r\n]{4}/.test(text)) return { protocol: 'text', banner: lineOf(text) }
  return { protocol: 'unknown', banner: `first bytes ${Buffer.from(bytes.subarray(0, 4)).toString('hex')}` }
}

/** Whether a TLS record may begin with these bytes; one byte can be enough to say no. */
export function isTls (bytes: Uint8Array): boolean {
  const [type, major] = bytes
  return type >= TLS_TYPES.least && type <= TLS_TYPES.most && (bytes.length < 2 || major === 3)
}

const lineOf = (text: string): string => printable(/^[^\r\n]*/.exec(text)?.[0] ?? '', MAX_BANNER)

const WORDS: Readonly<Record<Protocol, string>> = {
  TLS: 'TLS', HTTP: 'HTTP', SSH: 'SSH', PROXY: 'the PROXY protocol', gotunnel: 'gotunnel', WebSocket: 'WebSocket without its HTTP request', text: 'plain text', unknown: 'an unknown protocol'
}

/** Such as `SSH (SSH-2.0-OpenSSH_9.6)`. */
export function protocolText ({ protocol, banner }: DetectedProtocol): string {
  return banner === undefined || banner === '' ? WORDS[protocol] : `${WORDS[protocol]} (${banner})`
}

/** The server speaks another protocol. */
export class ForeignProtocolError extends Error {
  override readonly name = 'ForeignProtocolError'
  readonly code = 'ERR_FOREIGN_PROTOCOL'
}

/** How a connection was attempted, and hints for the error text. */
export interface DialAttempt {
  /** The expected protocol, such as `WebSocket`. */
  wanted: string
  isTls: boolean
  /** Hint when the server speaks TLS, such as `try wss://`. */
  tls: string
  /** Hint when it does not, such as `try ws://`. */
  plain: string
}

/** The error for bytes that came in place of an answer. */
export function foreignServer (bytes: Uint8Array, { wanted, tls }: DialAttempt, cause?: unknown): ForeignProtocolError {
  const detected = detectProtocol(bytes)
  const text = detected.protocol === 'TLS' ? `the server speaks TLS: ${tls}` : `the server speaks ${protocolText(detected)}, not ${wanted}`
  return new ForeignProtocolError(text, { cause })
}

/** Codes of OpenSSL, of several versions, for bytes that are not TLS. */
const NO_TLS: readonly unknown[] = ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST', 'ERR_SSL_RECORD_LAYER_FAILURE']

/** Whether the server has answered TLS with something else. */
export const isNoTls = (err: Error): boolean => NO_TLS.includes((err as NodeJS.ErrnoException).code)

/** What Node adds to an error of OpenSSL; the message contains source files as well. */
interface OpensslError extends Error {
  library?: string
  reason?: string
}

/** The reason of a failed handshake; undefined for errors that are not of OpenSSL's TLS. */
const opensslReason = ({ library, reason }: OpensslError): string | undefined => library === 'SSL routines' ? reason : undefined

/** @param bytes the first bytes of the server, when known */
function noTls (bytes: Uint8Array | undefined, { wanted, plain }: DialAttempt, cause: Error): ForeignProtocolError {
  const detected: DetectedProtocol = bytes === undefined ? { protocol: 'text' } : detectProtocol(bytes)
  const { protocol } = detected
  // a WebSocket server is an HTTP server first
  const mayBeWanted = bytes === undefined || protocol === 'unknown' || protocol === (wanted === 'WebSocket' ? 'HTTP' : wanted)
  return new ForeignProtocolError(`the server speaks ${protocolText(detected)}, not TLS${mayBeWanted ? `: ${plain}` : ''}`, { cause })
}

/** The error of a failed dial, with a hint when the server seems to speak another protocol; otherwise the same error. */
export function explainedDial (err: Error, tried: DialAttempt): Error {
  const { code: given, rawPacket } = err as Error & { code?: unknown, rawPacket?: Uint8Array }
  const code = typeof given === 'string' ? given : '' // a DOMException has a number
  const { wanted, isTls, tls, plain } = tried
  const reason = isTls ? opensslReason(err) : undefined
  if (reason !== undefined) {
    return isNoTls(err) ? noTls(rawPacket, tried, err) : Object.assign(new Error(`the TLS handshake has failed: ${reason}`, { cause: err }), { code })
  }
  if (!isTls && code.startsWith('HPE_') && rawPacket !== undefined) return foreignServer(rawPacket, tried, err)
  if (code !== 'ECONNRESET') return err
  // Servers of another protocol close the connection without an answer, or reset it.
  const guess = isTls ? `does not speak TLS (then ${plain})` : `speaks TLS (then ${tls}) or is no ${wanted} server`
  const what = isTls ? 'during the TLS handshake' : 'without an answer'
  return Object.assign(new Error(`the server has ended the connection ${what}: perhaps it ${guess}`, { cause: err }), { code })
}
