/** Which protocol a connection speaks that was to speak another one: recognised by its first bytes, and told in words. */
import { printable } from '../text/printable.ts'

export type Protocol = 'TLS' | 'HTTP' | 'SSH' | 'PROXY' | 'gotunnel' | 'WebSocket' | 'text' | 'unknown'

export interface DetectedProtocol {
  protocol: Protocol
  /** What it says of itself: the first line of SSH and of other text, the first bytes of what is not known. */
  banner?: string
}

/** Bytes of a banner that are shown. */
const MAX_BANNER = 60

/** Content types of a TLS record: change of cipher, alert, handshake, data (RFC 8446, section 5.1). */
const TLS_TYPES = { least: 0x14, most: 0x17 } as const

/** The beginning of a PROXY header of version 2. */
const PROXY_2 = '\r\n\r\n\0\r\nQUIT\n'

/**
 * The protocol of these bytes, the first ones that came.
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

/** Whether these bytes may begin a record of TLS; one byte is enough to say no. */
export function isTls (bytes: Uint8Array): boolean {
  const [type, major] = bytes
  return type >= TLS_TYPES.least && type <= TLS_TYPES.most && (bytes.length < 2 || major === 3)
}

const lineOf = (text: string): string => printable(/^[^\r\n]*/.exec(text)?.[0] ?? '', MAX_BANNER)

const WORDS: Readonly<Record<Protocol, string>> = {
  TLS: 'TLS', HTTP: 'HTTP', SSH: 'SSH', PROXY: 'the PROXY protocol', gotunnel: 'gotunnel', WebSocket: 'WebSocket without its HTTP request', text: 'plain text', unknown: 'an unknown protocol'
}

/** `SSH (SSH-2.0-OpenSSH_9.6)`. */
export function protocolText ({ protocol, banner }: DetectedProtocol): string {
  return banner === undefined || banner === '' ? WORDS[protocol] : `${WORDS[protocol]} (${banner})`
}

/** Somebody is at the other end, who speaks another protocol. */
export class ForeignProtocolError extends Error {
  override readonly name = 'ForeignProtocolError'
  readonly code = 'ERR_FOREIGN_PROTOCOL'
}

/** How a connection was tried, and what to try in its place. */
export interface DialAttempt {
  /** The protocol that the server was to speak: `WebSocket`. */
  wanted: string
  isTls: boolean
  /** What to do when it speaks TLS: `try wss://`. */
  tls: string
  /** And when it does not: `try ws://`. */
  plain: string
}

/** For bytes that came from a server in place of an answer. */
export function foreignServer (bytes: Uint8Array, { wanted, tls }: DialAttempt, cause?: unknown): ForeignProtocolError {
  const detected = detectProtocol(bytes)
  const text = detected.protocol === 'TLS' ? `the server speaks TLS: ${tls}` : `the server speaks ${protocolText(detected)}, not ${wanted}`
  return new ForeignProtocolError(text, { cause })
}

/** What OpenSSL says of bytes that are no TLS, by its versions. */
const NO_TLS = /:SSL routines:[^:]*:(?:wrong version number|packet length too long|http request|record layer failure):/

/** Whether a server has answered TLS with something else. */
export const isNoTls = (err: Error): boolean => NO_TLS.test(err.message)

/** Why a handshake has failed, out of a line of OpenSSL that names its source files as well. */
const opensslReason = (message: string): string | undefined => /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1]

/** @param bytes what it has said, when that is known */
function noTls (bytes: Uint8Array | undefined, { wanted, plain }: DialAttempt, cause: Error): ForeignProtocolError {
  const detected: DetectedProtocol = bytes === undefined ? { protocol: 'text' } : detectProtocol(bytes)
  const { protocol } = detected
  // a server of WebSocket is first of all one of HTTP
  const mayBeWanted = bytes === undefined || protocol === 'unknown' || protocol === (wanted === 'WebSocket' ? 'HTTP' : wanted)
  return new ForeignProtocolError(`the server speaks ${protocolText(detected)}, not TLS${mayBeWanted ? `: ${plain}` : ''}`, { cause })
}

/**
 * The error of a connection that was not made, in words that say what to try when the server seems to speak another protocol; the
 * same error when it does not.
 */
export function explainedDial (err: Error, tried: DialAttempt): Error {
  const { code: given, rawPacket } = err as Error & { code?: unknown, rawPacket?: Uint8Array }
  const code = typeof given === 'string' ? given : '' // a DOMException has a number
  const { wanted, isTls, tls, plain } = tried
  const reason = isTls ? opensslReason(err.message) : undefined
  if (reason !== undefined) {
    return isNoTls(err) ? noTls(rawPacket, tried, err) : Object.assign(new Error(`the TLS handshake has failed: ${reason}`, { cause: err }), { code })
  }
  if (!isTls && code.startsWith('HPE_') && rawPacket !== undefined) return foreignServer(rawPacket, tried, err)
  if (code !== 'ECONNRESET') return err
  // Servers that were spoken to in another protocol leave without a word, or with a reset.
  const guess = isTls ? `does not speak TLS (then ${plain})` : `speaks TLS (then ${tls}) or is no ${wanted} server`
  const what = isTls ? 'during the TLS handshake' : 'without an answer'
  return Object.assign(new Error(`the server has ended the connection ${what}: perhaps it ${guess}`, { cause: err }), { code })
}
