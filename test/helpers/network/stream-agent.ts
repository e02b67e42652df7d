/** Streams that go on until they are told to end, and floods, inside of a network namespace. Started by `Agent` of traffic.ts. */
import { createHash, randomBytes, type Hash } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { serve } from './serve.ts'

const CHUNK = 16 * 1024

/** Milliseconds between the bursts of a flood. */
const BURST_INTERVAL = 5

/** The same between questions. */
const ASK_INTERVAL = 200

/** What has gone out, and what has come back. */
export interface Echoed {
  bytes: number
  sent: string
  received: string
  /** Why it has ended before its end; undefined when it has not. */
  fault: string | undefined
}

class Stream {
  heard = 0
  readonly #socket: Socket
  readonly #sent: Hash = createHash('sha256')
  readonly #received: Hash = createHash('sha256')
  readonly #over: Promise<string | undefined>
  #bytes = 0
  #isFinished = false

  constructor (socket: Socket) {
    this.#socket = socket
    socket.on('data', (data) => {
      this.heard += data.length
      this.#received.update(data)
    })
    let isEnded = false
    socket.once('end', () => { isEnded = true })
    this.#over = new Promise((resolve) => {
      socket.once('error', (err: NodeJS.ErrnoException) => { resolve(err.code ?? err.message) })
      socket.once('close', () => { resolve(isEnded && this.#isFinished ? undefined : 'ended early') })
      socket.once('end', () => { if (!this.#isFinished) resolve('ended early') })
    })
  }

  /** Sends random bytes until there are so many of them, or until it is told to stop. */
  async run (most: number, pace: number): Promise<void> {
    while (!this.#isFinished && this.#bytes < most && this.#socket.writable) {
      const chunk = randomBytes(Math.min(CHUNK, most - this.#bytes))
      this.#sent.update(chunk)
      this.#bytes += chunk.length
      if (!this.#socket.write(chunk)) await Promise.race([once(this.#socket, 'drain').catch(() => {}), this.#over])
      if (pace > 0) await delay(pace)
    }
    this.finish()
  }

  finish (): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#socket.end()
  }

  async result (): Promise<Echoed> {
    const fault = await this.#over
    return { bytes: this.#bytes, sent: this.#sent.digest('hex'), received: this.#received.digest('hex'), fault }
  }
}

const streams: Stream[] = []
let flooding: AbortController | undefined
let floodSocket: Promise<UdpSocket> | undefined

/** One socket for all floods, as an address is known to those who have answered it. */
function flooder (): Promise<UdpSocket> {
  floodSocket ??= openSocket()
  return floodSocket
}

async function openSocket (): Promise<UdpSocket> {
  const socket = createSocket('udp4').bind(0)
  await once(socket, 'listening')
  return socket
}

const commands = {
  /** Returns what comes on each connection, and its end. */
  async serveEcho (): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => {})
      socket.pipe(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },

  /** Opens a stream to such a one, and sends so many bytes, or until it is told to stop where that is 0; returns its number. */
  async start (port: number, { bytes, pace }: { bytes: number, pace: number }): Promise<number> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    await once(socket, 'connect')
    const stream = new Stream(socket)
    void stream.run(bytes === 0 ? Infinity : bytes, pace)
    return streams.push(stream) - 1
  },

  /** Bytes that have come back so far. */
  async heard (stream: number): Promise<number> { return streams[stream].heard },

  /** Ends what is sent; what comes back is complete with the answer. */
  async finish (stream: number): Promise<Echoed> {
    streams[stream].finish()
    return await streams[stream].result()
  },

  /** Waits for the end by itself. */
  async result (stream: number): Promise<Echoed> { return await streams[stream].result() },

  /** Sends a datagram until something comes back, by the socket of floods. */
  async ask (host: string, port: number, datagram: string): Promise<string> {
    const socket = await flooder()
    const timer = setInterval(() => { socket.send(Buffer.from(datagram, 'base64'), port, host) }, ASK_INTERVAL)
    const [answer] = await once(socket, 'message')
    clearInterval(timer)
    return answer.toString('base64')
  },

  /** Sends datagrams, in turn, at a rate until it is told to stop; returns how many. */
  async flood (host: string, port: number, { datagrams, perSecond }: { datagrams: string[], perSecond: number }): Promise<number> {
    const { signal } = flooding = new AbortController()
    const socket = await flooder()
    const all = datagrams.map((text) => Buffer.from(text, 'base64'))
    const begin = performance.now()
    let sent = 0
    while (!signal.aborted) {
      for (const due = (performance.now() - begin) / 1000 * perSecond; sent < due; sent++) socket.send(all[sent % all.length], port, host)
      await delay(BURST_INTERVAL)
    }
    return sent
  },

  async stopFlood (): Promise<void> { flooding?.abort() }
}

export type StreamCommands = typeof commands

serve(commands)
