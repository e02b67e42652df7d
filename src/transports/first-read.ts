/** Sees the first bytes of a TLS server's connection before TLS does: what is no TLS is told, and answered. */
import type { Socket } from 'node:net'
import type { Server as TlsServer } from 'node:tls'
import type { ConnectionGuard } from './connection-guard.ts'
import { isTls, detectProtocol, type DetectedProtocol } from './protocol-detection.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock, Endpoint } from '../types.ts'

/** Somebody who speaks another protocol than the one that is listened for. */
export interface ProtocolMismatch {
  detected: DetectedProtocol
  /** What was listened for. */
  expected: string
  remote: Endpoint
}

/** A fatal alert, `protocol_version`, in a record of TLS 1.0: by it the other side can tell what is spoken here. */
const ALERT = Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70)

const ignore = (): void => {}

/**
 * From now on the server is given only the connections that begin with TLS. To be called before `guard.protect`, which is in front of it.
 *
 * @param timeout milliseconds until something has to come
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

/** @param done called once, with undefined when the other side has left or said nothing in time */
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
  socket.on('error', ignore) // one may come before somebody else listens. `close` follows
  socket.on('readable', read).once('end', left).once('close', left)
}
