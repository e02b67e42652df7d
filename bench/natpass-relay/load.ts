/**
 * Two clients of a natpass server that cost as little as possible: one writes frames that were made beforehand, the other counts the bytes
 * that come. At most `WINDOW` bytes are under way, so that no server drops any.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { MessageType, SERVER } from '../../src/nodes/natpass/protocol/message-types.ts'
import { frameOf, type MessageInit } from '../../src/nodes/natpass/protocol/messages.ts'
import { proofOf, stepAt } from '../../src/nodes/natpass/protocol/proof.ts'

const WINDOW = 512 * 1024
const BLOCK = 64 * 1024
/** Milliseconds that a server has for an answer. */
const PATIENCE = 10_000
/** Milliseconds between two attempts to open a link, until the server knows its other end. */
const PAUSE = 20

const SHELL = 2
const LINK = '0123456789abcdef'

let pairs = 0

async function join (port: number, secret: string, id: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {}) // whoever waits for something of it sees that it is closed
  await once(socket, 'connect')
  socket.write(frameOf({ _type: MessageType.handshake, from: id, to: SERVER, hsp: { enc: proofOf(secret, stepAt(Date.now())) } }))
  return socket
}

/** A message to oneself comes back once those before it were handled. */
async function settled (socket: Socket, id: string): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE)
  for (;;) {
    socket.write(frameOf({ _type: MessageType.forward, from: id, to: id }))
    if (await Promise.race([once(socket, 'data', { signal }).then(() => true), delay(PAUSE, false)])) return
  }
}

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
    const count = pairs++
    const [from, to, link] = [`a${count}`, `b${count}`, `${LINK.slice(0, -4)}${String(count).padStart(4, '0')}`]
    const [sender, receiver] = [await join(port, secret, from), await join(port, secret, to)]
    await settled(sender, from)
    await settled(receiver, to)
    const say = (message: MessageInit): Buffer => frameOf({ from, to, link_id: link, ...message })
    sender.write(say({ _type: MessageType.connectReq, creq: { name: 'bench', _type: SHELL, cshell: {} } }))
    await once(receiver, 'data', { signal: AbortSignal.timeout(PATIENCE) })
    receiver.write(say({ _type: MessageType.connectRep, from: to, to: from, crep: { ok: true } }))
    await once(sender, 'data', { signal: AbortSignal.timeout(PATIENCE) })
    sender.resume()
    return new Pair(sender, receiver, say({ _type: MessageType.shellData, sdata: { data: Buffer.alloc(size, 'd') } }))
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
