/** Answers of the page: to a request, and to an upgrade that is refused. */
import { STATUS_CODES, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { LinkClosedError } from '../../../../errors.ts'

/** xterm.js sets its colours and sizes by style elements; scripts are files of ours alone. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/** Of answers that a page of ours may show in a frame. */
export const FRAMED: OutgoingHttpHeaders = { 'content-security-policy': POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'"), 'x-frame-options': 'SAMEORIGIN' }

const HEADERS: OutgoingHttpHeaders = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin', // without any a browser sends no origin with a form either
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store'
}

export const HTML = 'text/html; charset=utf-8'
export const JSON_TYPE = 'application/json'
export const TEXT = 'text/plain; charset=utf-8'

/** Answers, and ends the connection after an error: what the request still sends is not read. */
export function answer (response: ServerResponse, status: number, body: string | Uint8Array, headers: OutgoingHttpHeaders = {}): void {
  const isError = status >= 400
  response.writeHead(status, { ...HEADERS, 'content-type': TEXT, 'content-length': Buffer.byteLength(body), ...(isError ? { connection: 'close' } : {}), ...headers })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** Aborted when nobody waits for the answer any more. */
export function whenGone (response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => { gone.abort(new LinkClosedError('the client is gone')) })
  return gone.signal
}

/** Refuses an upgrade, and ends the connection. */
export function refuseUpgrade (socket: Duplex, status: number): void {
  socket.on('error', () => {})
  socket.once('finish', () => { socket.destroy() })
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
}
