/**
 * The HTTP upgrade of a WebSocket (RFC 6455, section 4): `ws` does it, then hands its socket over. The result is a link of bytes, for the
 * layer `websocketFrames`.
 */
import { createServer as createHttp, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { connect, type Socket } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { acceptQueue, serverListener } from './acceptor.ts'
import { certificateSetter, type TlsListener } from './certificate.ts'
import { leftOf, type TimeLimit } from './connecting.ts'
import { accepted, DEFAULT_HANDSHAKE_TIMEOUT, endpointOf, connectionGuard, type ConnectionInfo } from './connection-guard.ts'
import { watchFirstBytes } from './first-read.ts'
import { race, type RaceResult } from './happy-eyeballs.ts'
import { explainedDial, detectProtocol, type DialAttempt } from './protocol-detection.ts'
import { streamLink } from './stream-link.ts'
import { keepAlive, verifySocket, type DialInit, type ListenInit, type SocketInit, type WireLink } from './tcp.ts'
import { startTls, serverOptions, type TlsClientInit, type TlsServerInit } from './tls.ts'
import { readUrl } from '../net/endpoint.ts'
import { CodedError, OptionError } from '../errors.ts'
import { verifyMilliseconds } from '../options.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock, Link } from '../types.ts'

/** Maximum bytes of request line and headers; a real client needs a few hundred. */
const MAX_REQUEST_HEAD = 8 * 1024

/** Options of {@link dialUpgraded}. */
export interface DialUpgradedInit extends SocketInit, DialInit, TlsClientInit {
  signal?: AbortSignal
  headers?: Record<string, string>
  /** Milliseconds for connection, TLS and upgrade together, for each address of a name. Default: 10 s. */
  handshakeTimeout?: number
}

/** Options of {@link listenUpgraded}. */
export interface ListenUpgradedInit extends ListenInit {
  /** Makes it `wss`. */
  tls?: TlsServerInit
  /** A bound socket, which is taken over; `host` and `port` are ignored then. */
  fd?: number
  /**
   * The client that a request names, for protocols that have a rule of their own in place of that of `X-Forwarded-For`. It is believed from
   * trusted proxies, or, where there are none, from anyone. Default: `X-Forwarded-For`, from trusted proxies.
   */
  clientOf?: (headers: IncomingHttpHeaders) => string | undefined
}

/** An accepted link, with the path of its request. */
export interface UpgradedLink extends Link, ConnectionInfo {
  readonly path: string
}

/** The server has answered, but not with an upgrade to WebSocket. */
export class UpgradeError extends CodedError<'ERR_UPGRADE' | 'ERR_UPGRADE_TIMEOUT'> {
  override readonly name = 'UpgradeError'
  /** The HTTP status of a rejection; undefined for any other error. */
  readonly status: number | undefined

  constructor (code: 'ERR_UPGRADE' | 'ERR_UPGRADE_TIMEOUT', message: string, status?: number) {
    super(code, message)
    this.status = status
  }
}

/** Records the listeners of a socket; the returned function removes those that were added since. */
function listenersOf (socket: Socket): () => void {
  const before = new Map(socket.eventNames().map((event) => [event, new Set(socket.rawListeners(event as string))]))
  return () => {
    for (const event of socket.eventNames()) {
      for (const listener of socket.rawListeners(event as string)) {
        if (before.get(event)?.has(listener) !== true) socket.removeListener(event as string, listener as () => void)
      }
    }
    socket.pause() // `ws` had set it flowing; it flows again when it is read
  }
}

/**
 * Connects and upgrades.
 *
 * @param url `ws://` or `wss://`; path and query are sent unchanged
 * @throws {OptionError} when an option is invalid; else an error of the system or of TLS, an {@link UpgradeError} with the HTTP status of a
 *   rejection, or the reason of the signal
 */
export async function dialUpgraded (url: string | URL, { signal, headers, handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT, queueLimit, keepAlive: silence, clock = systemClock, lookup, ...tls }: DialUpgradedInit = {}): Promise<WireLink> {
  const server = readUrl(String(url))
  if (server === undefined) throw Object.assign(new TypeError(`not a URL: ${String(url)}`), { code: 'ERR_INVALID_URL' })
  if (!/^wss?:$/.test(server.url.protocol) || server.url.hash !== '') throw new OptionError(`url has the form ws://host:port/path or wss://host:port/path, not ${String(url)}`)
  const init = { queueLimit, keepAlive: silence, clock }
  verifySocket(init)
  verifyMilliseconds('handshakeTimeout', handshakeTimeout)
  const limit = { milliseconds: handshakeTimeout, clock, error: () => new UpgradeError('ERR_UPGRADE_TIMEOUT', `no WebSocket after ${handshakeTimeout} ms`) }
  const dial = { to: { host: server.host, port: server.port }, signal, limit, lookup, clock }
  const isSecure = server.url.protocol === 'wss:'
  const tried = { wanted: 'WebSocket', isTls: isSecure, ...HINTS }
  const { socket, ends }: RaceResult<Socket> = await (isSecure
    ? startTls({ ...dial, init: tls, allowHalfOpen: false }).catch((err: Error) => { throw explainedDial(err, tried) })
    : race({ ...dial, open: (address) => connect({ ...address, noDelay: true }) }))
  await upgraded(socket, server.url, headers, signal, leftOf(limit, ends), clock, tried)
  keepAlive(socket, init)
  return Object.assign(streamLink(socket, init), { remote: endpointOf(socket) })
}

/** Upgrades a connection; settles when the server has agreed. Otherwise the connection is ended. */
async function upgraded (socket: Socket, url: URL, headers: Record<string, string> | undefined, signal: AbortSignal | undefined, limit: TimeLimit, clock: Clock, tried: DialAttempt): Promise<void> {
  const client = new WebSocket(url, { perMessageDeflate: false, headers, createConnection: () => socket })
  let reason: unknown
  const abandon = (why: unknown): void => {
    reason ??= why
    client.terminate()
  }
  const aborted = (): void => { abandon(signal?.reason) }
  signal?.addEventListener('abort', aborted, { once: true })
  // Not the time-out of `ws`, which restarts with every byte from the server.
  const timer = clock.set(limit.milliseconds, () => { abandon(limit.error()) })
  try {
    await new Promise<void>((resolve, reject) => {
      let release: () => void
      client.once('upgrade', () => { release = listenersOf(socket) })
      client.once('open', () => {
        release()
        client.removeAllListeners()
        socket.on('error', () => {}) // until the link adds its own
        resolve()
      })
      client.on('error', (err) => { reject(reason ?? ('code' in err ? explainedDial(err, tried) : new UpgradeError('ERR_UPGRADE', err.message))) })
      client.on('unexpected-response', (_request, { statusCode = 0 }) => { abandon(new UpgradeError('ERR_UPGRADE', rejectionText(statusCode, tried), statusCode)) })
      if (signal?.aborted === true) aborted()
    })
  } finally {
    clock.clear(timer)
    signal?.removeEventListener('abort', aborted)
  }
}

/** Hints for a wrong scheme of the URL. */
const HINTS = { tls: 'try wss://', plain: 'try ws://' }

/** Explains the HTTP status of an answer that is not an upgrade. */
function rejectionText (status: number, { isTls }: { isTls: boolean }): string {
  return `the server speaks HTTP, but not WebSocket at this URL: status ${status}${status === 400 && !isTls ? ' (as of servers that want TLS: try wss://)' : ''}`
}

/** Rejects an upgrade, and ends the connection. */
function reject (socket: Socket): void {
  socket.on('error', () => {})
  socket.once('finish', () => { socket.destroy() })
  socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
}

/** What Node does without a listener of this event. It is also emitted for failed TLS handshakes. */
function rejectRequest ({ code = '' }: NodeJS.ErrnoException, socket: Socket): void {
  const status = code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request'
  if (/^(HPE|ERR_HTTP)_/.test(code) && socket.writable && socket.bytesWritten === 0) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
  socket.destroy()
}

/**
 * Listens for WebSocket clients on every path. A request without an upgrade gets 403; one of a source with too many connections gets 503.
 *
 * @throws {OptionError} when an option is invalid; else an error of OpenSSL about the PEM
 */
export function listenUpgraded ({ host, port, fd, tls, queueLimit, keepAlive: silence, clock = systemClock, handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT, log, limiter, trustedProxies, onProtocolMismatch, clientOf }: ListenUpgradedInit): TlsListener<UpgradedLink> {
  const init = { queueLimit, keepAlive: silence, clock }
  verifySocket(init)
  const guard = connectionGuard({ limiter, trustedProxies, handshakeTimeout, log, clock })
  const options = {
    maxHeaderSize: MAX_REQUEST_HEAD,
    headersTimeout: handshakeTimeout,
    requestTimeout: handshakeTimeout,
    connectionsCheckingInterval: Math.min(1000, handshakeTimeout),
    noDelay: true
  }
  const secure = tls === undefined ? undefined : createHttps({ ...options, ...serverOptions({ handshakeTimeout, ...tls }) })
  const server = secure ?? createHttp(options)
  if (secure !== undefined && onProtocolMismatch !== undefined) watchFirstBytes(secure, guard, handshakeTimeout, onProtocolMismatch, clock)
  guard.protect(server)
  const upgrades = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false })
  server.on('request', ({ socket }, response) => {
    onProtocolMismatch?.({ detected: { protocol: 'HTTP' }, expected: 'a WebSocket request', remote: guard.remoteOf(socket) })
    response.writeHead(403, { 'content-length': 0, connection: 'close' }).end()
  })
  server.on('clientError', (err: NodeJS.ErrnoException & { rawPacket?: Uint8Array }, socket: Socket) => {
    if (err.code?.startsWith('HPE_') === true && err.rawPacket !== undefined) onProtocolMismatch?.({ detected: detectProtocol(err.rawPacket), expected: 'a WebSocket request', remote: guard.remoteOf(socket) })
    rejectRequest(err, socket)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') onProtocolMismatch?.({ detected: { protocol: 'HTTP' }, expected: 'a WebSocket request', remote: guard.remoteOf(socket) })
    const connection = guard.claim(socket)
    if (connection === undefined) {
      socket.destroy()
      return
    }
    if (!(clientOf === undefined ? guard.applyForwardedFor(connection, request.headers['x-forwarded-for']) : guard.applyClient(connection, clientOf(request.headers)))) {
      reject(socket)
      return
    }
    const release = listenersOf(socket)
    upgrades.handleUpgrade(request, socket, head, () => {
      release()
      keepAlive(socket, init)
      const link = accepted(streamLink(socket, init), { ...connection, path: request.url ?? '/' }) as UpgradedLink
      if (!queue.offer(link)) socket.destroy()
    })
  })
  const queue = acceptQueue<UpgradedLink>(() => {
    server.close()
    // Connections that are not upgraded yet: a closed server does not time them out any more.
    server.closeAllConnections()
    secure?.on('secureConnection', (socket) => { socket.destroy() })
    guard.close()
  })
  const listener = serverListener(server, queue, log, clock)
  server.listen(fd === undefined ? { host, port } : { fd })
  return Object.assign(listener, { setCertificate: certificateSetter(secure, tls) })
}
