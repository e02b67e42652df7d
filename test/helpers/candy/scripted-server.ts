/**
 * Stand-ins for the servers that exist, over real sockets, and peers that talk to them. The servers share no code with the
 * library: the upgrade, the frames and the messages are written as bytes, so that those servers' departures from the standards
 * are possible, and every message of the client is checked. A client that does anything wrong makes `faults` grow.
 */
import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Test } from 'tap'
import { CandyPeer, type CandyPeerInit } from '../../../src/nodes/candy/index.ts'
import { newPacket } from '../../../src/tun/device.ts'
import { userspaceTun, type UserspaceTun } from '../../../src/tun/userspace.ts'
import { writeHeader } from '../../../src/net/ipv4.ts'
import { addr, PASSWORD } from './client.ts'
import { turn } from '../ends.ts'

export interface Frame {
  opcode: number
  payload: Buffer
}

/** Opcodes by RFC 6455 section 5.2. */
export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

/** A frame of a server, which is not masked, or of a client with this mask. */
export function frame (opcode: number, payload: Uint8Array, mask?: Uint8Array): Buffer {
  const size = payload.length
  const masked = mask === undefined ? 0 : 0x80
  const length = size < 126 ? [masked | size] : size < 65536 ? [masked | 126, size >> 8, size & 0xff] : [masked | 127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff]
  const body = mask === undefined ? payload : payload.map((byte, i) => byte ^ mask[i & 3])
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length]), mask ?? Buffer.alloc(0), body])
}

export const sha256 = (...parts: Array<string | Uint8Array>): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export const timestampNow = (): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(Math.floor(Date.now() / 1000)))
  return bytes
}

/** One client of a scripted server. */
export class Visitor {
  readonly socket: Socket
  /** Path of the request. */
  readonly path: string
  readonly headers: Record<string, string>
  /** Everything that was wrong with what the client sent. */
  readonly faults: string[] = []
  /** The connection is gone. */
  readonly ended: Promise<void>
  #rest: Buffer
  readonly #frames: Frame[] = []
  #over = false
  readonly #events = new EventEmitter()

  constructor (socket: Socket, head: string, rest: Buffer) {
    this.socket = socket
    const [request, ...lines] = head.split('\r\n')
    this.path = request.split(' ')[1]
    this.headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
    if (!/^GET \S+ HTTP\/1\.1$/.test(request) || this.headers['sec-websocket-version'] !== '13' || this.headers.upgrade !== 'websocket') this.faults.push(`no upgrade: ${head}`)
    if ('sec-websocket-protocol' in this.headers || 'sec-websocket-extensions' in this.headers) this.faults.push('a sub-protocol or an extension')
    const accept = createHash('sha1').update(this.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    this.#rest = rest
    this.ended = new Promise((resolve) => {
      const over = (): void => {
        this.#over = true
        this.#events.emit('frame')
        resolve()
      }
      socket.on('end', over).on('close', over)
    })
    socket.on('data', (bytes: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, bytes])
      this.#parse()
    })
    this.#parse()
  }

  #parse (): void {
    for (;;) {
      const bytes = this.#rest
      if (bytes.length < 6) return
      const short = bytes[1] & 0x7f
      const head = short === 126 ? 8 : 6
      if (short === 127 || bytes.length < head) return
      const size = short === 126 ? bytes.readUInt16BE(2) : short
      if (bytes.length < head + size) return
      const mask = bytes.subarray(head - 4, head)
      const payload = Buffer.from(bytes.subarray(head, head + size).map((byte, i) => byte ^ mask[i & 3]))
      const opcode = bytes[0] & 0x0f
      if ((bytes[0] & 0xf0) !== 0x80) this.faults.push('a fragment or a reserved bit')
      if ((bytes[1] & 0x80) === 0) this.faults.push('no mask')
      if (size > (opcode < CLOSE ? 1500 : 125)) this.faults.push(`a frame of ${size} bytes`)
      this.#rest = bytes.subarray(head + size)
      this.#frames.push({ opcode, payload })
      this.#events.emit('frame')
    }
  }

  /** The next frame, in order; undefined when the connection has ended. */
  async next (): Promise<Frame | undefined> {
    while (this.#frames.length === 0 && !this.#over) await once(this.#events, 'frame')
    return this.#frames.shift()
  }

  /** The next frame, which has to be of this kind. */
  async expect (opcode: number): Promise<Buffer> {
    const next = await this.next()
    if (next?.opcode !== opcode) throw new Error(`expected opcode ${opcode}, got ${next?.opcode ?? 'the end'}`)
    return next.payload
  }

  /** The next binary message, of this type; other kinds of frames are skipped. */
  async message (type: number): Promise<Buffer> {
    for (;;) {
      const next = await this.next()
      if (next === undefined) throw new Error(`the connection ended before a message of type ${type}`)
      if (next.opcode !== BINARY) continue
      if (next.payload[0] !== type) throw new Error(`expected a message of type ${type}: ${next.payload.toString('hex')}`)
      return next.payload
    }
  }

  send (...messages: Uint8Array[]): void { this.socket.write(Buffer.concat(messages.map((message) => frame(BINARY, message)))) }

  /** Ends TCP, without a close frame. */
  end (): void { this.socket.end() }

  /** VMAC, AUTH or DHCP, with everything that can be checked about it. */
  proven (message: Uint8Array, password: string): boolean {
    const [name, from, to, length] = message[0] === 0 ? ['AUTH', 1, 13, 45] as const : message[0] === 4 ? ['VMAC', 1, 25, 57] as const : ['DHCP', 1, 9, 73] as const
    if (message.length < length || message.length > length + 255) this.faults.push(`${name} of ${message.length} bytes`)
    const time = Number(Buffer.from(message).readBigInt64BE(to - 8))
    if (Math.abs(time - Date.now() / 1000) > 60) this.faults.push(`${name} with the time ${time}`)
    const hash = message.subarray(name === 'DHCP' ? 41 : to, name === 'DHCP' ? 73 : to + 32)
    return sha256(password, message.subarray(from, to)).equals(hash)
  }
}

export interface ScriptedServer {
  url: string
  port: number
  /** Clients in the order in which they came. */
  visitors: Visitor[]
  /** The next client. */
  next (): Promise<Visitor>
  /** Stops listening and ends all connections. */
  stop (): Promise<void>
}

export interface ScriptedInit {
  port?: number
  tls?: { cert: string, key: string }
  /** Called with each client. */
  serve?: (visitor: Visitor) => unknown
}

/** Listens on the loopback, until the test is over. What goes wrong in `serve` is a fault of the client. */
export async function scriptedServer (t: Test, { port = 0, tls, serve }: ScriptedInit = {}): Promise<ScriptedServer> {
  const sockets = new Set<Socket>()
  const visitors: Visitor[] = []
  const events = new EventEmitter()
  let taken = 0
  let stopped = false
  const greet = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => { sockets.delete(socket) })
    let all = Buffer.alloc(0)
    const read = (bytes: Buffer): void => {
      all = Buffer.concat([all, bytes])
      const end = all.indexOf('\r\n\r\n')
      if (end < 0) return
      socket.off('data', read)
      const visitor = new Visitor(socket, all.toString('latin1', 0, end), all.subarray(end + 4))
      visitors.push(visitor)
      events.emit('visitor')
      void (async () => serve?.(visitor))().catch((err: Error) => { if (!stopped) visitor.faults.push(err.message) })
    }
    socket.on('data', read)
  }
  const options = { allowHalfOpen: true, noDelay: true }
  const server = tls === undefined ? createServer(options, greet) : createTlsServer({ ...options, ...tls }, greet)
  server.on('tlsClientError', () => {})
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const stop = async (): Promise<void> => {
    stopped = true
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(async () => {
    await stop()
    const faults = visitors.flatMap(({ faults }) => faults)
    if (faults.length > 0) throw new Error(`wrong with what the client sent: ${faults.join('; ')}`)
  })
  const { port: listening } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'ws' : 'wss'}://127.0.0.1:${listening}/`,
    port: listening,
    visitors,
    async next () {
      while (visitors.length <= taken) await once(events, 'visitor')
      return visitors[taken++]
    },
    stop
  }
}

export interface Served {
  /** Everything the client sent, as it came. */
  frames: Frame[]
  /** The address of its AUTH. */
  address: string
  /** The text of each DHCP request. */
  wanted: string[]
}

export interface ProgramInit {
  password: string
  /** The address for whoever asks, as text. */
  offer?: string
  /** Called with each frame, before it is handled. */
  onFrame?: (frame: Frame, visitor: Visitor) => void
  onAuth?: (address: string, visitor: Visitor) => void
}

const newServed = (): Served => ({ frames: [], address: '', wanted: [] })

const textOf = (dhcp: Buffer): string => dhcp.toString('latin1', 9, dhcp.indexOf(0, 9))

/**
 * The C++ server: it ends TCP on any refusal, answers DHCP by writing over the request, so that the end of the text that was
 * asked for stays behind the NUL and the confusion behind the message, pads each PONG to 1500 bytes with what is in its
 * buffer, and answers no close frame.
 */
export async function actAsCandy (visitor: Visitor, { password, offer, onFrame, onAuth }: ProgramInit, served = newServed()): Promise<Served> {
  const buffer = Buffer.alloc(1500)
  for (let next = await visitor.next(); next !== undefined; next = await visitor.next()) {
    const { opcode, payload } = next
    served.frames.push(next)
    onFrame?.(next, visitor)
    payload.copy(buffer)
    if (opcode === PING) visitor.socket.write(frame(PONG, buffer))
    if (opcode !== BINARY) continue
    const type = payload[0]
    if ([0, 2, 4].includes(type) && !visitor.proven(payload, password)) break
    if (type === 2) {
      served.wanted.push(textOf(payload))
      if (offer === undefined) break
      const time = timestampNow()
      time.copy(payload, 1)
      payload.write(offer + '\0', 9, 'latin1')
      sha256(password, time).copy(payload, 41)
      visitor.send(payload)
    } else if (type === 0) {
      served.address = [...payload.subarray(1, 5)].join('.')
      onAuth?.(served.address, visitor)
    } else if (type === 1 && served.address === '') {
      break
    }
  }
  visitor.end()
  return served
}

/**
 * The Go server: VMAC comes first and is 16 hexadecimal digits, the answer to DHCP has the client's own time and hash, an
 * address that is taken ends with a close frame that is bare text, and only pings of its own clients' form are answered. It
 * ends connections that have sent nothing for `readLimit`.
 */
export async function actAsCacao (visitor: Visitor, { password, offer, onFrame, onAuth, taken = [], readLimit = 60_000 }: ProgramInit & { taken?: string[], readLimit?: number }, served = newServed()): Promise<Served> {
  let vmac = false
  const limit = setTimeout(() => { visitor.end() }, readLimit)
  for (let next = await visitor.next(); next !== undefined; next = await visitor.next()) {
    const { opcode, payload } = next
    served.frames.push(next)
    onFrame?.(next, visitor)
    limit.refresh()
    if (opcode === PING && vmac && /^candy::[^:]+::[^:]+(::[^:]+)?$/.test(payload.toString())) visitor.socket.write(frame(PONG, payload))
    if (opcode === CLOSE) break
    if (opcode !== BINARY) continue
    const type = payload[0]
    if ([0, 2, 4].includes(type) && !visitor.proven(payload, password)) break
    if (type !== 4 && !vmac) {
      visitor.faults.push('VMAC does not come first')
      break
    }
    if (type === 4) {
      vmac = /^[0-9a-f]{16}$/.test(payload.toString('latin1', 1, 17))
      if (!vmac) break
    } else if (type === 2) {
      served.wanted.push(textOf(payload))
      const reply = Buffer.from(payload.subarray(0, 73)).fill(0, 9, 41)
      reply.write(offer ?? served.wanted[0], 9, 'latin1')
      visitor.send(reply)
    } else if (type === 0) {
      served.address = [...payload.subarray(1, 5)].join('.')
      if (taken.includes(served.address)) {
        visitor.socket.write(frame(CLOSE, Buffer.from('ip conflict')))
        break
      }
      onAuth?.(served.address, visitor)
    }
  }
  clearTimeout(limit)
  visitor.end()
  return served
}

export interface Started {
  peer: CandyPeer
  tun: UserspaceTun
  /** Batches that the peer has written to the interface, copied. */
  written: Uint8Array[][]
  /** `offline` events: why. */
  reasons: string[]
}

/** A peer with a host behind it, without direct paths, started, and closed when the test is over; what it talks to is stopped first, so that nobody waits for a goodbye. */
export function startPeer (t: Test, server: { url: string, stop? (): Promise<void> }, { mtu, ...init }: Partial<CandyPeerInit> & { mtu?: number } = {}): Started {
  const tun = (init.tun ?? userspaceTun({ mtu })) as UserspaceTun
  const peer = new CandyPeer({ url: server.url, password: PASSWORD, name: 'laptop', vmac: '0123456789abcdef', direct: false, backoff: { first: 1, longest: 20 }, ...init, tun })
  const written: Uint8Array[][] = []
  const reasons: string[] = []
  const { send } = tun.port
  tun.port.send = (batch) => {
    written.push(batch.map((packet) => Uint8Array.from(packet)))
    return send(batch)
  }
  peer.on('offline', ({ message }) => { reasons.push(message) })
  t.teardown(async () => {
    await server.stop?.()
    await peer.close()
    await tun.close()
  })
  peer.start()
  return { peer, tun, written, reasons }
}

/** A UDP datagram as a whole packet; its checksum is 0, which means none. */
export function udpPacket (source: string, destination: string, port: number, data: Uint8Array): Uint8Array {
  const bytes = newPacket(28 + data.length)
  writeHeader(bytes, { protocol: 17, source: addr(source), destination: addr(destination), totalLength: bytes.length })
  bytes.set([port >> 8, port & 0xff, port >> 8, port & 0xff, (8 + data.length) >> 8, (8 + data.length) & 0xff, 0, 0], 20)
  bytes.set(data, 28)
  return bytes
}

const gc: () => void = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

/** Bytes in use, heap and buffers, after everything else was collected; memory of buffers is given back a little later. */
export async function memoryInUse (): Promise<number> {
  let least = Infinity
  for (let i = 0; i < 5; i++) {
    gc()
    await turn()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    least = Math.min(least, heapUsed + arrayBuffers)
  }
  return least
}

/** Sockets and timers that are open in this process: '' when there are none. */
export const handles = (): string => process.getActiveResourcesInfo().filter((kind) => /TCP|TLS|GetAddrInfo|Timeout/.test(kind)).sort().join()
