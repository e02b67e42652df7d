/**
 * Floods a relay with one kind of frame, in a process of its own. Started with the port, the password, the kind and `member` or
 * `stranger`; it says `ready` over IPC, sends at 100 Mbit/s from the first message on, and ends with the second one or the channel.
 */
import { randomInt } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { encodeAuth, encodeDhcp, encodeVmac } from '../../src/nodes/candy/handshake.ts'
import { Secret } from '../../src/nodes/candy/hashes.ts'
import { FrameEncoder } from '../../src/transforms/websocket-frames/index.ts'
import { join, upgrade } from '../relay/load.ts'

const [, , port, password, kind, who] = process.argv
const way = { port: Number(port), password, tls: false }

/** Bytes of one millisecond of 100 Mbit/s, and of one write. */
const PER_MILLISECOND = 12_500
const BLOCK = 64 * 1024

const encoder = new FrameEncoder('client')
const secret = new Secret(password)
const timestamp = Math.floor(Date.now() / 1000)
const address = randomInt(0x0d00_0001, 0x0dff_fffe)

const FRAMES: Record<string, () => Uint8Array> = {
  ping: () => encoder.ping(new Uint8Array(0)),
  pong: () => encoder.pong(new Uint8Array(0)),
  text: () => encoder.text(''),
  empty: () => encoder.push([new Uint8Array(0)])[0],
  unknown: () => encoder.push([new Uint8Array([9])])[0],
  VMAC: () => encoder.push([encodeVmac({ secret, vmac: 'f'.repeat(16), timestamp })])[0],
  AUTH: () => encoder.push([encodeAuth({ secret, address, timestamp })])[0],
  DHCP: () => encoder.push([encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp })])[0]
}

async function open (): Promise<Socket> {
  if (who === 'member') return await join(way, address)
  const socket = connect({ host: '127.0.0.1', port: way.port })
  socket.on('error', () => {})
  await upgrade(socket)
  return socket
}

const frame = FRAMES[kind]()
const block = Buffer.alloc(Math.floor(BLOCK / frame.length) * frame.length, frame)
let socket = await open()
let begin = 0
let sent = 0

function flood (): void {
  const due = (performance.now() - begin) * PER_MILLISECOND
  while (sent < due && socket.writableLength === 0 && !socket.closed) {
    socket.write(block)
    sent += block.length
  }
  if (socket.writableLength > 0) sent = Math.max(sent, due) // what could not be sent is not made up for
}

process.once('message', () => {
  begin = performance.now()
  setInterval(flood, 1)
  setInterval(() => { if (socket.closed) void open().then((next) => { socket = next }, () => {}) }, 100) // one that was ended comes again
  process.once('message', () => { process.exit() })
})
process.on('disconnect', () => { process.exit() })
socket.resume()
process.send?.('ready')
