/** UDP sockets inside of a network namespace, as the test at the other end of the IPC channel tells it. Started by `Agent` of traffic.ts. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { serve } from './serve.ts'

const MAGIC_COOKIE = 0x2112a442

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

  /** Answers each STUN binding request with where it has come from. */
  async serveStun (host: string, port: number): Promise<void> {
    const socket = createSocket('udp4')
    socket.on('message', (request, { address, port }) => {
      if (request.length < 20 || request.readUInt16BE(0) !== 0x0001 || request.readUInt32BE(4) !== MAGIC_COOKIE) return
      const response = Buffer.alloc(32)
      response.writeUInt32BE(0x0101_000c) // a success of 12 bytes
      request.copy(response, 4, 4, 20)
      response.writeUInt32BE(0x0020_0008, 20) // XOR-MAPPED-ADDRESS of 8 bytes
      response[25] = 1 // IPv4
      response.writeUInt16BE(port ^ MAGIC_COOKIE >>> 16, 26)
      response.writeUInt32BE((Buffer.from(address.split('.').map(Number)).readUInt32BE() ^ MAGIC_COOKIE) >>> 0, 28)
      socket.send(response, port, address)
    })
    socket.bind(port, host)
    await once(socket, 'listening')
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
