/** TLS over TCP with the defaults of Node: certificates are verified, TLS 1.2 or newer. */
import { isIP } from 'node:net'
import { connect, createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { acceptQueue, serverListener } from './acceptor.ts'
import { certificateSetter, verifyCertificate, type CertificateInit, type TlsListener } from './certificate.ts'
import { leftOf, opened, type TimeLimit } from './connecting.ts'
import { bannerOf } from './banner.ts'
import { DEFAULT_HANDSHAKE_TIMEOUT, endpointOf, connectionGuard } from './connection-guard.ts'
import { race, type Lookup, type RaceResult } from './happy-eyeballs.ts'
import { watchFirstBytes } from './first-read.ts'
import { isNoTls } from './protocol-detection.ts'
import { acceptSocket, keepAlive, verifySocket, wireLink, type AcceptedLink, type DialInit, type ListenInit, type SocketInit, type WireLink } from './tcp.ts'
import { verifyMilliseconds } from '../options.ts'
import type { Address, Endpoint, Transport } from '../types.ts'

/** How a client verifies the server. */
export interface TlsClientInit extends Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> {
  /** The name to indicate (SNI) and to verify. Default: the host. */
  servername?: string
  /** Accepts any certificate. Default: false. */
  insecure?: boolean
  /** Milliseconds for connection and handshake together, for each address of a name. Default: 10 s. */
  handshakeTimeout?: number
}

/** The certificate of a server, and its handshake time-out. */
export interface TlsServerInit extends CertificateInit {
  /** Milliseconds for the handshake of a client. Default: 10 s. */
  handshakeTimeout?: number
}

/** The other side has not finished the handshake in time. */
export class HandshakeTimeoutError extends Error {
  override readonly name = 'HandshakeTimeoutError'
  readonly code = 'ERR_TLS_HANDSHAKE_TIMEOUT'
}

/**
 * The options of `tls.createServer` and `https.createServer`.
 *
 * @throws {OptionError} when an option is invalid; else an error of OpenSSL about the PEM
 */
export function serverOptions ({ cert, key, ca, handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT }: TlsServerInit): object {
  verifyMilliseconds('handshakeTimeout', handshakeTimeout)
  verifyCertificate({ cert, key, ca })
  return { cert, key, ca, requestCert: ca !== undefined, handshakeTimeout }
}

/** The options of `tls.connect`. A host that is an address has no server name to indicate. */
const clientOptions = (host: string, { ca, cert, key, servername, insecure = false }: TlsClientInit): object => ({
  ca,
  cert,
  key,
  servername: servername ?? (isIP(host) === 0 ? host : ''),
  rejectUnauthorized: !insecure
})

/**
 * Connects, and verifies the certificate against the host name.
 *
 * @throws {OptionError} when an option is invalid; else a system error, a certificate error (`SELF_SIGNED_CERT_IN_CHAIN`,
 *   `ERR_TLS_CERT_ALTNAME_INVALID`, ...), {@link HandshakeTimeoutError}, or the reason of the signal
 */
export async function dialTls ({ host, port, signal, handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT, lookup, ...init }: Address & SocketInit & DialInit & TlsClientInit): Promise<WireLink> {
  verifySocket(init)
  verifyMilliseconds('handshakeTimeout', handshakeTimeout)
  const limit = { milliseconds: handshakeTimeout, clock: init.clock, error: () => new HandshakeTimeoutError(`no TLS after ${handshakeTimeout} ms`) }
  const { socket } = await startTls({ to: { host, port }, init, allowHalfOpen: true, signal, limit, lookup })
  keepAlive(socket, init)
  return wireLink(socket, init)
}

interface StartTlsInit {
  to: Endpoint
  init: TlsClientInit
  /** Half-close is kept. */
  allowHalfOpen: boolean
  signal?: AbortSignal
  limit: TimeLimit
  lookup?: Lookup
}

/** Connects to the first address that answers, with the handshake done. */
export async function startTls ({ to, init, allowHalfOpen, signal, limit, lookup }: StartTlsInit): Promise<RaceResult<TLSSocket>> {
  const client = clientOptions(to.host, init)
  const open = (address: Endpoint): TLSSocket => {
    // `allowHalfOpen` is missing in the types of `tls.connect`, though it is documented and works.
    const options = { ...address, allowHalfOpen, ...client }
    const socket = connect(options)
    socket.setNoDelay(true)
    return socket
  }
  const won = await race({ to, open, signal, limit, lookup, clock: limit.clock })
  const { host, port } = endpointOf(won.socket)
  try {
    await opened(won.socket, 'secureConnect', signal, leftOf(limit, won.ends))
  } catch (err) {
    throw host !== '' && isNoTls(err as Error) ? Object.assign(err as Error, { rawPacket: await bannerOf({ host, port }, signal, limit.clock) }) : err
  }
  return won
}

/**
 * Listens on a TCP port for TLS connections.
 *
 * @throws {OptionError} when an option is invalid; else an error of OpenSSL about the PEM
 */
export function listenTls ({ host, port, ...init }: ListenInit & TlsServerInit): TlsListener<AcceptedLink> {
  verifySocket(init)
  const { log, clock, onProtocolMismatch, handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT } = init
  const guard = connectionGuard(init)
  const options = { ...serverOptions(init), allowHalfOpen: true, noDelay: true }
  const server = createServer(options, (socket) => { acceptSocket(socket, guard, queue, init) })
  if (onProtocolMismatch !== undefined) watchFirstBytes(server, guard, handshakeTimeout, onProtocolMismatch, clock)
  guard.protect(server)
  server.on('tlsClientError', (_err, socket) => { socket.destroy() })
  const queue = acceptQueue<AcceptedLink>(() => {
    server.close()
    guard.close()
  })
  const listener = serverListener(server, queue, log, clock)
  server.listen({ host, port })
  return Object.assign(listener, { setCertificate: certificateSetter(server, init) })
}

/** The TLS transport as one object, for programs that choose a transport by name. */
export const tls = (server: TlsServerInit, client: TlsClientInit = {}): Transport => ({
  capabilities: { halfClose: true },
  dial: (to) => dialTls({ ...client, ...to }),
  listen: (at) => listenTls({ ...server, ...at })
})
