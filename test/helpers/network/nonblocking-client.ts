/**
 * A client of candy that treats its socket as the original one does: it never waits for a part of a frame, neither for one to come nor
 * for one to go. Started in a network namespace by whole-frames.test.ts, which tells it over the IPC channel what to do.
 *
 * What comes is read by calls of `recv` for the first two bytes, the length and the payload; a frame whose rest is not there yet ends
 * the connection. What goes is given to one `send` a frame; the rest that this does not take is forgotten, and the next frame follows.
 */
import { createHash, randomBytes } from 'node:crypto'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import koffi from 'koffi'
import { FORWARD_PACKET, wrapForward } from '../../../src/nodes/candy/protocol/forward.ts'
import { encodeAuth, encodeVmac } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { MAX_LENGTH, MessageType } from '../../../src/nodes/candy/protocol/messages.ts'
import { HEADER_LENGTH, parseAddress, protocols, readU16, readU32, sourceOf, writeHeader, writeU16, writeU32 } from '../../../src/net/ipv4.ts'
import { upgradeRequest } from '../raw-sockets.ts'
import { serve } from './serve.ts'

/** Milliseconds until it connects again. The original takes 3 s, which would hide how many frames arrive in two parts. */
const RECONNECT_AFTER = 200

/** Seconds that the other side may take to answer the request for a WebSocket. */
const UPGRADE_PATIENCE = 5

/** Milliseconds of silence after which the other side is pinged. */
const PING_AFTER = 15_000

/** Milliseconds after which it ends, whatever happens. */
const LIFETIME = 120_000

/** Frames that are read, or written, until it is the turn of something else. */
const BATCH = 64

/** Milliseconds to wait for something to read: with packets to send, and without. */
const BUSY_WAIT = 1
const IDLE_WAIT = 5

const AF_INET = 2
const SOCK_STREAM = 1
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVTIMEO = 20
const MSG_NOSIGNAL = 0x4000
const F_SETFL = 4
const O_NONBLOCK = 0x800
const POLLIN = 1
const POLLOUT = 4
const EAGAIN = 11

const OP_BINARY = 2
const OP_CLOSE = 8
const OP_PING = 9
const OP_PONG = 10

const UDP_HEADER = 8

/** Bytes of a packet in front of its pattern: headers and the number. */
const PATTERN_AT = HEADER_LENGTH + UDP_HEADER + 4

const library = koffi.load(null)
const libc = {
  socket: library.func('socket', 'int', ['int', 'int', 'int']),
  connect: library.func('connect', 'int', ['int', 'void *', 'unsigned int']),
  setsockopt: library.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'unsigned int']),
  fcntl: library.func('fcntl', 'int', ['int', 'int', 'int']),
  poll: library.func('poll', 'int', ['void *', 'unsigned long', 'int']),
  recv: library.func('recv', 'long', ['int', 'void *', 'size_t', 'int']),
  send: library.func('send', 'long', ['int', 'void *', 'size_t', 'int']),
  close: library.func('close', 'int', ['int'])
}

export interface StartInit {
  /** Where the relay listens. */
  host: string
  port: number
  password: string
  /** The virtual address that it takes. */
  address: string
  /** The version in the ping that follows AUTH; null: no such ping. */
  version: string | null
  /** Bytes that the kernel may hold for it; what it makes of that is up to the kernel. */
  sendBuffer?: number
}

export interface FloodInit {
  /** The virtual address that the packets go to. */
  to: string
  /** Bytes of the packets, one after the other. Each place in here has its own UDP port, from `flow` on, and its own numbers. */
  sizes: number[]
  flow: number
  /** It ends after so many packets, or milliseconds, or frames that were cut. */
  count: number
  milliseconds: number
  mostCuts?: number
  /** Bits of packets a second, in frames that the socket has room for. Default: as fast as it goes, into a full socket as well. */
  rate?: number
}

export interface Report {
  connections: number
  /** Packets that were as they had been sent, and their bytes. */
  packets: number
  bytes: number
  /** The number of the last packet of each UDP port. */
  last: Record<number, number>
  /** Packets that came behind one with a higher number. */
  disordered: number
  /** Messages that are no packet as it had been sent. */
  altered: number
  /** Connections given up, as a part of a frame was not there yet: which frame, and what was missing. */
  cutReads: string[]
  /** Connections given up for a frame that was too long, or that nobody may send. */
  wrongFrames: string[]
  /** Connections that the other side has closed or refused, in its words. */
  closes: string[]
  pings: number
  /** Packets of which the socket took the whole frame. */
  sent: number
  /** Frames of which the socket took a part, and none. */
  cutSends: number
  droppedSends: number
}

/** What ends a connection. */
class ConnectionEnd extends Error {
  readonly why: 'cutReads' | 'wrongFrames' | 'closes'

  constructor (why: ConnectionEnd['why'], message: string) {
    super(message)
    this.why = why
  }
}

const words = (...values: number[]): Uint8Array => new Uint8Array(new Int32Array(values).buffer)

interface Frame {
  opcode: number
  payload: Uint8Array
}

/** A WebSocket on a socket of its own. */
class Connection {
  readonly #fd: number
  readonly #polled = new ArrayBuffer(8)
  #isOpen = true
  #frames = 0

  /** Takes its time until it is a WebSocket, and then never again. */
  constructor ({ host, port, sendBuffer }: StartInit) {
    this.#fd = libc.socket(AF_INET, SOCK_STREAM, 0)
    try {
      // Before it connects, as the window depends on it.
      if (sendBuffer !== undefined) this.#option(SOL_SOCKET, SO_SNDBUF, words(sendBuffer))
      this.#option(IPPROTO_TCP, TCP_NODELAY, words(1))
      this.#option(SOL_SOCKET, SO_RCVTIMEO, new Uint8Array(new BigInt64Array([BigInt(UPGRADE_PATIENCE), 0n]).buffer))
      const address = new Uint8Array(16)
      address.set(new Uint8Array(new Uint16Array([AF_INET]).buffer))
      writeU16(address, 2, port)
      writeU32(address, 4, addressOf(host))
      if (libc.connect(this.#fd, address, address.length) !== 0) throw this.#failure('connect')
      this.#upgrade(`${host}:${port}`)
      libc.fcntl(this.#fd, F_SETFL, O_NONBLOCK)
    } catch (err) {
      this.close()
      throw err
    }
  }

  #option (level: number, name: number, value: Uint8Array): void {
    if (libc.setsockopt(this.#fd, level, name, value, value.length) !== 0) throw this.#failure('setsockopt')
  }

  #failure (call: string): ConnectionEnd { return new ConnectionEnd('closes', `${call}: error ${koffi.errno()}`) }

  #upgrade (host: string): void {
    const request = Buffer.from(upgradeRequest({ Host: host, 'Sec-WebSocket-Key': randomBytes(16).toString('base64') }))
    if (libc.send(this.#fd, request, request.length, MSG_NOSIGNAL) !== request.length) throw this.#failure('send')
    const byte = new Uint8Array(1) // one by one, as the first frame may follow at once
    let head = ''
    while (!head.endsWith('\r\n\r\n')) {
      if (libc.recv(this.#fd, byte, 1, 0) !== 1) throw this.#failure('upgrade')
      head += String.fromCharCode(byte[0])
    }
    if (!head.startsWith('HTTP/1.1 101 ')) throw new ConnectionEnd('closes', head.split('\r\n')[0])
  }

  close (): void {
    if (this.#isOpen) libc.close(this.#fd)
    this.#isOpen = false
  }

  /** Whether there is something to read, at once or within so many milliseconds. */
  readable (milliseconds: number): boolean { return this.#poll(POLLIN, milliseconds) }

  /** Whether a frame has room. */
  writable (): boolean { return this.#poll(POLLOUT, 0) }

  #poll (events: number, milliseconds: number): boolean {
    new Int32Array(this.#polled)[0] = this.#fd
    new Int16Array(this.#polled)[2] = events
    return libc.poll(new Uint8Array(this.#polled), 1, milliseconds) > 0
  }

  /** Reads one frame, which has to be there. */
  read (): Frame {
    this.#frames++
    const [first, second] = this.#receive(2)
    const short = second & 0x7f
    const isMasked = (second & 0x80) !== 0
    const size = short === 126 ? readU16(this.#receive(2), 0) : short
    if (isMasked || (first & 0xf0) !== 0x80) throw new ConnectionEnd('wrongFrames', `a frame that begins with ${first} ${second}`)
    if (short === 127 || size > MAX_LENGTH) throw new ConnectionEnd('wrongFrames', `a frame of ${short === 127 ? 'very many' : size} bytes`)
    return { opcode: first & 0x0f, payload: this.#receive(size) }
  }

  /** As many bytes, in as many calls as it takes; each of them has to bring something. */
  #receive (size: number): Uint8Array {
    const bytes = new Uint8Array(size)
    for (let at = 0; at < size;) {
      const got = libc.recv(this.#fd, bytes.subarray(at), size - at, 0)
      if (got === 0) throw new ConnectionEnd('closes', 'end of the stream')
      if (got < 0) {
        if (koffi.errno() !== EAGAIN) throw this.#failure('recv')
        throw new ConnectionEnd('cutReads', `frame ${this.#frames}: ${at} of ${size} bytes`)
      }
      at += got
    }
    return bytes
  }

  /** Gives a frame to the socket, once. */
  write (opcode: number, payload: Uint8Array): 'whole' | 'cut' | 'dropped' {
    const frame = maskedFrame(opcode, payload)
    const taken = libc.send(this.#fd, frame, frame.length, MSG_NOSIGNAL)
    if (taken < 0) {
      if (koffi.errno() !== EAGAIN) throw this.#failure('send')
      return 'dropped'
    }
    return taken === frame.length ? 'whole' : 'cut'
  }
}

/** RFC 6455 section 5.2. */
function maskedFrame (opcode: number, payload: Uint8Array): Uint8Array {
  const mask = payload.length < 126 ? 2 : 4
  const frame = new Uint8Array(mask + 4 + payload.length)
  frame[0] = 0x80 | opcode
  frame[1] = 0x80 | Math.min(payload.length, 126)
  if (mask === 4) writeU16(frame, 2, payload.length)
  writeU32(frame, mask, Math.floor(Math.random() * 2 ** 32))
  for (let i = 0; i < payload.length; i++) frame[mask + 4 + i] = payload[i] ^ frame[mask + (i & 3)]
  return frame
}

function addressOf (text: string): number {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`not an address: ${text}`)
  return address
}

/** Bytes of which no part is like another. */
const noise = Buffer.concat(Array.from({ length: 128 }, (_, i) => createHash('sha256').update(String(i)).digest()))

interface PacketInit {
  source: number
  destination: number
  size: number
  port: number
  number: number
}

/** A datagram of UDP, without a checksum of its own; its number says what else is in it. */
function packetOf ({ source, destination, size, port, number }: PacketInit): Uint8Array {
  const packet = new Uint8Array(size)
  writeHeader(packet, { protocol: protocols.udp, source, destination, totalLength: size, id: number & 0xffff })
  writeU16(packet, HEADER_LENGTH, port)
  writeU16(packet, HEADER_LENGTH + 2, port)
  writeU16(packet, HEADER_LENGTH + 4, size - HEADER_LENGTH)
  writeU32(packet, HEADER_LENGTH + UDP_HEADER, number)
  const from = number % 2048
  packet.set(noise.subarray(from, from + size - PATTERN_AT), PATTERN_AT)
  return packet
}

/** A flood that goes on. */
interface Flood {
  init: FloodInit
  begin: number
  tried: number
  bytes: number
  cuts: number
  end: () => void
}

class Client {
  readonly report: Report = {
    connections: 0,
    packets: 0,
    bytes: 0,
    last: {},
    disordered: 0,
    altered: 0,
    cutReads: [],
    wrongFrames: [],
    closes: [],
    pings: 0,
    sent: 0,
    cutSends: 0,
    droppedSends: 0
  }

  /** Resolves once AUTH is sent and, after a greeting, that is answered. */
  readonly joined: Promise<void>
  readonly #init: StartInit
  readonly #address: number
  readonly #greeting: Uint8Array | undefined
  readonly #secret: Secret
  readonly #vmac = randomBytes(8).toString('hex')
  /** The number of the next packet of each UDP port. */
  readonly #numbers = new Map<number, number>()
  #onJoined = (): void => {}
  #flood: Flood | undefined
  #heardAt = 0
  #pingedAt = 0

  constructor (init: StartInit) {
    this.#init = init
    this.#address = addressOf(init.address)
    this.#greeting = init.version === null ? undefined : Buffer.from(`candy::linux::${init.version}::host`)
    this.#secret = new Secret(init.password)
    this.joined = new Promise((resolve) => { this.#onJoined = resolve })
  }

  async run (): Promise<void> {
    for (;;) {
      let connection: Connection | undefined
      try {
        this.report.connections++
        connection = new Connection(this.#init)
        await this.#serve(connection)
      } catch (err) {
        if (!(err instanceof ConnectionEnd)) throw err
        this.report[err.why].push(err.message)
      } finally {
        connection?.close()
      }
      await delay(RECONNECT_AFTER)
    }
  }

  /** Sends packets; resolves at the end of that. */
  async flood (init: FloodInit): Promise<void> {
    await new Promise<void>((resolve) => { this.#flood = { init, begin: performance.now(), tried: 0, bytes: 0, cuts: 0, end: resolve } })
  }

  async #serve (connection: Connection): Promise<void> {
    const timestamp = Math.floor(Date.now() / 1000)
    this.#write(connection, OP_BINARY, encodeVmac({ secret: this.#secret, vmac: this.#vmac, timestamp }))
    this.#write(connection, OP_BINARY, encodeAuth({ secret: this.#secret, address: this.#address, timestamp }))
    if (this.#greeting !== undefined) this.#write(connection, OP_PING, this.#greeting)
    else this.#onJoined()
    this.#heardAt = performance.now()
    for (;;) {
      this.#sendDue(connection)
      let wait = this.#flood === undefined ? IDLE_WAIT : this.#flood.init.rate === undefined ? 0 : BUSY_WAIT
      for (let i = 0; i < BATCH && connection.readable(wait); i++) {
        this.#take(connection, connection.read())
        wait = 0
      }
      this.#keepAlive(connection)
      await turn() // for what the test says
    }
  }

  #take (connection: Connection, { opcode, payload }: Frame): void {
    this.#heardAt = performance.now()
    switch (opcode) {
      case OP_BINARY: this.#receive(payload); break
      case OP_PING:
        this.report.pings++
        this.#write(connection, OP_PONG, payload)
        break
      case OP_PONG:
        if (this.#greeting !== undefined && Buffer.compare(payload, this.#greeting) === 0) this.#onJoined()
        break
      case OP_CLOSE:
        throw new ConnectionEnd('closes', `close${payload.length < 2 ? '' : ` ${readU16(payload, 0)}`} ${Buffer.from(payload.subarray(2)).toString()}`)
      default: throw new ConnectionEnd('wrongFrames', `opcode ${opcode}`)
    }
  }

  #receive (message: Uint8Array): void {
    const { report } = this
    const packet = message.subarray(FORWARD_PACKET)
    if (message[0] !== MessageType.FORWARD || packet.length < PATTERN_AT) {
      report.altered++
      return
    }
    const port = readU16(packet, HEADER_LENGTH)
    const number = readU32(packet, HEADER_LENGTH + UDP_HEADER)
    const original = packetOf({ source: sourceOf(packet), destination: this.#address, size: packet.length, port, number })
    if (Buffer.compare(packet, original) !== 0) {
      report.altered++
      return
    }
    report.packets++
    report.bytes += packet.length
    if (number <= (report.last[port] ?? -1)) report.disordered++
    else report.last[port] = number
  }

  #keepAlive (connection: Connection): void {
    const now = performance.now()
    if (this.#greeting === undefined || now - Math.max(this.#heardAt, this.#pingedAt) < PING_AFTER) return
    this.#pingedAt = now
    this.#write(connection, OP_PING, this.#greeting)
  }

  #sendDue (connection: Connection): void {
    const flood = this.#flood
    if (flood === undefined) return
    const { to, sizes, flow, count, milliseconds, mostCuts = Infinity, rate } = flood.init
    const elapsed = performance.now() - flood.begin
    for (let i = 0; i < BATCH; i++) {
      if (flood.tried >= count || elapsed >= milliseconds || flood.cuts >= mostCuts) {
        this.#flood = undefined
        flood.end()
        return
      }
      if (rate !== undefined && (flood.bytes * 8 > rate * elapsed / 1000 || !connection.writable())) return
      const size = sizes[flood.tried % sizes.length]
      const port = flow + flood.tried % sizes.length
      const number = this.#numbers.get(port) ?? 0
      this.#numbers.set(port, number + 1)
      flood.tried++
      flood.bytes += size
      const packet = packetOf({ source: this.#address, destination: addressOf(to), size, port, number })
      const written = this.#write(connection, OP_BINARY, wrapForward(packet))
      if (written === 'whole') this.report.sent++
      else if (written === 'cut') flood.cuts++
    }
  }

  #write (connection: Connection, opcode: number, payload: Uint8Array): ReturnType<Connection['write']> {
    const written = connection.write(opcode, payload)
    if (written === 'cut') this.report.cutSends++
    else if (written === 'dropped') this.report.droppedSends++
    return written
  }
}

let client: Client | undefined

function started (): Client {
  if (client === undefined) throw new Error('not started')
  return client
}

const commands = {
  /** Connects, and again whenever the connection has ended; resolves once it is in the network. */
  async start (init: StartInit): Promise<void> {
    client = new Client(init)
    void client.run()
    await client.joined
  },

  /** Sends packets; what is known at the end. */
  async flood (init: FloodInit): Promise<Report> {
    await started().flood(init)
    return started().report
  },

  async report (): Promise<Report> { return started().report }
}

export type Commands = typeof commands

serve(commands)
setTimeout(() => { process.exit(1) }, LIFETIME)
