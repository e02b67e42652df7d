/** Where the process that captures the screen connects to (natpass protocol, section 4.3). */
import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { DesktopError } from './desktop-error.ts'
import { MAX_PIXELS } from '../../protocol/desktop.ts'

const HOST = '127.0.0.1'
const FIRST_PORT = 6155
const LAST_PORT = 6955

/** Other programs of this machine can connect as well. */
const MAX_CONNECTIONS = 64

/** Bytes of a message: the largest picture. */
const MAX_MESSAGE = MAX_PIXELS * 4 + 1024

const UNAUTHORIZED = 'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

export interface WorkerListener {
  readonly port: number
  /** Settles with the connection of who knows the token. Nothing listens any more then. */
  readonly connected: Promise<WebSocket>
  /** Ends all connections but that one. */
  close (): void
}

/**
 * Listens on the first free port.
 *
 * @throws {DesktopError} `ERR_DESKTOP_PORT`
 */
export async function listenForWorker (token: string): Promise<WorkerListener> {
  const server = createServer((_request, response) => { response.writeHead(401, { connection: 'close' }).end() })
  server.maxConnections = MAX_CONNECTIONS
  const port = await listen(server)
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_MESSAGE })
  const refused = new Set<Duplex>()
  const close = (): void => {
    server.close()
    server.closeAllConnections()
    for (const socket of refused) socket.destroy()
  }
  let isTaken = false
  const connected = new Promise<WebSocket>((resolve) => {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => {})
      if (isTaken || !knows(token, request)) {
        refused.add(socket)
        socket.once('close', () => { refused.delete(socket) })
        socket.end(UNAUTHORIZED, () => { socket.destroy() })
        return
      }
      isTaken = true
      sockets.handleUpgrade(request, socket, head, (worker) => {
        close()
        resolve(worker)
      })
    })
  })
  return { port, connected, close }
}

async function listen (server: Server): Promise<number> {
  for (let port = FIRST_PORT; port <= LAST_PORT; port++) {
    try {
      server.listen({ host: HOST, port, exclusive: true })
      await once(server, 'listening')
      return port
    } catch {
      // taken by another program: the next one
    }
  }
  throw new DesktopError('ERR_DESKTOP_PORT', 'no port available')
}

function knows (token: string, { headers: { authorization = '' } }: IncomingMessage): boolean {
  const [told, expected] = [Buffer.from(authorization), Buffer.from(`Bearer ${token}`)]
  return told.length === expected.length && timingSafeEqual(told, expected)
}
