/**
 * One end of a TCP connection, with frames and messages as the protocol's document has them. No code of the library: what is
 * wrong there would be wrong here as well.
 */
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type Json = Record<string, unknown>

/** As the original's encoder writes it: no blanks, keys in the order in which they were set. Only for values that need no escapes. */
export const encode = (message: Json): Buffer => Buffer.from(JSON.stringify(message))

/** Length and body (section 1), in two parts. */
export function frameParts (body: Uint8Array): [Buffer, Buffer] {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(body.length)
  return [header, Buffer.from(body)]
}

export const frame = (message: Json): Buffer => Buffer.concat(frameParts(encode(message)))

/** Bytes that have come, for whoever asks for so many of them. */
export class Inbox {
  /** Nothing comes any more. */
  readonly ended: Promise<void>
  #rest: Buffer = Buffer.alloc(0)
  #isOver = false
  #end: () => void = () => {}
  readonly #events = new EventEmitter().setMaxListeners(0)

  constructor () {
    this.ended = new Promise((resolve) => { this.#end = resolve })
  }

  protected push (bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    this.#events.emit('more')
  }

  protected over (): void {
    this.#isOver = true
    this.#events.emit('more')
    this.#end()
  }

  /** So many bytes; throws when there is an end before. */
  async bytes (count: number): Promise<Buffer> {
    while (this.#rest.length < count) {
      if (this.#isOver) throw new Error(`the connection ended, ${this.#rest.length} bytes of ${count} had come`)
      await once(this.#events, 'more')
    }
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  async text (count: number): Promise<string> { return (await this.bytes(count)).toString('latin1') }

  /** All until the end. */
  async all (): Promise<Buffer> {
    await this.ended
    return await this.bytes(this.#rest.length)
  }

  /** Whether there is more in front of the end. */
  async hasMore (): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#isOver) await once(this.#events, 'more')
    return this.#rest.length > 0
  }
}

/** One end of a connection of its own, or of something that takes the place of one. */
export interface End extends Inbox {
  write (...parts: Array<Uint8Array | string>): void
  /** Its direction ends; the other one goes on. */
  end (): void
  reset (): void
}

export class Wire extends Inbox implements End {
  readonly socket: Socket

  constructor (socket: Socket) {
    super()
    this.socket = socket
    socket.setNoDelay(true)
    const over = (): void => { this.over() }
    socket.on('error', () => {}).on('end', over).on('close', over)
    socket.on('data', (bytes: Buffer) => { this.push(bytes) })
  }

  /** Connects to the loopback, or to one of this machine's own addresses, from that address. */
  static async dial (port: number, { host = '127.0.0.1', localAddress }: { host?: string, localAddress?: string } = {}): Promise<Wire> {
    const socket = connect({ host, port, localAddress, allowHalfOpen: true, noDelay: true })
    const wire = new Wire(socket)
    await once(socket, 'connect')
    return wire
  }

  /** Frames in two writes each, as the original writes them. */
  send (...messages: Json[]): void {
    for (const message of messages) for (const part of frameParts(encode(message))) this.socket.write(part)
  }

  write (...parts: Array<Uint8Array | string>): void { for (const part of parts) this.socket.write(part) }

  end (): void { this.socket.end() }

  reset (): void { this.socket.resetAndDestroy() }

  /** The next frame, with its length; undefined when the connection ends in front of it. */
  async frame (): Promise<Buffer | undefined> {
    if (!await this.hasMore()) return undefined
    const header = await this.bytes(4)
    return Buffer.concat([header, await this.bytes(header.readUInt32BE())])
  }

  /** The next message; undefined when the connection has ended. Throws for what does not parse. */
  async message (): Promise<Json | undefined> {
    const frame = await this.frame()
    return frame === undefined ? undefined : JSON.parse(frame.toString('utf8', 4)) as Json
  }
}

/** A user, or anybody else who connects as soon as somebody listens. */
export async function dialSoon (port: number, options: { localAddress?: string, host?: string } = {}): Promise<Wire> {
  for (;;) {
    try {
      return await Wire.dial(port, options)
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw err
    }
  }
}

/** Nobody listens there; whoever does is let go at once. */
export async function isRefused (port: number): Promise<boolean> {
  try {
    (await Wire.dial(port)).socket.destroy()
    return false
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  }
}
