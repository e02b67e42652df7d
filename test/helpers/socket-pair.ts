/** Both ends of one connection, as plain sockets. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type ListenOptions, type Socket } from 'node:net'
import type { Test } from 'tap'

/** The end that has connected, and the accepted one, which is paused. Both end with the test. */
export async function socketPair (t: Test, at: ListenOptions = { port: 0, host: '127.0.0.1' }): Promise<[Socket, Socket]> {
  const server = createServer({ pauseOnConnect: true }).listen(at)
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const address = server.address() as AddressInfo | string
  const socket = typeof address === 'string' ? connect(address) : connect(address.port, '127.0.0.1')
  await once(socket, 'connect')
  const [other] = await accepted as [Socket]
  t.teardown(() => {
    socket.destroy()
    other.destroy()
    server.close()
  })
  return [socket, other]
}
