/** Checks the first bytes of a connection to a TLS server: other protocols are reported, and answered with an alert. */
import type { Socket } from 'node:net'
import type { Server as TlsServer } from 'node:tls'
import type { ConnectionGuard } from './connection-guard.ts'
import { isTls, detectProtocol, type DetectedProtocol } from './protocol-detection.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock, Endpoint } from '../types.ts'

/** A connection that speaks another protocol than its listener. */
export interface ProtocolMismatch {
  detected: DetectedProtocol
  /** The protocol of the listener. */
  expected: string
  remote: Endpoint
}

/** A fatal alert, `protocol_version`, in a TLS 1.0 record (RFC 8446, section 6.2): it tells the client that TLS is expected. */
const ALERT = Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70)

const ignore = (): void => {}

/**
 * From now on the server gets only connections that begin with TLS. Must be called before `guard.protect`, which runs first.
 *
 * @param timeout milliseconds to wait for the first bytes
 */
export function watchFirstBytes (server: TlsServer, guard: ConnectionGuard, timeout: number, onProtocolMismatch: (mismatch: ProtocolMismatch) => void, clock = systemClock): void {
  const serve = server.listeners('connection') as Array<(socket: Socket) => void>
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    firstRead(socket, clock, timeout, (bytes) => {
      if (bytes === undefined) {
        socket.destroy()
      } else if (isTls(bytes)) {
        socket.unshift(bytes)
        for (const each of serve) each.call(server, socket)
      } else {
        onProtocolMismatch({ detected: detectProtocol(bytes), expected: 'TLS', remote: guard.remoteOf(socket) })
        socket.end(ALERT, () => { socket.destroySoon() })
      }
    })
  })
}

/** @param done called once; with undefined when the other side has left or has sent nothing in time */
function firstRead (socket: Socket, clock: Clock, timeout: number, done: (bytes: Uint8Array | undefined) => void): void {
  const settle = (bytes?: Uint8Array): void => {
    clock.clear(timer)
    socket.off('readable', read).off('end', left).off('close', left)
    done(bytes)
  }
  const read = (): void => {
    const bytes = socket.read() as Uint8Array | null
    if (bytes !== null) settle(bytes)
  }
  const left = (): void => { settle() }
  const timer = clock.set(timeout, left)
  socket.on('error', ignore) // an error may come before other listeners exist; `close` follows
  socket.on('readable', read).once('end', left).once('close', left)
}
