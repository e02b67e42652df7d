/** A way that a test can cut. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface Forwarder {
  port: number
  /** Ends all connections. */
  cut (): void
}

/** @param to the port of 127.0.0.1 that it forwards to */
export async function forwarder (t: Test, to: number): Promise<Forwarder> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const next = connect(to, '127.0.0.1')
    for (const [one, other] of [[socket, next], [next, socket]]) {
      sockets.add(one)
      one.on('error', () => {}).once('close', () => {
        sockets.delete(one)
        other.destroy()
      }).pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => { for (const socket of sockets) socket.destroy() }
  t.teardown(() => {
    cut()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, cut }
}
