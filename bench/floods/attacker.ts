/**
 * Floods a relay with one kind of frame, in a process of its own. Started with the port, the password, the kind, `member` or
 * `stranger`, and over how many connections; it says `ready` over IPC, sends at 100 Mbit/s in all from the first message on, and with the
 * second one says how many bytes it has sent, and ends. It ends with the channel as well.
 */
import { randomInt } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { wrapForward } from '../../src/nodes/candy/protocol/forward.ts'
import { encodeAuth, encodeDhcp, encodeVmac } from '../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../src/nodes/candy/protocol/hashes.ts'
import { encodeDiscovery } from '../../src/nodes/candy/protocol/messages.ts'
import { LIMITED_BROADCAST, writeHeader } from '../../src/net/ipv4.ts'
import { FrameEncoder } from '../../src/transforms/websocket-frames/index.ts'
import { join, upgrade } from '../relay/load.ts'

const [, , port, password, kind, who, connections] = process.argv
const way = { port: Number(port), password, tls: false }

/** Bytes of one millisecond of 100 Mbit/s, and of one write. */
const PER_MILLISECOND = 12_500
const BLOCK = 64 * 1024

const encoder = new FrameEncoder('client')
const secret = new Secret(password)
const timestamp = Math.floor(Date.now() / 1000)
const address = randomInt(0x0d00_0001, 0x0dff_0000)

/** A packet of 64 bytes to nobody. */
function packet (source: number): Uint8Array {
  const bytes = new Uint8Array(64)
  writeHeader(bytes, { protocol: 17, source, destination: 0x0e00_0001, totalLength: bytes.length })
  return bytes
}

/** Of the member with this address, where it matters. */
const FRAMES: Record<string, (address: number) => Uint8Array> = {
  ping: () => encoder.ping(new Uint8Array(0)),
  pong: () => encoder.pong(new Uint8Array(0)),
  text: () => encoder.text(''),
  empty: () => encoder.push([new Uint8Array(0)])[0],
  unknown: () => encoder.push([new Uint8Array([9])])[0],
  VMAC: () => encoder.push([encodeVmac({ secret, vmac: 'f'.repeat(16), timestamp })])[0],
  FORWARD: (source) => encoder.push([wrapForward(packet(source))])[0],
  DISCOVERY: (source) => encoder.push([encodeDiscovery({ source, destination: LIMITED_BROADCAST })])[0],
  AUTH: (address) => encoder.push([encodeAuth({ secret, address, timestamp })])[0],
  DHCP: () => encoder.push([encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp })])[0]
}

class Flood {
  sent = 0
  readonly #address: number
  readonly #block: Buffer
  #socket: Socket | undefined
  #isOpening = false
  /** Bytes that were due when some could not be sent, and are not made up for. */
  #missed = 0

  constructor (address: number) {
    this.#address = address
    const frame = FRAMES[kind](address)
    this.#block = Buffer.alloc(Math.floor(BLOCK / frame.length) * frame.length, frame)
  }

  async open (): Promise<void> {
    this.#isOpening = true
    try {
      this.#socket = who === 'member' ? await join(way, this.#address) : await stranger()
      this.#socket.resume()
    } finally {
      this.#isOpening = false
    }
  }

  /** @param due bytes that this one may have sent by now */
  send (due: number): void {
    const socket = this.#socket
    if (socket === undefined || socket.closed) {
      if (!this.#isOpening) this.open().catch(() => {}) // one that was ended comes again, as soon as it is let in
      return
    }
    while (this.sent + this.#missed < due && socket.writableLength === 0) {
      socket.write(this.#block)
      this.sent += this.#block.length
    }
    if (socket.writableLength > 0) this.#missed = Math.max(this.#missed, due - this.sent)
  }
}

async function stranger (): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: way.port })
  socket.on('error', () => {})
  await upgrade(socket)
  return socket
}

const floods = Array.from({ length: Number(connections) }, (_, i) => new Flood(address + i))
await Promise.all(floods.map((flood) => flood.open()))

process.once('message', () => {
  const begin = performance.now()
  setInterval(() => {
    const due = (performance.now() - begin) * PER_MILLISECOND / floods.length
    for (const flood of floods) flood.send(due)
  }, 1)
  process.once('message', () => {
    process.send?.({ sent: floods.reduce((sum, { sent }) => sum + sent, 0) }, () => { process.exit() })
  })
})
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
