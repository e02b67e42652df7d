/**
 * Makes traffic inside of a network namespace, as the test at the other end of the IPC channel tells it. Started by
 * traffic.ts, once a namespace: that is cheaper than a process for each thing to do.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, isIPv6, type AddressInfo, type Socket } from 'node:net'
import { Recorder } from './recorder.ts'
import { serve } from './serve.ts'

const CHUNK = 64 * 1024

/** Milliseconds to wait for a datagram that may have been lost. */
const UDP_PATIENCE = 5000

/** Milliseconds between the bursts of a flood. */
const BURST_INTERVAL = 5

export interface Digests {
  sent: string
  received: string
  /** The longest time between two reads, in milliseconds. */
  pause: number
}

/** Sends random bytes and takes what comes, both at once. */
async function exchange (socket: Socket, bytes: number): Promise<Digests> {
  const sent = createHash('sha256')
  const received = createHash('sha256')
  const end = once(socket, 'end')
  let [last, pause] = [performance.now(), 0]
  socket.on('data', (chunk) => {
    const now = performance.now()
    pause = Math.max(pause, now - last)
    last = now
    received.update(chunk)
  })
  for (let left = bytes; left > 0; left -= CHUNK) {
    const chunk = randomBytes(Math.min(left, CHUNK))
    sent.update(chunk)
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.end()
  await end
  return { sent: sent.digest('hex'), received: received.digest('hex'), pause }
}

async function listen (use: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, use).listen(0)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function bind (address: string, port = 0): Promise<UdpSocket> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  socket.bind(port, address)
  await once(socket, 'listening')
  return socket
}

/** The next datagram; undefined when none comes. */
async function next (socket: UdpSocket): Promise<Buffer | undefined> {
  try {
    const [datagram] = await once(socket, 'message', { signal: AbortSignal.timeout(UDP_PATIENCE) })
    return datagram
  } catch {
    return undefined
  }
}

const exchanges = new Map<number, Promise<Digests>>()
const heard = new Map<number, string[]>()
const recorder = new Recorder()
let flooding: AbortController | undefined

const commands = {
  /** Waits on a port for one who exchanges bytes with us. */
  async serveExchange (bytes: number): Promise<number> {
    let settle: (digests: Promise<Digests>) => void = () => {}
    const digests = new Promise<Digests>((resolve) => { settle = resolve })
    digests.catch(() => {}) // told to whoever asks for them
    const port = await listen((socket) => { settle(exchange(socket, bytes)) })
    exchanges.set(port, digests)
    return port
  },

  async exchanged (port: number): Promise<Digests | undefined> { return await exchanges.get(port) },

  async exchange (host: string, port: number, bytes: number): Promise<Digests> {
    const socket = connect({ host, port, allowHalfOpen: true })
    await once(socket, 'connect')
    return await exchange(socket, bytes)
  },

  /** Takes bytes on a port, and ends each connection when the other side does. */
  async serveSink (): Promise<number> {
    return await listen((socket) => {
      socket.resume()
      socket.once('end', () => { socket.end() })
      socket.on('error', () => {})
    })
  },

  /** Answers each connection, whenever that ends its question, with the question and then its own name. */
  async serveEnquiries (name: string): Promise<number> {
    return await listen((socket) => {
      const parts: Buffer[] = []
      socket.on('error', () => {})
      socket.on('data', (part) => { parts.push(part) })
      socket.once('end', () => { socket.end(Buffer.concat([...parts, Buffer.from(name)])) })
    })
  },

  /** Asks one of those; the error code when there is no answer. */
  async enquire (host: string, port: number, question: string): Promise<string> {
    const socket = connect({ host, port, allowHalfOpen: true })
    socket.end(question)
    try {
      let answer = ''
      for await (const part of socket) answer += String(part)
      return answer
    } catch (err) {
      return (err as NodeJS.ErrnoException).code ?? 'failed'
    }
  },

  /** Sends as fast as it goes for so many milliseconds; bytes a second, up to the moment when the other side has them all. */
  async rate (host: string, port: number, milliseconds: number): Promise<number> {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true })
    await once(socket, 'connect')
    const chunk = Buffer.alloc(CHUNK, 'tunpipe')
    const begin = performance.now()
    let bytes = 0
    while (performance.now() - begin < milliseconds) {
      bytes += chunk.length
      if (!socket.write(chunk)) await once(socket, 'drain')
    }
    socket.resume()
    socket.end()
    await once(socket, 'end')
    return bytes / (performance.now() - begin) * 1000
  },

  /** Returns datagrams to where they came from. */
  async serveEcho (host = '0.0.0.0'): Promise<number> {
    const socket = await bind(host)
    socket.on('message', (datagram, { address, port }) => { socket.send(datagram, port, address) })
    return socket.address().port
  },

  /** Sends datagrams of these sizes, one after the other; the sizes of those that have not come back as they were. */
  async askEcho (host: string, port: number, sizes: number[]): Promise<number[]> {
    const socket = await bind('0.0.0.0')
    const wrong: number[] = []
    for (const size of sizes) {
      const datagram = randomBytes(size)
      const echo = next(socket)
      socket.send(datagram, port, host)
      if ((await echo)?.equals(datagram) !== true) wrong.push(size)
    }
    socket.close()
    return wrong
  },

  /** Remembers the texts of all datagrams to this port. */
  async hear (port: number): Promise<void> {
    const texts: string[] = []
    heard.set(port, texts)
    const socket = await bind('0.0.0.0', port)
    socket.on('message', (datagram) => { texts.push(datagram.toString()) })
  },

  async heard (port: number): Promise<string[]> { return heard.get(port) ?? [] },

  /** Sends one datagram to everybody; by a socket of this address, as that says through which interface. */
  async broadcast (from: string, to: string, port: number, text: string): Promise<void> {
    const socket = await bind(from)
    socket.setBroadcast(true)
    await new Promise<void>((resolve, reject) => {
      socket.send(text, port, to, (err) => { err === null ? resolve() : reject(err) })
    })
    socket.close()
  },

  /** Takes datagrams and forgets them. */
  async serveDiscard (): Promise<number> {
    const socket = await bind('0.0.0.0')
    socket.on('message', () => {})
    return socket.address().port
  },

  /** Sends datagrams at a rate, at most so many; returns how many, at the end or when it is told to stop. */
  async flood (host: string, port: number, { size, perSecond, count }: { size: number, perSecond: number, count: number }): Promise<number> {
    const { signal } = flooding = new AbortController()
    const socket = await bind('0.0.0.0')
    const datagram = Buffer.alloc(size)
    const begin = performance.now()
    let sent = 0
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const due = Math.min(count, Math.floor((performance.now() - begin) / 1000 * perSecond))
        for (; sent < due; sent++) socket.send(datagram, port, host)
        if (sent < count && !signal.aborted) return
        clearInterval(timer)
        resolve()
      }, BURST_INTERVAL)
    })
    socket.close()
    return sent
  },

  async stopFlood (): Promise<void> { flooding?.abort() },

  /** Passes connections from one port on to another, and keeps what the clients send. */
  async record (port: number, target: number): Promise<void> { await recorder.listen(port, target) },

  /** The FORWARD messages that were sent through recorded ports, in hexadecimal digits. */
  async forwards (): Promise<string[]> { return recorder.forwards() },

  async get (url: string): Promise<string> { return await (await fetch(url)).text() },

  /** Posts JSON; the answer, and the cookies that came with it in the form in which they are sent back. */
  async post (url: string, body: object, cookie = ''): Promise<{ answer: any, cookie: string }> {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', cookie }, body: JSON.stringify(body) })
    return { answer: await response.json(), cookie: response.headers.getSetCookie().map((each) => each.split(';')[0]).join('; ') }
  }
}

export type Commands = typeof commands

serve(commands)
