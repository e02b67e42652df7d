/** A rendezvous server on the loopback with a store in memory, peers by UDP and clients by TCP or WebSocket from addresses of the loopback. */
import { generateKeyPairSync, sign as signEd25519, verify } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { idPk, rendezvous, framedMessages, type RendezvousInit, type RendezvousMessage } from '../../../src/nodes/rustdesk/protocol/messages.ts'
import { serveRendezvous, type RendezvousServer, type ServeRendezvousInit } from '../../../src/nodes/rustdesk/rendezvous/server.ts'
import type { PeerRecord } from '../../../src/nodes/rustdesk/store/peer-record.ts'
import { over } from '../../../src/layer.ts'
import { AsyncQueue } from '../../../src/streams/async-queue.ts'
import { systemClock } from '../../../src/streams/clock.ts'
import { streamLink } from '../../../src/transports/stream-link.ts'
import type { Clock, Link, Timer } from '../../../src/types.ts'

/** The clock of the system, which a test moves on. */
export class MovedClock implements Clock {
  offset = 0
  #stopped: number | undefined
  now (): number { return (this.#stopped ?? systemClock.now()) + this.offset }
  /** From now on it goes on by its offset alone, so that nothing is refilled meanwhile. */
  stop (): void { this.#stopped = Math.ceil(systemClock.now()) } // whole milliseconds, whose sums and differences are exact
  date (): number { return systemClock.date() + this.offset }
  set (ms: number, fn: () => void): Timer { return systemClock.set(ms, fn) }
  clear (timer: Timer | undefined): void { systemClock.clear(timer) }
}

/** A store in memory, which fails or waits as a test wants. */
export class MemoryStore {
  readonly peers = new Map<string, PeerRecord>()
  fault: (Error & { code?: string }) | undefined
  /** Each write waits for it. */
  gate: Promise<void> = Promise.resolve()
  finds = 0
  puts = 0

  async find (id: string): Promise<PeerRecord | undefined> {
    this.finds++
    if (this.fault !== undefined) throw this.fault
    return this.peers.get(id)
  }

  async put (peer: PeerRecord): Promise<void> {
    this.puts++
    await this.gate
    if (this.fault !== undefined) throw this.fault
    this.peers.set(peer.id, { ...peer, uuid: Uint8Array.from(peer.uuid), pk: Uint8Array.from(peer.pk) })
  }
}

export interface Started {
  server: RendezvousServer
  store: MemoryStore
  clock: MovedClock
  /** Whether bytes are the signed key of a peer. */
  verify (signed: Uint8Array | null | undefined, id: string, pk: Uint8Array): boolean
}

const SIGNATURE = 64

/** Listens on free ports of 127.0.0.1; closed with the test. */
export async function startRendezvous (t: Test, init: Partial<ServeRendezvousInit> = {}): Promise<Started> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const store = new MemoryStore()
  const clock = new MovedClock()
  const server = await serveRendezvous({
    port: 0,
    bind: '127.0.0.1',
    console: false,
    store,
    clock,
    signer: { sign: (_id, message) => Buffer.concat([signEd25519(null, message, privateKey), message]) },
    ...init
  })
  t.teardown(() => server.close())
  return {
    server,
    store,
    clock,
    verify (signed, id, pk) {
      if (signed == null || signed.length <= SIGNATURE) return false
      const message = signed.subarray(SIGNATURE)
      const shown = idPk.decode(message)
      return verify(null, message, publicKey, signed.subarray(0, SIGNATURE)) && shown.id === id && Buffer.from(shown.pk).equals(pk)
    }
  }
}

/** A peer: its UDP socket, and connections from the same address. */
export class UdpPeer {
  readonly messages = new AsyncQueue<RendezvousMessage>()
  readonly raw: Buffer[] = []
  readonly host: string
  readonly #socket = createSocket('udp4')
  readonly #server: RendezvousServer

  private constructor (server: RendezvousServer, host: string) {
    this.#server = server
    this.host = host
    this.#socket.on('message', (data) => {
      this.raw.push(data)
      this.messages.push(rendezvous.decode(data))
    })
  }

  static async bind (t: Test, server: RendezvousServer, host: string): Promise<UdpPeer> {
    const peer = new UdpPeer(server, host)
    peer.#socket.bind(0, host)
    await once(peer.#socket, 'listening')
    t.teardown(() => { peer.#socket.close() })
    return peer
  }

  get port (): number { return this.#socket.address().port }

  send (message: RendezvousInit): void { this.sendRaw(rendezvous.encode(message)) }

  sendRaw (data: Uint8Array): void { this.#socket.send(data, this.#server.ports.udp, '127.0.0.1') }

  /** The next message. */
  async next (): Promise<RendezvousMessage> {
    const { value } = await this.messages.next()
    const [message, ...rest] = value as RendezvousMessage[]
    for (const one of rest) this.messages.push(one)
    return message
  }

  async ask (message: RendezvousInit): Promise<RendezvousMessage> {
    this.send(message)
    return await this.next()
  }

  /** Sends raw bytes, returns those of the answer. */
  async askRaw (data: Uint8Array): Promise<string> {
    this.sendRaw(data)
    await this.next()
    return (this.raw.at(-1) as Buffer).toString('hex')
  }

  /** Registers, and returns the result. */
  async register (id: string, { uuid = 'machine', pk = KEY }: { uuid?: string, pk?: Uint8Array } = {}): Promise<number> {
    const { register_pk_response: response } = await this.ask({ register_pk: { id, uuid: Buffer.from(uuid), pk } })
    return response?.result ?? -1
  }

  /** Everything that the server has sent has arrived when this answer has. */
  async settled (): Promise<RendezvousMessage[]> {
    this.send({ register_peer: { id: '(:nobody:)' } })
    const before: RendezvousMessage[] = []
    for (let message = await this.next(); message.union !== 'register_peer_response'; message = await this.next()) before.push(message)
    return before
  }
}

/** A key of a peer. */
export const KEY = Buffer.alloc(32, 7)

/** A connection of messages. */
export class TcpClient {
  readonly socket: Socket
  readonly link: Link<RendezvousMessage, RendezvousInit>
  readonly #messages: AsyncIterator<RendezvousMessage[]>

  private constructor (socket: Socket) {
    this.socket = socket
    this.link = over(streamLink(socket), framedMessages)
    this.#messages = this.link.source[Symbol.asyncIterator]()
  }

  static async dial (t: Test, port: number, from = '127.0.0.1'): Promise<TcpClient> {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true, allowHalfOpen: true })
    await once(socket, 'connect')
    const client = new TcpClient(socket)
    t.teardown(() => { socket.destroy() })
    return client
  }

  get port (): number { return this.socket.localPort ?? 0 }

  send (...messages: RendezvousInit[]): void { this.link.port.send(messages) }

  /** The next message; undefined at the end of the connection, whatever it is. */
  async next (): Promise<RendezvousMessage | undefined> {
    try {
      const { done, value } = await this.#messages.next()
      return done === true ? undefined : value[0]
    } catch {
      return undefined
    }
  }

  async ask (message: RendezvousInit): Promise<RendezvousMessage | undefined> {
    this.send(message)
    return await this.next()
  }
}

/** A connection by WebSocket: a message is one message. */
export class WebSocketClient {
  readonly socket: WebSocket
  readonly messages = new AsyncQueue<RendezvousMessage>()

  private constructor (socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer) => { this.messages.push(rendezvous.decode(data)) })
    socket.on('close', () => { this.messages.end() })
    socket.on('error', () => {})
  }

  static async dial (t: Test, port: number, headers: Record<string, string> = {}, from = '127.0.0.1'): Promise<WebSocketClient> {
    const client = new WebSocketClient(new WebSocket(`ws://127.0.0.1:${port}/any/path`, { headers, localAddress: from }))
    await once(client.socket, 'open')
    t.teardown(() => { client.socket.terminate() })
    return client
  }

  send (message: RendezvousInit): void { this.socket.send(rendezvous.encode(message)) }

  async next (): Promise<RendezvousMessage | undefined> {
    const { done, value } = await this.messages.next()
    return done === true ? undefined : value[0]
  }
}
