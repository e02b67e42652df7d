/**
 * A stand-in for the original client, over real sockets, written from the protocol's document: six keys in their order, two
 * writes for each frame, data connections that wait for their `ok`. Nothing happens by itself, so that tests can let it
 * misbehave. With `strict` it is a client of our own kind. What a relay does wrong makes `faults` grow.
 */
import { EventEmitter, once } from 'node:events'
import type { Test } from 'tap'
import { serveGotunnel, type GotunnelRelay, type GotunnelRelayInit, type GotunnelServer, type GotunnelListenOptions } from '../../../src/nodes/gotunnel/index.ts'
import { StrictData } from './strict-data.ts'
import { dialSoon, Wire, type End, type Json } from './wire.ts'

export const TOKEN = 'a token of thirty-two characters'
export const OTHER_TOKEN = 'another token, which is as long.'

/** Two identities, any port. */
export const IDENTITIES = [{ name: 'home', token: TOKEN }, { name: 'office', token: OTHER_TOKEN }]

export const OK: Json = { type: 'register_resp', status: 'ok' }
export const STRICT_OK: Json = { ...OK, tunpipe: 1 }
export const failed = (reason: string): Json => ({ type: 'register_resp', status: 'fail', reason })

export interface StartedRelay extends GotunnelServer {
  port: number
  relay: GotunnelRelay
}

/** A relay on the loopback, closed with the test. */
export async function startRelay (t: Test, init: Partial<GotunnelRelayInit & GotunnelListenOptions> = {}): Promise<StartedRelay> {
  const server = await serveGotunnel({ listen: '127.0.0.1:0', bind: '127.0.0.1', identities: IDENTITIES, ...init })
  t.teardown(() => server.close())
  return Object.assign(server, { port: Number(new URL(server.url).port) })
}

/** Some milliseconds later for a relay. A second of its clock may pass in between, which it notices as well. */
export const later = (relay: GotunnelRelay, milliseconds: number): void => { relay.tick(relay.clock.now() + milliseconds) }

/** Clients of both kinds. */
export const MODES = [{ mode: 'compatible', strict: false }, { mode: 'strict', strict: true }] as const

export interface ClientInit {
  remotePort: number
  localPort?: number
  token?: string
  name?: string
  /** It offers strict mode. */
  strict?: boolean
  /** In strict mode it acknowledges the openings of users, so that its data connections are used again. */
  acknowledge?: boolean
  localAddress?: string
  /** Goes in front of the first frame of each connection. */
  header?: Uint8Array
}

export class ScriptedClient {
  readonly control: Wire
  /** Messages of the relay that did not parse, or came where they may not. */
  readonly faults: string[] = []
  /** Messages that nobody has asked for yet, in order. */
  readonly inbox: Json[] = []
  /** The control connection has ended. */
  readonly ended: Promise<void>
  readonly #relayPort: number
  readonly init: Required<ClientInit>
  #isOver = false
  readonly #wires: Wire[] = []
  readonly #events = new EventEmitter().setMaxListeners(0)

  constructor (relayPort: number, control: Wire, { remotePort, localPort = 22, token = TOKEN, name = 'client-name', strict = false, acknowledge = false, localAddress = '127.0.0.1', header = new Uint8Array(0) }: ClientInit) {
    this.control = control
    this.#relayPort = relayPort
    this.init = { remotePort, localPort, token, name, strict, acknowledge, localAddress, header }
    this.ended = control.ended
  }

  /** Section 4: connects, registers, and reads one frame. The answer is in front of the inbox then. */
  static async register (t: Test, relayPort: number, init: ClientInit): Promise<ScriptedClient> {
    const control = await Wire.dial(relayPort, { localAddress: init.localAddress })
    const client = new ScriptedClient(relayPort, control, init)
    t.teardown(() => { client.leave() })
    const { localPort, remotePort, token, name, strict, acknowledge, header } = client.init
    control.write(header)
    const six = { type: 'register', local_port: localPort, remote_port: remotePort, protocol: 'tcp', token, name }
    control.send(strict ? { ...six, tunpipe: 1, ...(acknowledge ? { acknowledge: 1 } : {}), addresses: 1 } : six)
    void client.#read()
    return client
  }

  /** The same, and the relay has to take it. */
  static async registered (t: Test, relayPort: number, init: ClientInit): Promise<ScriptedClient> {
    const client = await ScriptedClient.register(t, relayPort, init)
    const answer = await client.answer()
    if (answer?.status !== 'ok') throw new Error(`not registered: ${JSON.stringify(answer)}`)
    return client
  }

  get remotePort (): number { return this.init.remotePort }

  async #read (): Promise<void> {
    try {
      for (let next = await this.control.message(); next !== undefined; next = await this.control.message()) {
        this.inbox.push(next)
        this.#events.emit('more')
      }
    } catch (err) {
      this.faults.push((err as Error).message)
    }
    this.#isOver = true
    this.#events.emit('more')
  }

  /** The next message of this type, taken out of the inbox; undefined when there will be none. */
  async next (type: string): Promise<Json | undefined> {
    for (;;) {
      const at = this.inbox.findIndex((message) => message.type === type)
      if (at >= 0) return this.inbox.splice(at, 1)[0]
      if (this.#isOver) return undefined
      await once(this.#events, 'more')
    }
  }

  answer (): Promise<Json | undefined> { return this.next('register_resp') }

  /** A user has come. */
  async asked (): Promise<Json> {
    const open = await this.next('open_data_channel')
    if (open === undefined) throw new Error('the control connection ended before a user came')
    return open
  }

  /** Pings, and waits for the answer: all that was sent before has been handled then. False when none comes. */
  async ping (): Promise<boolean> {
    this.control.send({ type: 'ping', time: Math.floor(Date.now() / 1000) })
    return await this.next('pong') !== undefined
  }

  offline (port = this.remotePort): void { this.control.send({ type: 'offline_port', port }) }

  online (port = this.remotePort): void { this.control.send({ type: 'online_port', port }) }

  /** The first frame of a data connection. In strict mode the id is all that it needs. */
  opening ({ local_port: localPort, id }: Json, { remotePort, token, name } = this.init): Json {
    const six = { type: 'data_channel', local_port: localPort, remote_port: remotePort, protocol: '' }
    return id === undefined ? { ...six, token, name } : { ...six, token: '', name: '', id }
  }

  /** A data connection whose first frame was sent, and nothing was read of it. */
  async dialData (open: Json): Promise<Wire> {
    const wire = await Wire.dial(this.#relayPort, { localAddress: this.init.localAddress })
    this.#wires.push(wire)
    wire.write(this.init.header)
    wire.send(this.opening(open))
    return wire
  }

  /** Section 4: a data connection on which the relay has said ok, for its user. In strict mode the header says as much (section 12.4). */
  async data (open: Json): Promise<End> {
    const wire = await this.dialData(open)
    if (open.id !== undefined) {
      const data = new StrictData(wire, { acknowledge: this.init.acknowledge })
      if (await data.opening === undefined) throw new Error('nobody waits for this data connection')
      return data
    }
    const answer = await wire.message()
    if (answer?.status !== 'ok') throw new Error(`no data connection: ${JSON.stringify(answer)}`)
    return wire
  }

  /** The next user's data connection. */
  async serve (): Promise<End> { return await this.data(await this.asked()) }

  /** All its connections are gone. */
  leave (): void {
    for (const { socket } of [this.control, ...this.#wires]) socket.destroy()
  }

  /** A user comes, says something and is answered. */
  async talk (t: Test): Promise<void> {
    const user = await dialSoon(this.remotePort)
    const data = await this.serve()
    user.write('request')
    t.equal(await data.text(7), 'request')
    data.write('answer')
    t.equal(await user.text(6), 'answer')
    data.end()
    user.end()
    t.equal((await user.all()).length + (await data.all()).length, 0)
  }
}
