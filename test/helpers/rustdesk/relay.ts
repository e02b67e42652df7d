/** A RustDesk relay on free ports, and clients of it that do what a test tells them. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { until } from '../ends.ts'
import { rendezvous } from '../../../src/nodes/rustdesk/protocol/messages.ts'
import type { RustdeskRelayListenOptions, RustdeskRelayServer } from '../../../src/nodes/rustdesk/relay/server.ts'
import { serveRustdeskRelay } from '../../../src/nodes/rustdesk/relay/server.ts'
import type { RustdeskRelayInit } from '../../../src/nodes/rustdesk/relay/settings.ts'
import { rustdeskLength } from '../../../src/transforms/length-codecs.ts'
import { LengthPrefixDecoder, LengthPrefixEncoder } from '../../../src/transforms/length-prefix.ts'
import { websocketFrames } from '../../../src/transforms/websocket-frames/index.ts'
import { dialUpgraded } from '../../../src/transports/upgrade.ts'
import { AsyncQueue } from '../../../src/streams/async-queue.ts'
import type { Link } from '../../../src/types.ts'

const MAX = { maxFrame: 2 ** 30 - 1 }

/** Frames as they stand on TCP. */
export const framed = (...messages: Uint8Array[]): Buffer => Buffer.concat(new LengthPrefixEncoder(rustdeskLength, MAX).push(messages))

/** A first message. */
export const requestOf = (uuid: string, key = ''): Uint8Array => rendezvous.encode({ request_relay: { id: '123456789', uuid, licence_key: key } })

export interface Relay {
  server: RustdeskRelayServer
  port: number
  websocketPort: number
}

export async function serveRelay (t: Test, init: RustdeskRelayInit & RustdeskRelayListenOptions = {}): Promise<Relay> {
  const server = await serveRustdeskRelay({ host: '127.0.0.1', port: 0, ...init })
  t.teardown(() => server.close())
  return { server, port: Number(new URL(server.url).port), websocketPort: Number(new URL(server.websocketUrl).port) }
}

/** A client of either kind. */
export interface RelayClient {
  /** Messages that it has received. */
  readonly inbox: Buffer[]
  /** Settles when the connection has ended. */
  readonly closed: Promise<void>
  send (...messages: Uint8Array[]): void
  next (): Promise<Buffer>
  close (): void
}

/** A client of TCP: `socket` for bytes, the rest for frames. */
export class TcpClient implements RelayClient {
  readonly socket: Socket
  readonly inbox: Buffer[] = []
  /** Every byte, when the connection ends: also if it is reset. */
  readonly heard: Promise<Buffer>
  readonly closed: Promise<void>

  constructor (socket: Socket, isRaw: boolean) {
    this.socket = socket
    socket.on('error', () => {})
    const decoder = new LengthPrefixDecoder(rustdeskLength, MAX)
    const heard: Buffer[] = []
    if (!isRaw) {
      socket.on('data', (read: Buffer) => {
        heard.push(Buffer.from(read))
        for (const frame of decoder.push([read])) this.inbox.push(Buffer.from(frame))
      })
    }
    this.heard = new Promise((resolve) => { socket.once('close', () => { resolve(Buffer.concat(heard)) }) })
    this.closed = this.heard.then(() => {})
  }

  send (...messages: Uint8Array[]): void { this.socket.write(framed(...messages)) }

  async next (): Promise<Buffer> {
    await until(() => this.inbox.length > 0)
    return this.inbox.shift() as Buffer
  }

  close (): void { this.socket.end() }
}

/** @param isRaw the test reads the socket itself */
export async function dialRelay (t: Pick<Test, 'teardown'>, port: number, { host = '127.0.0.1', from = '127.0.0.1', isRaw = false } = {}): Promise<TcpClient> {
  const socket = connect({ host, port, localAddress: from, noDelay: true })
  const client = new TcpClient(socket, isRaw)
  t.teardown(() => { socket.destroy() })
  await once(socket, 'connect')
  return client
}

/** A client of TCP behind a proxy that names it. */
export async function dialProxied (t: Pick<Test, 'teardown'>, port: number, source: string): Promise<TcpClient> {
  const client = await dialRelay(t, port)
  client.socket.write(`PROXY TCP4 ${source} 192.0.2.99 1234 ${port}\r\n`)
  return client
}

/** A client of WebSocket: `lower` for bytes, the rest for messages. */
export interface WebSocketClient extends RelayClient {
  readonly lower: Link
}

export async function dialWebSocket (t: Pick<Test, 'teardown'>, port: number, headers: Record<string, string> = {}, host = '127.0.0.1'): Promise<WebSocketClient> {
  const lower = await dialUpgraded(`ws://${host}:${port}/ws/relay`, { headers })
  const link = websocketFrames({ role: 'client', maxPayload: MAX.maxFrame, maxFragments: 100_000 })(lower)
  t.teardown(() => { link.abort(new Error('the test is over')) })
  const inbox: Buffer[] = []
  const outgoing = new AsyncQueue()
  link.sink(outgoing).catch(() => {})
  const closed = (async () => {
    for await (const batch of link.source) for (const message of batch) inbox.push(Buffer.from(message))
  })().catch(() => {})
  return {
    lower,
    inbox,
    closed,
    send (...messages) { outgoing.pushBatch(messages) },
    async next () {
      await until(() => inbox.length > 0)
      return inbox.shift() as Buffer
    },
    close () { outgoing.end() }
  }
}

/** Two clients of TCP that have found each other. */
export async function pairOf (t: Test, { server, port }: Relay, uuid = 'a uuid', init: Parameters<typeof dialRelay>[2] = {}): Promise<[TcpClient, TcpClient]> {
  const { paired } = server.status()
  const b = await dialRelay(t, port, init)
  b.send(requestOf(uuid))
  await until(() => server.status().pending > 0)
  const a = await dialRelay(t, port, init)
  a.send(requestOf(uuid))
  await until(() => server.status().paired > paired)
  return [a, b]
}
