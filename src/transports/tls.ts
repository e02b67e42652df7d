/** TLS over TCP, with Node's own defaults: certificates are verified, TLS 1.2 or newer. */
import { isIP } from 'node:net'
import { connect, createServer, type SecureContextOptions } from 'node:tls'
import { acceptQueue, serverListener } from './acceptor.ts'
import { opened } from './connecting.ts'
import { wireLink, type ListenInit, type WireLink } from './tcp.ts'
import type { StreamLinkInit } from './stream-link.ts'
import type { Address, Listener, Transport } from '../types.ts'

/** How a client checks the server. */
export interface TlsClientInit extends Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> {
  /** The name to ask for and to verify. Default: the host. */
  servername?: string
  /** Accept any certificate. Default: false. */
  insecure?: boolean
}

/** PEM texts of the server's certificate chain and private key; `ca` asks clients for a certificate signed by it. */
export interface TlsServerInit extends Pick<SecureContextOptions, 'ca'> {
  cert: string | Buffer
  key: string | Buffer
  /** Milliseconds until a client that has not finished its handshake is dropped. Default: 10 s. */
  handshakeTimeout?: number
}

/** The default of every `handshakeTimeout`, in milliseconds. */
export const DEFAULT_HANDSHAKE_TIMEOUT = 10_000

/** The options of `tls.createServer` and `https.createServer`. */
export const serverOptions = ({ cert, key, ca, handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT }: TlsServerInit): object => ({
  cert,
  key,
  ca,
  requestCert: ca !== undefined,
  handshakeTimeout
})

/** The options of `tls.connect` for a host: an address has no name to indicate. */
export const clientOptions = (host: string, { ca, cert, key, servername, insecure = false }: TlsClientInit): object => ({
  ca,
  cert,
  key,
  servername: servername ?? (isIP(host) === 0 ? host : ''),
  rejectUnauthorized: !insecure
})

/**
 * Connects and verifies the certificate against the host name.
 *
 * @throws what the system says, a certificate error (`SELF_SIGNED_CERT_IN_CHAIN`, `ERR_TLS_CERT_ALTNAME_INVALID`, ...),
 *   or the reason of the signal
 */
export async function dialTls ({ host, port, signal, queueLimit, ...init }: Address & StreamLinkInit & TlsClientInit): Promise<WireLink> {
  // `allowHalfOpen` is missing in the declarations of `tls.connect`, though it is documented and works.
  const options = { host, port, allowHalfOpen: true, ...clientOptions(host, init) }
  const socket = connect(options)
  socket.setNoDelay(true)
  return wireLink(await opened(socket, 'secureConnect', signal), { queueLimit })
}

/** Listens on a TCP port and speaks TLS on it. */
export function listenTls ({ host, port, queueLimit, ...init }: ListenInit & TlsServerInit): Listener<WireLink> {
  const options = { ...serverOptions(init), allowHalfOpen: true, noDelay: true }
  const server = createServer(options, (socket) => {
    if (!queue.offer(wireLink(socket, { queueLimit }))) socket.destroy()
  })
  server.on('tlsClientError', (_err, socket) => { socket.destroy() })
  const queue = acceptQueue<WireLink>(() => { server.close() })
  const listener = serverListener(server, queue)
  server.listen({ host, port })
  return listener
}

/** The TLS transport as one object, for programs that choose a transport by name. */
export const tls = (server: TlsServerInit, client: TlsClientInit = {}): Transport => ({
  capabilities: { halfClose: true },
  dial: (to) => dialTls({ ...client, ...to }),
  listen: (at) => listenTls({ ...server, ...at })
})
