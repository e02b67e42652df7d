/**
 * A relay, a peer, a service that sends back what it gets, and users, all in one process, so that their timeouts can be short. Started in a
 * network namespace of its own by dark-connection.test.ts, whose packet filter cuts off single connections there.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { GotunnelPeer, serveGotunnel, type GotunnelServer } from '../../../src/nodes/gotunnel/index.ts'
import { serve } from './serve.ts'

const TOKEN = 'a token of more than sixteen letters'
const REMOTE_PORT = 18080
const CHUNK = Buffer.alloc(16 * 1024, 'dark')
const host = '127.0.0.1'

let relay: GotunnelServer
let peer: GotunnelPeer
let offline = 0
const users: Array<{ socket: Socket, received: number, isClosed: boolean }> = []

/** The local ports of connections to a port of this namespace. */
function portsTo (port: number): number[] {
  const lines = execFileSync('ss', ['-tnH', 'state', 'established', 'dport', '=', `:${port}`], { encoding: 'utf8' }).trim().split('\n')
  return lines.filter((line) => line !== '').map((line) => Number(line.trim().split(/\s+/)[2].split(':').at(-1)))
}

const commands = {
  /** Listens, connects, and says where control and data connections go. */
  async start (unansweredTimeout: number): Promise<number> {
    const service = createServer({ allowHalfOpen: true }, (socket) => { socket.on('error', () => {}).pipe(socket) }).listen(0, host)
    await once(service, 'listening')
    relay = await serveGotunnel({ listen: `${host}:0`, identities: [{ name: 'home', token: TOKEN }], unansweredTimeout })
    const port = Number(new URL(relay.url).port)
    peer = new GotunnelPeer({ server: { host, port }, token: TOKEN, name: 'dark', maps: [{ remotePort: REMOTE_PORT, local: { host, port: (service.address() as AddressInfo).port } }], unansweredTimeout })
    const online = once(peer, 'online')
    peer.on('offline', () => { offline++ })
    peer.start()
    await online
    return port
  },

  /** A user that sends without an end, and reads or does not; gives the local port of its data connection. */
  async connect (reads: boolean): Promise<number> {
    const port = Number(new URL(relay.url).port)
    const before = portsTo(port)
    const socket = connect(REMOTE_PORT, host)
    const user = { socket, received: 0, isClosed: false }
    users.push(user)
    socket.on('error', () => {}).on('close', () => { user.isClosed = true })
    await once(socket, 'connect')
    const fill = (): void => { while (socket.writable && socket.write(CHUNK)); }
    socket.on('drain', fill)
    fill()
    if (reads) {
      socket.on('data', (bytes) => { user.received += bytes.length })
      await once(socket, 'data')
    } else {
      socket.pause()
    }
    let mine: number[] = []
    while (mine.length === 0) {
      await delay(20)
      mine = portsTo(port).filter((known) => !before.includes(known))
    }
    return mine[0]
  },

  /** What has become of the users, in order, and what was counted. */
  async state (): Promise<{ closed: boolean[], received: number[], silent: { relay: number, peer: number }, users: number, offline: number }> {
    return {
      closed: users.map(({ isClosed }) => isClosed),
      received: users.map(({ received }) => received),
      silent: { relay: relay.relay.stats.drops.silent, peer: peer.stats[0].drops.silent },
      users: relay.relay.stats.users,
      offline
    }
  }
}

export type DarkCommands = typeof commands

serve(commands)
