/**
 * Clients that cost as little as possible: they write frames that were made beforehand, and count the bytes that come.
 *
 * So that hardly anything is dropped, a sender has at most `WINDOW` bytes under way.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { greeting as ownGreeting } from '../../src/nodes/candy/protocol/greeting.ts'
import { encodeAuth } from '../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../src/nodes/candy/protocol/hashes.ts'
import { wrapForward } from '../../src/nodes/candy/protocol/forward.ts'
import { FrameEncoder } from '../../src/transforms/websocket-frames/index.ts'
import { writeHeader } from '../../src/net/ipv4.ts'
import { loadLibc } from '../../src/net/native/libc.ts'

/** Milliseconds that a relay has for an answer. */
const PATIENCE = 10_000
const WINDOW = 512 * 1024
const BLOCK = 64 * 1024

const encoder = new FrameEncoder('client')

/** The segment size of Ethernet, which the loopback interface has not. */
const ETHERNET_SEGMENT = 1460

/** To a relay on this machine. */
export interface Way {
  port: number
  password: string
  /** By TLS, whatever the certificate. */
  tls: boolean
  /** With segments as on Ethernet. Linux only, and takes koffi. Default: those of the loopback interface. */
  ethernet?: boolean
  /** What the client says it is. Default: our own peer. */
  greeting?: string
}

/** Upgrades and authenticates; the address is the client's own. */
export async function join ({ port, password, tls, ethernet = false, greeting = ownGreeting('bench') }: Way, address: number): Promise<Socket> {
  const tcp = ethernet ? await ethernetSocket() : new Socket()
  tcp.setNoDelay().connect({ host: '127.0.0.1', port })
  const socket = tls ? connectTls({ socket: tcp, rejectUnauthorized: false }) : tcp
  for (const each of [tcp, socket]) each.on('error', () => {}) // whoever waits for something of it sees that it is closed
  await upgrade(socket)
  socket.write(encoder.push([encodeAuth({ secret: new Secret(password), address, timestamp: Math.floor(Date.now() / 1000) })])[0])
  // A pong comes after AUTH was handled.
  socket.write(encoder.ping(Buffer.from(greeting)))
  await answer(socket)
  return socket
}

/** Makes a WebSocket of it. */
export async function upgrade (socket: Socket): Promise<void> {
  socket.write(`GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`)
  const response = await answer(socket)
  if (!response.includes(' 101 ')) throw new Error(`no upgrade: ${response.toString()}`)
}

/** Not connected yet. */
async function ethernetSocket (): Promise<Socket> {
  const libc = await loadLibc()
  const fd = libc.socket(2, 1, 0) // AF_INET, SOCK_STREAM
  libc.setsockopt(fd, 6, 2, new Uint8Array(new Int32Array([ETHERNET_SEGMENT]).buffer), 4) // IPPROTO_TCP, TCP_MAXSEG
  return new Socket({ fd })
}

async function answer (socket: Socket): Promise<Buffer> {
  const signal = AbortSignal.timeout(PATIENCE)
  return (await once(socket, 'data', { signal }))[0]
}

/** One sender and one receiver. */
export class Pair {
  readonly #sender: Socket
  readonly #block: Uint8Array
  readonly #blockPackets: number
  /** Bytes of one packet as it arrives. */
  readonly #frame: number
  readonly #window: number
  #sent = 0
  #bytes = 0
  #running = false
  #onDrained: (() => void) | undefined
  readonly #receiver: Socket

  private constructor (sender: Socket, receiver: Socket, source: number, destination: number, size: number) {
    const packet = new Uint8Array(size).fill(0x5a)
    writeHeader(packet, { protocol: 17, source, destination, totalLength: size })
    const message = wrapForward(packet)
    this.#blockPackets = Math.floor(BLOCK / (message.length + 8))
    this.#block = encoder.push(Array(this.#blockPackets).fill(message))[0]
    this.#frame = message.length + (message.length < 126 ? 2 : 4)
    this.#window = Math.floor(WINDOW / this.#frame)
    this.#sender = sender
    this.#receiver = receiver
    receiver.on('data', (bytes) => {
      this.#bytes += bytes.length
      this.#push()
      if (this.delivered === this.#sent) this.#onDrained?.()
    })
    for (const socket of [sender, receiver]) socket.once('close', () => { this.#onDrained?.() })
  }

  static async open (way: Way, size: number): Promise<Pair> {
    const source = randomInt(0x0a00_0001, 0x0aff_fffe)
    const destination = source + 1
    return new Pair(await join(way, source), await join(way, destination), source, destination, size)
  }

  get #isClosed (): boolean { return this.#sender.closed || this.#receiver.closed }

  /** Packets that have arrived. */
  get delivered (): number { return Math.floor(this.#bytes / this.#frame) }

  start (): void {
    this.#running = true
    this.#push()
  }

  stop (): void { this.#running = false }

  /** Packets that have not arrived yet. */
  get missing (): number { return this.#sent - this.delivered }

  /** What is missing is not coming any more. */
  forget (): void {
    this.#sent = this.delivered
    this.#onDrained?.()
  }

  /** Everything that was sent has arrived. */
  async drained (): Promise<void> {
    if (this.delivered < this.#sent && !this.#isClosed) await new Promise<void>((resolve) => { this.#onDrained = resolve })
    if (this.#isClosed) throw new Error('the relay has closed a connection')
  }

  close (): void {
    this.#sender.destroy()
    this.#receiver.destroy()
  }

  #push (): void {
    while (this.#running && this.#sent - this.delivered + this.#blockPackets <= this.#window) {
      this.#sender.write(this.#block)
      this.#sent += this.#blockPackets
    }
  }
}

/** Packets one by one from one member to another, and how long each is on its way. */
export class Probe {
  /** Packets that did not arrive. */
  lost = 0
  readonly #sender: Socket
  readonly #receiver: Socket
  readonly #frame: Uint8Array

  private constructor (sender: Socket, receiver: Socket, source: number) {
    const packet = new Uint8Array(64)
    writeHeader(packet, { protocol: 17, source, destination: source + 1, totalLength: packet.length })
    this.#frame = encoder.push([wrapForward(packet)])[0]
    this.#sender = sender
    this.#receiver = receiver
  }

  static async open (way: Way, source: number): Promise<Probe> { return new Probe(await join(way, source), await join(way, source + 1), source) }

  /** Milliseconds. */
  async once (): Promise<number> {
    const begin = performance.now()
    this.#sender.write(this.#frame)
    await answer(this.#receiver).catch(() => { this.lost++ })
    return performance.now() - begin
  }

  close (): void {
    this.#sender.destroy()
    this.#receiver.destroy()
  }
}

/** Milliseconds between two looks at what a relay has dropped. */
const LOOK = 200

/**
 * Everything that was sent has arrived, or was dropped: a relay that keeps queues short does that now and then, most of all while it is
 * being compiled.
 *
 * @param dropped how many packets it has dropped since they were sent
 * @throws {Error} when those were more than one in ten, as the figure means nothing then
 */
export async function settled (pairs: Pair[], dropped: () => Promise<number>, sent: number): Promise<void> {
  const all = Promise.all(pairs.map((pair) => pair.drained())).then(() => true)
  while (!await Promise.race([all, delay(LOOK, false)])) {
    const missing = pairs.reduce((sum, pair) => sum + pair.missing, 0)
    if (missing > await dropped()) continue
    for (const pair of pairs) pair.forget()
  }
  const lost = await dropped()
  if (lost * 10 > sent) throw new Error(`${lost} of ${sent} packets were dropped, so the figure means nothing`)
}
