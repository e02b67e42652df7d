/**
 * A stand-in for the original server, over real sockets, written from the protocol's document, and peers that talk to it. With
 * `strict` it is a server of our own kind. Whatever a peer sends is checked; what it does wrong fails the test at its end.
 */
import { EventEmitter, once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'
import { GotunnelPeer, type GotunnelPeerInit, type PortMap } from '../../../src/nodes/gotunnel/index.ts'
import { OK, STRICT_OK, TOKEN } from './scripted-client.ts'
import { StrictData } from './strict-data.ts'
import { Wire, type End, type Json } from './wire.ts'

/** Hands over in order, to whoever waits. */
class Queue<T> {
  readonly all: T[] = []
  #taken = 0
  readonly #events = new EventEmitter().setMaxListeners(0)

  put (item: T): void {
    this.all.push(item)
    this.#events.emit('more')
  }

  async next (): Promise<T> {
    while (this.all.length <= this.#taken) await once(this.#events, 'more')
    return this.all[this.#taken++]
  }

  /** How many nobody has taken. */
  get left (): number { return this.all.length - this.#taken }
}

/** A program that listens: its connections, one after the other. */
export class Listening {
  readonly connections = new Queue<Wire>()
  readonly server: Server
  readonly port: number
  readonly #sockets = new Set<Socket>()

  constructor (server: Server) {
    this.server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      this.connections.put(new Wire(socket.on('close', () => { this.#sockets.delete(socket) })))
    })
  }

  static async start (t: Test, port = 0): Promise<Listening> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(port, '127.0.0.1')
    await once(server, 'listening')
    const listening = new Listening(server)
    t.teardown(() => listening.stop())
    return listening
  }

  /** Takes no more; connections stay. */
  close (): void { this.server.close() }

  /** All of it ends. */
  async stop (): Promise<void> {
    const closed = this.server.listening ? once(this.server.close(), 'close') : undefined
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

/** A control connection, registered. */
export class Registered {
  readonly wire: Wire
  readonly first: Json
  readonly isStrict: boolean
  /** Messages that nobody has asked for, in order; pings are not kept. */
  readonly inbox: Json[] = []
  pings = 0
  /** Pings are not answered any more. */
  isMute = false
  readonly #faults: string[]
  #isOver = false
  readonly #events = new EventEmitter().setMaxListeners(0)

  constructor (wire: Wire, first: Json, isStrict: boolean, faults: string[]) {
    this.wire = wire
    this.first = first
    this.isStrict = isStrict
    this.#faults = faults
    void this.#read()
  }

  async #read (): Promise<void> {
    try {
      for (let next = await this.wire.message(); next !== undefined; next = await this.wire.message()) this.#receive(next)
    } catch (err) {
      if (this.wire.socket.readableEnded) this.#faults.push(`control connection: ${(err as Error).message}`)
    }
    this.#isOver = true
    this.#events.emit('more')
    this.wire.end()
  }

  #receive (message: Json): void {
    const keys = Object.keys(message).join()
    const known = { ping: 'type,time', offline_port: 'type,port', online_port: 'type,port', ...(this.isStrict ? { data_channel_failed: 'type,id,reason' } : {}) } as Record<string, string>
    if (known[message.type as string] !== keys) this.#faults.push(`message: ${JSON.stringify(message)}`)
    if (message.type === 'ping') {
      this.pings++
      if (Math.abs(Number(message.time) - Date.now() / 1000) > 60) this.#faults.push(`ping of ${String(message.time)}`)
      if (!this.isMute) this.wire.send({ type: 'pong', time: 1 }) // not an echo
    } else {
      this.inbox.push(message)
    }
    this.#events.emit('more')
  }

  /** The next message that is no ping; undefined when the connection has ended. */
  async next (): Promise<Json | undefined> {
    while (this.inbox.length === 0 && !this.#isOver) await once(this.#events, 'more')
    return this.inbox.shift()
  }

  /** Waits until so many pings have come in all. */
  async pinged (count: number): Promise<void> {
    while (this.pings < count && !this.#isOver) await once(this.#events, 'more')
  }

  /** Asks for a data connection. */
  ask (localPort = this.first.local_port, id?: string): void {
    const six = { type: 'open_data_channel', local_port: localPort, remote_port: 0, protocol: '', token: '', name: '' }
    this.wire.send(this.isStrict ? { ...six, id: id ?? 'AAAAAAAAAAAAAAAAAAAAAA' } : six)
  }
}

export interface Data {
  wire: Wire
  first: Json
}

const SIX = 'type,local_port,remote_port,protocol,token,name'

export interface ScriptedInit {
  /** It offers strict mode. */
  strict?: boolean
  port?: number
  /** What it answers to a register; nothing for undefined. Default: ok. */
  answer?: (first: Json) => Json | undefined
}

export class ScriptedServer {
  readonly port: number
  readonly faults: string[] = []
  readonly clients = new Queue<Registered>()
  /** Data connections, their first frame read and not answered. */
  readonly datas = new Queue<Data>()
  readonly listening: Listening
  readonly #init: ScriptedInit

  constructor (listening: Listening, init: ScriptedInit) {
    this.listening = listening
    this.port = listening.port
    this.#init = init
  }

  static async start (t: Test, init: ScriptedInit = {}): Promise<ScriptedServer> {
    const server = new ScriptedServer(await Listening.start(t, init.port), init)
    server.listening.server.on('connection', () => { void server.#greet() })
    t.teardown(() => { if (server.faults.length > 0) throw new Error(`wrong with what the peer sent: ${server.faults.join('; ')}`) })
    return server
  }

  async #greet (): Promise<void> {
    const wire = await this.listening.connections.next()
    const first = await wire.message().catch(() => undefined)
    if (first === undefined) return
    const keys = Object.keys(first).join()
    if (first.type === 'data_channel') {
      if (![SIX, `${SIX},id`].includes(keys) || first.protocol !== '') this.faults.push(`data_channel: ${JSON.stringify(first)}`)
      this.datas.put({ wire, first })
      return
    }
    if (![SIX, `${SIX},tunpipe,acknowledge`, `${SIX},tunpipe,acknowledge,addresses`].includes(keys) || first.type !== 'register' || first.protocol !== 'tcp') this.faults.push(`register: ${JSON.stringify(first)}`)
    const { strict = false, answer = () => strict && first.tunpipe === 1 ? STRICT_OK : OK } = this.#init
    const said = answer(first)
    if (said !== undefined) wire.send(said)
    if (said?.status === 'ok') this.clients.put(new Registered(wire, first, said.tunpipe === 1, this.faults))
    else wire.end()
  }

  next (): Promise<Registered> { return this.clients.next() }

  /** A user comes: the peer is asked, its data connection is taken, and in strict mode this opening is sent. */
  async user (client: Registered, opening: Json = {}): Promise<End> {
    client.ask()
    return this.take(client, await this.datas.next(), opening)
  }

  take ({ isStrict, first: { token, name } }: Registered, { wire, first }: Data, opening: Json = {}): End {
    const isRight = isStrict ? first.token === '' && first.name === '' && typeof first.id === 'string' : first.token === token && first.name === name && !('id' in first)
    if (!isRight) this.faults.push(`data_channel: ${JSON.stringify(first)}`)
    if (isStrict) return new StrictData(wire, { opening })
    wire.send(OK)
    return wire
  }
}

export interface StartedPeer {
  peer: GotunnelPeer
  map: PortMap
  /** `online`, `offline`, `refused`, `service up`, `service down` and `failed`, with reasons. */
  events: string[]
}

/** A peer with one map, started, and closed when the test is over. It does not look after its service by itself. */
export function startPeer (t: Test, server: { port: number }, service: { port: number }, init: Partial<GotunnelPeerInit> = {}): StartedPeer {
  const map = { remotePort: 10_022, local: { host: '127.0.0.1', port: service.port } }
  const peer = new GotunnelPeer({ server: { host: '127.0.0.1', port: server.port }, token: TOKEN, name: 'laptop', maps: [map], probeInterval: 0, backoff: { first: 1, longest: 20 }, ...init })
  const events: string[] = []
  peer.on('online', (_map, mode) => { events.push(`online ${mode}`) })
  peer.on('offline', (_map, { message }) => { events.push(`offline: ${message}`) })
  peer.on('refused', ({ remotePort }, { message }) => { events.push(`refused ${remotePort}: ${message}`) })
  peer.on('service', (_map, isUp) => { events.push(`service ${isUp ? 'up' : 'down'}`) })
  peer.on('failed', ({ message }) => { events.push(`failed: ${message}`) })
  t.teardown(() => peer.close())
  peer.start()
  return { peer, map, events }
}
