/** A keystroke and its echo, again and again, between two ends that cost as little as possible: those of a link, or of a TCP connection. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { openLink } from './load.ts'

/** Calls back for each so many bytes that arrive. */
function onEach (socket: Socket, size: number, take: () => void): void {
  let missing = size
  socket.on('data', (bytes) => {
    for (missing -= bytes.length; missing <= 0; missing += size) take()
  })
}

export class Echo {
  readonly #here: Socket
  readonly #there: Socket
  readonly #key: Buffer
  #arrived: () => void = () => {}

  /** @param key what one end writes, @param answer what the other one writes then */
  constructor (here: Socket, there: Socket, key: Buffer, answer = key) {
    this.#here = here
    this.#there = there
    this.#key = key
    onEach(there, key.length, () => { there.write(answer) })
    onEach(here, answer.length, () => { this.#arrived() })
  }

  /** Milliseconds that each exchange takes, one after the other. */
  async exchanges (milliseconds: number): Promise<number[]> {
    const times: number[] = []
    const watch = new AbortController()
    const closed = Promise.race([this.#here, this.#there].map((socket) => once(socket, 'close', watch))).then(() => { throw new Error('a connection was closed') })
    const done = new Promise<void>((resolve) => {
      const end = performance.now() + milliseconds
      let sent = performance.now()
      this.#arrived = () => {
        const now = performance.now()
        times.push(now - sent)
        if (now > end) return resolve()
        sent = now
        this.#here.write(this.#key)
      }
      this.#here.write(this.#key)
    })
    await Promise.race([done, closed])
    watch.abort()
    return times
  }

  close (): void {
    this.#here.destroy()
    this.#there.destroy()
  }
}

/** Over a link of a natpass server. */
export async function linkEcho (port: number, secret: string): Promise<Echo> {
  const { sender, receiver, frame } = await openLink(port, secret)
  return new Echo(sender, receiver, frame(1), frame(1, 'receiver'))
}

/** A server of TCP connections whose keystrokes are echoed. */
export class EchoServer {
  readonly #server = createServer({ noDelay: true })

  async listen (): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** Over a connection to a port that leads here. */
  async dial (port: number): Promise<Echo> {
    const accepted = once(this.#server, 'connection')
    const here = connect({ port, host: '127.0.0.1', noDelay: true })
    here.on('error', () => {}) // an exchange sees that it is closed
    const [there] = await accepted as [Socket]
    return new Echo(here, there.on('error', () => {}), Buffer.from('k'))
  }

  close (): void { this.#server.close() }
}
