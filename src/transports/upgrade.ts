/**
 * The HTTP upgrade that begins a WebSocket (RFC 6455, section 4): `ws` does it, then hands its socket over. What is left is a link of
 * bytes, for the layer `websocketFrames`.
 */
import { createServer as createHttp, type IncomingMessage } from 'node:http'
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

/** Bytes of request line and headers; a real client needs a few hundred. */
const MAX_REQUEST_HEAD = 8 * 1024

export interface DialUpgradedInit extends SocketInit, DialInit, TlsClientInit {
  signal?: AbortSignal
  headers?: Record<string, string>
  /** Milliseconds for connection, TLS and upgrade together; each address of a name has as many. Default: 10 s. */
  handshakeTimeout?: number
}

export interface ListenUpgradedInit extends ListenInit {
  /** Makes it `wss`. */
  tls?: TlsServerInit
  /** A socket that is bound already, which is taken over; `host` and `port` are not looked at then. */
  fd?: number
}

/** A link that came in, with what its client asked for. */
export interface UpgradedLink extends Link, ConnectionInfo {
  readonly path: string
}

/** The other side is there but did not make a WebSocket of the connection. */
export class UpgradeError extends CodedError<'ERR_UPGRADE' | 'ERR_UPGRADE_TIMEOUT'> {
  override readonly name = 'UpgradeError'
}

/** Remembers a socket's listeners; the function it returns removes those that were added since. */
function listenersOf (socket: Socket): () => void {
  const before = new Map(socket.eventNames().map((event) => [event, new Set(socket.rawListeners(event as string))]))
  return () => {
    for (const event of socket.eventNames()) {
      for (const listener of socket.rawListeners(event as string)) {
        if (before.get(event)?.has(listener) !== true) socket.removeListener(event as string, listener as () => void)
      }
    }
    socket.pause() // until somebody reads: `ws` had set it flowing
  }
}

/**
 * Connects and upgrades.
 *
 * @param url `ws://` or `wss://`; path and query are sent as they stand
 * @throws {OptionError} for options that cannot be; else what the system or TLS says, an {@link UpgradeError} that names the HTTP status of a refusal, or the reason of
 *   the signal
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

/** Asks for a WebSocket on a connection; settles when the other side has agreed. A connection without is ended. */
async function upgraded (socket: Socket, url: URL, headers: Record<string, string> | undefined, signal: AbortSignal | undefined, limit: TimeLimit, clock: Clock, tried: DialAttempt): Promise<void> {
  const client = new WebSocket(url, { perMessageDeflate: false, headers, createConnection: () => socket })
  let reason: unknown
  const abandon = (why: unknown): void => {
    reason ??= why
    client.terminate()
  }
  const aborted = (): void => { abandon(signal?.reason) }
  signal?.addEventListener('abort', aborted, { once: true })
  // Not the timeout of `ws`, which every byte of the other side puts off.
  const timer = clock.set(limit.milliseconds, () => { abandon(limit.error()) })
  try {
    await new Promise<void>((resolve, reject) => {
      let release: () => void
      client.once('upgrade', () => { release = listenersOf(socket) })
      client.once('open', () => {
        release()
        client.removeAllListeners()
        socket.on('error', () => {}) // until the link listens
        resolve()
      })
      client.on('error', (err) => { reject(reason ?? ('code' in err ? explainedDial(err, tried) : new UpgradeError('ERR_UPGRADE', rejectionText(err.message, tried)))) })
      if (signal?.aborted === true) aborted()
    })
  } finally {
    clock.clear(timer)
    signal?.removeEventListener('abort', aborted)
  }
}

/** What to try when the scheme of the URL was the wrong one. */
const HINTS = { tls: 'try wss://', plain: 'try ws://' }

/** What `ws` says of an answer that makes no WebSocket, in words of what it means. */
function rejectionText (message: string, { isTls }: { isTls: boolean }): string {
  const [, status] = /^Unexpected server response: (\d{3})$/.exec(message) ?? []
  if (status === undefined) return message
  return `the server speaks HTTP, but not WebSocket at this URL: status ${status}${status === '400' && !isTls ? ' (as of servers that want TLS: try wss://)' : ''}`
}

/** Answers an upgrade with a refusal, and ends the connection. */
function reject (socket: Socket): void {
  socket.on('error', () => {})
  socket.once('finish', () => { socket.destroy() })
  socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
}

/** As Node does by itself where nobody listens to this event, which is also told of handshakes of TLS that have failed. */
function rejectRequest ({ code = '' }: NodeJS.ErrnoException, socket: Socket): void {
  const status = code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request'
  if (/^(HPE|ERR_HTTP)_/.test(code) && socket.writable && socket.bytesWritten === 0) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
  socket.destroy()
}

/**
 * Listens for WebSocket clients on every path. A request that is no upgrade gets 403, one of a source that the limiter has too many
 * of gets 503. Throws `OptionError`, or what OpenSSL says, for options that cannot be.
 */
export function listenUpgraded ({ host, port, fd, tls, queueLimit, keepAlive: silence, clock = systemClock, handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT, log, limiter, trustedProxies, onProtocolMismatch }: ListenUpgradedInit): TlsListener<UpgradedLink> {
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
    if (!guard.applyForwardedFor(connection, request.headers['x-forwarded-for'])) {
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
    // Those that are no WebSocket yet: a closed server does not time them out any more.
    server.closeAllConnections()
    secure?.on('secureConnection', (socket) => { socket.destroy() })
    guard.close()
  })
  const listener = serverListener(server, queue, log, clock)
  server.listen(fd === undefined ? { host, port } : { fd })
  return Object.assign(listener, { setCertificate: certificateSetter(secure, tls) })
}
