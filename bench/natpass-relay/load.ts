/** Clients of a natpass server that cost as little as possible: they write frames that were made beforehand, and count the bytes that come. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { MessageType, SERVER } from '../../src/nodes/natpass/protocol/message-types.ts'
import { frameOf } from '../../src/nodes/natpass/protocol/messages.ts'
import { proofOf, stepAt } from '../../src/nodes/natpass/protocol/proof.ts'

/** Bytes under way at most, so that no server drops any. */
const WINDOW = 512 * 1024
const BLOCK = 64 * 1024
/** Milliseconds that a server has for an answer. */
const PATIENCE = 10_000
/** Milliseconds between two attempts to open a link, until the server knows its other end. */
const PAUSE = 20

const SHELL = 2
const LINK = '0123456789abcdef'

let pairs = 0

/** @param localAddress of the loopback; servers limit the connections from one */
async function join (port: number, secret: string, id: string, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
  socket.on('error', () => {}) // whoever waits for something of it sees that it is closed
  await once(socket, 'connect')
  socket.write(frameOf({ _type: MessageType.handshake, from: id, to: SERVER, hsp: { enc: proofOf(secret, stepAt(Date.now())) } }))
  return socket
}

/** A message to oneself comes back once those before it were handled. */
async function settled (socket: Socket, id: string): Promise<void> {
  const answered = once(socket, 'data', { signal: AbortSignal.timeout(PATIENCE) }).then(() => true)
  do {
    socket.write(frameOf({ _type: MessageType.forward, from: id, to: id }))
  } while (!await Promise.race([answered, delay(PAUSE, false)]))
}

/** A client that has authenticated and says nothing. */
export async function idle (port: number, secret: string, id: string, localAddress: string): Promise<Socket> {
  const socket = await join(port, secret, id, localAddress)
  await settled(socket, id)
  return socket.resume()
}

/** Two clients with a link from one to the other. */
interface Linked {
  sender: Socket
  receiver: Socket
  /** Shell data, by default of the sender. */
  frame (size: number, from?: 'sender' | 'receiver'): Buffer
}

export async function openLink (port: number, secret: string): Promise<Linked> {
  const count = pairs++
  const [from, to, link] = [`a${count}`, `b${count}`, `${LINK.slice(0, -4)}${String(count).padStart(4, '0')}`]
  const [sender, receiver] = [await join(port, secret, from), await join(port, secret, to)]
  await settled(sender, from)
  await settled(receiver, to)
  const ends = { sender: { from, to, link_id: link }, receiver: { from: to, to: from, link_id: link } }
  sender.write(frameOf({ ...ends.sender, _type: MessageType.connectReq, creq: { name: 'bench', _type: SHELL, cshell: {} } }))
  await once(receiver, 'data', { signal: AbortSignal.timeout(PATIENCE) })
  receiver.write(frameOf({ ...ends.receiver, _type: MessageType.connectRep, crep: { ok: true } }))
  await once(sender, 'data', { signal: AbortSignal.timeout(PATIENCE) })
  return { sender, receiver, frame: (size, from = 'sender') => frameOf({ ...ends[from], _type: MessageType.shellData, sdata: { data: Buffer.alloc(size, 'd') } }) }
}

/** One writes, the other counts what arrives. */
export class Pair {
  readonly #sender: Socket
  readonly #receiver: Socket
  readonly #block: Buffer
  readonly #blockFrames: number
  readonly #frame: number
  #sent = 0
  #bytes = 0
  #isRunning = false
  #onDrained: (() => void) | undefined

  private constructor (sender: Socket, receiver: Socket, frame: Buffer) {
    this.#sender = sender
    this.#receiver = receiver
    this.#frame = frame.length
    this.#blockFrames = Math.max(1, Math.floor(BLOCK / frame.length))
    this.#block = Buffer.concat(Array<Buffer>(this.#blockFrames).fill(frame))
    receiver.on('data', (bytes) => {
      this.#bytes += bytes.length
      this.#push()
      if (this.delivered >= this.#sent) this.#onDrained?.()
    })
    for (const socket of [sender, receiver]) socket.once('close', () => { this.#onDrained?.() })
  }

  /** @param size bytes of data in each message */
  static async open (port: number, secret: string, size: number): Promise<Pair> {
    const { sender, receiver, frame } = await openLink(port, secret)
    sender.resume()
    return new Pair(sender, receiver, frame(size))
  }

  /** Frames that have arrived since the start. */
  get delivered (): number { return Math.floor(this.#bytes / this.#frame) }

  get #isClosed (): boolean { return this.#sender.closed || this.#receiver.closed }

  start (): void {
    this.#sent = this.#bytes = 0
    this.#isRunning = true
    this.#push()
  }

  /** Settles when everything that was sent has arrived. */
  async stop (): Promise<void> {
    this.#isRunning = false
    if (this.delivered < this.#sent && !this.#isClosed) {
      const drained = new Promise<boolean>((resolve) => { this.#onDrained = () => { resolve(true) } })
      if (!await Promise.race([drained, delay(PATIENCE, false)])) throw new Error(`${this.#sent - this.delivered} of ${this.#sent} frames were lost`)
    }
    if (this.#isClosed) throw new Error('the server has closed a connection')
  }

  close (): void {
    this.#sender.destroy()
    this.#receiver.destroy()
  }

  #push (): void {
    while (this.#isRunning && (this.#sent + this.#blockFrames) * this.#frame - this.#bytes <= WINDOW) {
      this.#sender.write(this.#block)
      this.#sent += this.#blockFrames
    }
  }
}
