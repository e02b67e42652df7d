/** UDP sockets inside of a network namespace, as the test at the other end of the IPC channel tells it. Started by `Agent` of traffic.ts. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { serve } from './serve.ts'

interface Bound {
  socket: Socket
  heard: string[]
}

const sockets: Bound[] = []

const commands = {
  /** Returns the number of the socket. */
  async bind (host: string, port: number): Promise<number> {
    const socket = createSocket('udp4')
    const bound: Bound = { socket, heard: [] }
    socket.on('message', (_data, { address, port }) => { bound.heard.push(`${address}:${port}`) })
    socket.bind(port, host)
    await once(socket, 'listening')
    return sockets.push(bound) - 1
  },

  async say (index: number, host: string, port: number): Promise<void> {
    await new Promise<void>((resolve) => { sockets[index].socket.send('x', port, host, () => { resolve() }) })
  },

  /** From where something has come since the last time; waits so many milliseconds for it. */
  async heard (index: number, ms: number): Promise<string[]> {
    const { heard } = sockets[index]
    for (let waited = 0; heard.length === 0 && waited < ms; waited += 5) await delay(5)
    return heard.splice(0)
  }
}

export type UdpCommands = typeof commands

serve(commands)
