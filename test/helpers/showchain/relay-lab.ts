/** A relay in a simulated network, and nodes whose messages are made one by one. */
import { hmacOf } from './hmac.ts'
import { identity, type KeyName } from './keys.ts'
import { addressText } from '../../../src/nodes/showchain/protocol/addresses.ts'
import { EphemeralKey, proxyKey } from '../../../src/nodes/showchain/protocol/key-agreement.ts'
import type { Identity } from '../../../src/nodes/showchain/protocol/identity.ts'
import { decodeMessage, encodeMessage, type ShowchainMessage } from '../../../src/nodes/showchain/protocol/messages.ts'
import { Op, opName } from '../../../src/nodes/showchain/protocol/op.ts'
import { hashOf, signMessage } from '../../../src/nodes/showchain/protocol/signatures.ts'
import { serveShowchain, type ServeShowchainInit, type ShowchainServer } from '../../../src/nodes/showchain/relay/server.ts'
import { consume } from '../../../src/streams/consume.ts'
import { VirtualClock } from '../../../src/streams/virtual-clock.ts'
import { SimulatedNetwork, type SimulatedHost } from '../../../src/transports/memory/simulation/index.ts'
import type { Datagram, DatagramSocket, Endpoint } from '../../../src/types.ts'

export const RELAY: Endpoint = { host: '192.0.2.1', port: 7700 }

/** Milliseconds since 1970. */
const START = Date.UTC(2026, 0, 1)

const UNKNOWN_ID = new Uint8Array(32)

/** A message that a node has got. */
export interface Got {
  readonly message: ShowchainMessage
  readonly from: Endpoint
  readonly bytes: Uint8Array
}

export type LabOptions = Partial<Omit<ServeShowchainInit, 'identity'>> & { key?: Identity }

export class RelayLab {
  readonly network = new SimulatedNetwork({ seed: 1, clock: new VirtualClock({ date: START }) })
  readonly subnet = this.network.subnet('192.0.2.0/24')
  readonly #host = this.network.host({ on: this.subnet, address: RELAY.host, name: 'relay' })
  #server: ShowchainServer | undefined
  #nodes = 1
  #seqs = 0

  /** The relay has the key `h`, unless another one is given. */
  static async open ({ key = identity('h'), ...options }: LabOptions = {}): Promise<RelayLab> {
    const lab = new RelayLab()
    lab.#server = await lab.serve(lab.#host, { identity: key, ...options })
    return lab
  }

  get server (): ShowchainServer { return this.#server as ShowchainServer }

  get drops (): Record<string, number> { return Object.fromEntries(Object.entries(this.server.status().drops).filter(([, count]) => count > 0)) }

  get clock () { return this.network.clock }

  serve (host: SimulatedHost, options: Omit<ServeShowchainInit, 'listen'> & Partial<Pick<ServeShowchainInit, 'listen'>>): Promise<ShowchainServer> {
    return serveShowchain({ listen: { ...RELAY, host: host.addresses[0] }, clock: this.clock, bind: (init) => host.bindUdp(init), threads: false, random: () => 0, ...options })
  }

  /** Another host, with an address of its own. */
  host (address = `192.0.2.${++this.#nodes}`): SimulatedHost { return this.network.host({ on: this.subnet, address, name: address }) }

  async node (key: KeyName | Identity, at: { host?: SimulatedHost, port?: number } = {}): Promise<ScriptedNode> {
    const { host = this.host(), port = 5000 } = at
    return new ScriptedNode(this, typeof key === 'string' ? identity(key) : key, await host.bindUdp({ host: host.addresses[0], port }))
  }

  /** A node that is registered. */
  async registered (key: KeyName | Identity, at: { host?: SimulatedHost, port?: number } = {}): Promise<ScriptedNode> {
    const node = await this.node(key, at)
    await node.register()
    return node
  }

  /** Of a node: one that was made later has higher ones. */
  firstSeq (): number { return Math.floor(this.clock.date() * 1000) + 1000 * ++this.#seqs }

  /** Time in which datagrams go there and back twice. */
  async settle (): Promise<void> { await this.clock.pass(5) }

  async close (): Promise<void> { await this.server.close() }
}

export class ScriptedNode {
  readonly identity: Identity
  readonly socket: DatagramSocket
  readonly inbox: Got[] = []
  readonly #lab: RelayLab
  #seq: number
  cookie: Uint8Array | undefined

  constructor (lab: RelayLab, identity: Identity, socket: DatagramSocket) {
    this.#lab = lab
    this.identity = identity
    this.socket = socket
    this.#seq = lab.firstSeq()
    consume<Datagram>(socket, (batch) => {
      for (const { data, host, port } of batch) {
        const bytes = Uint8Array.from(data)
        this.inbox.push({ message: decodeMessage(bytes), from: { host, port }, bytes })
      }
    }).catch(() => {})
  }

  get id (): Uint8Array { return this.identity.id }

  get endpoint (): Endpoint { return { host: this.socket.local.host, port: this.socket.local.port } }

  get ts (): number { return Math.floor(this.#lab.clock.date()) }

  /** What has come since the last call, by the name of its op code. */
  take (): Got[] { return this.inbox.splice(0) }

  takeNames (): string[] { return this.take().map(({ message }) => opName(message.op) as string) }

  sendBytes (data: Uint8Array, to: Endpoint = RELAY): void { this.socket.port.send([{ data, ...to }]) }

  /** As it is. */
  send (message: ShowchainMessage, to?: Endpoint): void { this.sendBytes(encodeMessage(message), to) }

  sendSigned (message: ShowchainMessage, to?: Endpoint): void { this.send(signMessage(message, this.identity), to) }

  /** A request, signed, with the cookie if there is one. */
  request (op: ShowchainMessage['op'], target: Uint8Array, fields: Partial<ShowchainMessage> = {}): ShowchainMessage {
    return signMessage({ op, id: this.id, target, seq: ++this.#seq, ts: this.ts, cookie: this.cookie, ...fields }, this.identity)
  }

  /** Gets a cookie. */
  async prove (to?: Endpoint): Promise<void> {
    this.cookie = undefined
    this.send(this.request(Op.directRequest, UNKNOWN_ID), to)
    await this.#lab.settle()
    this.cookie = this.take().at(-1)?.message.cookie
  }

  async register (fields: Partial<ShowchainMessage> = {}): Promise<Got> {
    if (this.cookie === undefined) await this.prove()
    this.send(this.request(Op.directRequest, this.#lab.server.relay.id, fields))
    await this.#lab.settle()
    return this.take().at(-1) as Got
  }

  /** Sends a request and gives what has come for it. */
  async ask (op: ShowchainMessage['op'], target: Uint8Array, fields?: Partial<ShowchainMessage>): Promise<Got[]> {
    this.send(this.request(op, target, fields))
    await this.#lab.settle()
    return this.take()
  }

  /** Answers the last 0x112 that has come by a 0x114. */
  acknowledge ({ message: { seq, ts, session } }: Got, fields: Partial<ShowchainMessage> = {}): void {
    this.sendSigned({ op: Op.responseAck, id: this.id, seq, ts, session, ...fields })
  }
}

/** One end of a proxy session. */
export class ScriptedSession {
  readonly node: ScriptedNode
  readonly target: Uint8Array
  readonly session: Uint8Array
  readonly key: Uint8Array | undefined
  seq = 0

  constructor (node: ScriptedNode, target: Uint8Array, session: Uint8Array, key: Uint8Array | undefined) {
    this.node = node
    this.target = target
    this.session = session
    this.key = key
  }

  /** @throws when there is no answer */
  static async open (node: ScriptedNode, target: Uint8Array, { proxy, isHmac = true }: { proxy: Uint8Array, isHmac?: boolean }): Promise<ScriptedSession> {
    const ephemeral = new EphemeralKey()
    const [got] = await node.ask(Op.proxyRequest, target, isHmac ? { ephemeral: ephemeral.publicKey } : {})
    if (got === undefined) throw new Error('no answer')
    const session = got.message.session as Uint8Array
    const other = got.message.ephemeral
    const secret = other === undefined ? undefined : ephemeral.agree(other)
    const key = secret === undefined || other === undefined
      ? undefined
      : proxyKey({ secret, session, requester: { id: node.id, ephemeral: ephemeral.publicKey }, proxy: { id: proxy, ephemeral: other } })
    return new ScriptedSession(node, target, session, key)
  }

  /** A 0x123, signed as the session is. */
  request (data: Uint8Array, fields: Partial<ShowchainMessage> = {}): ShowchainMessage {
    const message = {
      op: Op.dataRequest, id: this.node.id, target: this.target, session: this.session, seq: ++this.seq, ts: this.node.ts, data, dataHash: hashOf(data), ...fields
    }
    return this.key === undefined ? signMessage(message, this.node.identity) : { ...message, sign: hmacOf(message, this.key) }
  }
}

export const hostOf = ({ ip, port }: ShowchainMessage): Endpoint => ({ host: addressText(ip as Uint8Array), port: port as number })
