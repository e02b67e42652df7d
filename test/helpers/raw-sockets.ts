/** Clients that are no links: what they send, and how they end, is up to the test. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { ca } from './certificates.ts'

export interface RawClient {
  /** What the other side speaks with: the TCP socket, or TLS over it. */
  socket: Socket
  /** Ends the TCP connection with RST. */
  reset (): void
}

export interface RawInit {
  /** The address that the other side sees, such as 127.0.0.2. Default: 127.0.0.1. */
  localAddress?: string
  /** Goes in front of the first bytes, in one write with them. */
  header?: Uint8Array
  /** Bytes of one write; the event loop turns between two. Default: whatever there is. */
  chunk?: number
}

export async function rawTcp (port: number, { localAddress, header, chunk }: RawInit = {}): Promise<RawClient> {
  const socket = connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true, noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  const client = { socket, reset: () => { socket.resetAndDestroy() } }
  return header === undefined && chunk === undefined ? client : { ...client, socket: between(socket, header, chunk) }
}

/** A stream in front of a connection, which writes in its own way. */
function between (tcp: Socket, header: Uint8Array = new Uint8Array(0), chunk = Infinity): Socket {
  const stream = new Duplex({
    allowHalfOpen: true,
    read () {},
    async write (bytes, _encoding, done) {
      const all = Buffer.concat([header, bytes])
      header = new Uint8Array(0)
      for (let at = 0; at < all.length; at += chunk) {
        tcp.write(all.subarray(at, at + chunk))
        await new Promise((resolve) => { setImmediate(resolve) })
      }
      done()
    },
    final (done) { tcp.end(done) },
    destroy (err, done) {
      tcp.destroy()
      done(err)
    }
  })
  tcp.on('data', (bytes) => { stream.push(bytes) }).on('end', () => { stream.push(null) }).on('close', () => { stream.destroy() })
  stream.on('error', () => {})
  return stream as Socket
}

export async function rawTls (port: number, init: RawInit = {}): Promise<RawClient> {
  // A stream between, so that TLS knows nothing of the reset and cannot say goodbye.
  const tcp = await rawTcp(port, { header: new Uint8Array(0), ...init })
  const socket = connectTls({ socket: tcp.socket, ca, servername: 'localhost' })
  socket.on('error', () => {})
  // The session ticket is the last that the server writes by itself. Node does not report a reset that strikes that write.
  await once(socket, 'session')
  return { socket, reset: tcp.reset }
}

/** Waits until the other side has ended the connection, in whatever way. */
export async function ended (socket: Socket): Promise<void> {
  if (socket.readableEnded || socket.destroyed) return
  socket.resume()
  await new Promise<void>((resolve) => {
    socket.once('end', resolve).once('close', () => { resolve() })
  })
}

/** The key is the example of RFC 6455 section 1.3. */
export const upgradeRequest = (headers: Record<string, string> = {}, path = '/'): string => {
  const all = { Host: 'localhost', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers }
  return `GET ${path} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

/** Reads up to the end of an HTTP head. */
export async function readHead (socket: Socket): Promise<{ head: string, rest: Buffer }> {
  let all = Buffer.alloc(0)
  for (;;) {
    const chunk = socket.read() as Buffer | null
    if (chunk !== null) all = Buffer.concat([all, chunk])
    const end = all.indexOf('\r\n\r\n')
    if (end >= 0) return { head: all.toString('latin1', 0, end), rest: all.subarray(end + 4) }
    if (socket.readableEnded || socket.destroyed) throw new Error(`the connection ended inside a head: ${all.toString()}`)
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('readable', done).off('end', done).off('close', done)
        resolve()
      }
      socket.on('readable', done).on('end', done).on('close', done)
    })
  }
}

/** Makes a WebSocket of a connection; what follows is raw frames. */
export async function upgrade (client: RawClient, headers: Record<string, string> = {}): Promise<RawClient> {
  client.socket.write(upgradeRequest(headers))
  const { head } = await readHead(client.socket)
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(head)
  return client
}
