/**
 * A member that behaves as the original client does, in a simulated network: its messages, states and timers are made from the
 * description alone (candy protocol, sections 1.5 and 2). It notes everything that such a client does not expect as a fault.
 */
import { createHash } from 'node:crypto'
import type { SimulatedHost, SimulatedNat } from '../../../src/transports/memory/index.ts'
import { websocketFrames, type WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'
import { every, type Interval } from '../../../src/streams/clock.ts'
import type { Datagram, DatagramSocket, Endpoint } from '../../../src/types.ts'
import { delay, echoReply, echoRequest, heartbeat, Kind, keyOf, open, readRoute, seal } from './direct.ts'
import { PASSWORD, RELAY, type Place, type World } from './simulated-direct.ts'

const STUN_PORT = 3478
const COOKIE = 0x2112_a442
const BROADCAST = '255.255.255.255'

type State = 'INIT' | 'PREPARING' | 'SYNCHRONIZING' | 'CONNECTING' | 'CONNECTED' | 'WAITING' | 'FAILED'

/** What it knows of another member. */
interface Remote {
  readonly address: string
  state: State
  /** When the state was last set, also to the same one. */
  since: number
  retry: number
  ticks: number
  wide?: Endpoint | undefined
  local?: Endpoint | undefined
  used?: Endpoint | undefined
  heard: boolean
  roundTrip?: number | undefined
}

export interface OriginalInit extends Place {
  /** The virtual address, which it chooses itself. */
  address: string
  /** `route` of its configuration. */
  cost?: number
}

/** A packet for its interface. */
export interface Arrived {
  at: number
  way: 'udp' | 'server'
  /** Without the header of a route. */
  packet: Buffer
  /** With the header of a route. */
  isRouted: boolean
}

const bytesOf = (address: string): Buffer => Buffer.from(address.split('.').map(Number))
const textAt = (bytes: Uint8Array, at: number): string => bytes.subarray(at, at + 4).join('.')
const isPrivate = (host: string): boolean => /^(10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254|239\.255)\./.test(host)

function endpointBytes ({ host, port }: Endpoint): Buffer {
  const bytes = Buffer.concat([bytesOf(host), Buffer.alloc(2)])
  bytes.writeUInt16BE(port, 4)
  return bytes
}

const endpointAt = (bytes: Buffer, at: number): Endpoint => ({ host: textAt(bytes, at), port: bytes.readUInt16BE(at + 4) })

export class OriginalMember {
  readonly host: SimulatedHost
  readonly nat: SimulatedNat | undefined
  readonly address: string
  readonly remotes = new Map<string, Remote>()
  readonly packets: Arrived[] = []
  /** Messages of the server. */
  readonly messages: Buffer[] = []
  /** Datagrams of members, opened. */
  readonly plaintexts: Array<{ from: Endpoint, text: Buffer }> = []
  /** ROUTE of members. */
  readonly advertised: Array<ReturnType<typeof readRoute>> = []
  /** What an original client does not expect, or must not be sent. */
  readonly faults: string[] = []
  /** Sends nothing over UDP, as if it were gone. */
  isMute = false
  /** Where it sends packets for these destinations, whatever it was told. */
  readonly nextHops = new Map<string, string>()
  readonly #world: World
  readonly #cost: number
  readonly #key: Buffer
  #link: WebSocketLink | undefined
  #socket: DatagramSocket | undefined
  #ticking: Interval | undefined
  #routes: Array<{ network: number, mask: number, nexthop: string }> = []
  #wantsStun = false
  #stunAt = -Infinity
  readonly #beats = new Map<string, number>()

  constructor (world: World, { address, cost = 0, ...place }: OriginalInit) {
    this.#world = world
    this.#cost = cost
    this.address = address
    this.#key = keyOf(PASSWORD, address)
    const { host, nat } = world.place(place)
    this.host = host
    this.nat = nat
  }

  get link (): WebSocketLink { return this.#link as WebSocketLink }

  get socket (): DatagramSocket { return this.#socket as DatagramSocket }

  /** Logs in. Settles when the server has answered. */
  async start (): Promise<void> {
    const { clock } = this.#world
    const wire = await clock.until(this.host.transport().dial({ ...RELAY, timeout: 10_000 }))
    const link = this.#link = websocketFrames({ role: 'client', clock })(wire)
    const isIn = new Promise<void>((resolve) => { link.onPong = () => { resolve() } })
    const time = Buffer.alloc(8)
    time.writeBigInt64BE(BigInt(Math.floor(clock.date() / 1000)))
    const signed = (type: number, covered: Uint8Array): Buffer => Buffer.concat([[type], covered, createHash('sha256').update(PASSWORD).update(covered).digest()].map((part) => Buffer.from(part)))
    const vmac = createHash('sha256').update(this.address).digest('hex').slice(0, 16)
    link.port.send([signed(4, Buffer.concat([Buffer.from(vmac), time])), signed(0, Buffer.concat([bytesOf(this.address), time]))])
    link.ping(Buffer.from('candy::linux::6.1.8::simulated'))
    void link.flow?.((batch) => { for (const message of batch) this.#message(Buffer.from(message)) }).catch(() => {})
    await clock.until(isIn)
    const socket = this.#socket = await this.host.bindUdp({ host: '0.0.0.0' })
    void (async () => { for await (const batch of socket.source) for (const datagram of batch) this.#datagram(datagram) })()
    this.#ticking = every(clock, 1000, () => { this.#tick() })
  }

  /** Ends as a process does. */
  stop (): void {
    this.#ticking?.stop()
    this.#socket?.close()
    this.#link?.abort(new Error('the process is gone'))
    this.remotes.clear()
    this.#routes = []
    this.#beats.clear()
  }

  stateOf (member: string): State | undefined { return this.remotes.get(member)?.state }

  discover (destination = BROADCAST): void { this.#say(5, bytesOf(this.address), bytesOf(destination)) }

  /** Sends an echo request; `source` as of a machine behind it. Whether it is answered is told by `replies`. */
  echo (destination: string, sequence: number, source = this.address): void { this.#send(echoRequest(source, destination, sequence).subarray(1)) }

  /** Ways of the answers to echo requests, by sequence number. */
  get replies (): Map<number, Arrived['way']> {
    return new Map(this.packets.filter(({ packet }) => packet[9] === 1 && packet[20] === 0).map(({ packet, way }) => [packet.readUInt16BE(26), way]))
  }

  /** Sends a plaintext to a member, sealed, whatever the state. */
  tell (member: string, plaintext: Uint8Array, to: Endpoint): void {
    if (!this.isMute) this.#socket?.port.send([{ data: seal(keyOf(PASSWORD, member), plaintext), host: to.host, port: to.port }])
  }

  say (message: Uint8Array): void { this.#link?.port.send([message]) }

  #say (type: number, ...parts: Uint8Array[]): void { this.say(Buffer.concat([Buffer.from([type]), ...parts])) }

  #remote (address: string): Remote {
    let remote = this.remotes.get(address)
    if (remote === undefined) this.remotes.set(address, remote = { address, state: 'INIT', since: this.#now, retry: 30_000, ticks: 0, heard: false })
    return remote
  }

  get #now (): number { return this.#world.clock.now() }

  #enter (remote: Remote, state: State): void {
    const before = remote.state
    remote.since = this.#now
    if (before === state) return
    remote.state = state
    if (state === 'INIT' || state === 'WAITING' || state === 'FAILED') {
      if (state !== 'WAITING') remote.retry = before === 'WAITING' ? Math.min(3_600_000, remote.retry * 2) : 30_000
      remote.wide = remote.local = remote.used = remote.roundTrip = undefined
      remote.heard = false
    }
    if (state === 'CONNECTED') {
      remote.ticks = 0
      if (this.#cost > 0) this.#measure(remote)
    }
  }

  #trigger (address: string): void {
    const remote = this.#remote(address)
    if (remote.state === 'INIT') this.#enter(remote, 'PREPARING')
  }

  #tick (): void {
    for (const remote of this.remotes.values()) {
      const age = this.#now - remote.since
      switch (remote.state) {
        case 'PREPARING':
          if (age < 10_000) this.#wantsStun = true
          else this.#enter(remote, 'FAILED')
          break
        case 'SYNCHRONIZING':
          if (age >= 10_000) this.#enter(remote, 'FAILED')
          else this.#beat(remote, remote.local)
          break
        case 'CONNECTING':
          if (age >= 10_000) this.#enter(remote, 'WAITING')
          else this.#beat(remote, remote.wide, remote.local)
          break
        case 'CONNECTED':
          if (age >= 3000) {
            this.#enter(remote, 'INIT')
            break
          }
          this.#beat(remote, remote.used)
          if (++remote.ticks % 60 === 0 && this.#cost > 0) this.#measure(remote)
          break
        case 'WAITING':
          if (age >= remote.retry) this.#enter(remote, 'INIT')
      }
    }
    if (this.#wantsStun && this.#now - this.#stunAt >= 1000) {
      this.#wantsStun = false
      this.#stunAt = this.#now
      if (!this.isMute) this.#socket?.port.send([{ data: Buffer.from('000100082112a442000000000000000000000000' + '0003000400000000', 'hex'), host: RELAY.host, port: STUN_PORT }])
    }
  }

  #beat (remote: Remote, ...to: Array<Endpoint | undefined>): void {
    for (const endpoint of to) if (endpoint !== undefined) this.tell(remote.address, heartbeat(this.address, remote.heard ? 1 : 0), endpoint)
  }

  #measure ({ address, used }: Remote): void {
    if (used !== undefined) this.tell(address, delay(this.address, address, Math.floor(this.#now)), used)
  }

  #message (message: Buffer): void {
    this.messages.push(message)
    const isMine = (at: number): boolean => textAt(message, at + 4) === this.address && textAt(message, at) !== this.address
    switch (message[0]) {
      case 1:
        this.#trigger(textAt(message, 13))
        this.#toInterface(message.subarray(1), 'server')
        break
      case 3:
        if (message.length < 15) this.faults.push('a short CONN')
        else if (isMine(1)) this.#offered(this.#remote(textAt(message, 1)), endpointAt(message, 9))
        break
      case 5: {
        const source = textAt(message, 1)
        if (message.length !== 9) this.faults.push(`a DISCOVERY of ${message.length} bytes`)
        if (textAt(message, 5) === BROADCAST) this.#say(5, bytesOf(this.address), bytesOf(source))
        this.#trigger(source)
        break
      }
      case 6:
        for (let i = 0; i < message[1]; i++) this.#routes.push({ network: message.readUInt32BE(4 + 12 * i), mask: message.readUInt32BE(8 + 12 * i), nexthop: textAt(message, 12 + 12 * i) })
        break
      case 255:
        if (message[1] !== 0 || message.length < 18) this.faults.push(`a GENERAL of subtype ${message[1]} and ${message.length} bytes`)
        else if (isMine(4)) this.#remote(textAt(message, 4)).local = endpointAt(message, 12)
        break
      default:
        this.faults.push(`a message of type ${message[0]}`)
    }
  }

  #offered (remote: Remote, endpoint: Endpoint): void {
    if (remote.state === 'SYNCHRONIZING') this.#enter(remote, 'CONNECTING')
    else if (remote.state !== 'CONNECTING' && remote.state !== 'CONNECTED') {
      this.#enter(remote, 'PREPARING')
      remote.since = this.#now
      this.#say(255, Buffer.from([0, 0, 0]), bytesOf(this.address), bytesOf(remote.address), endpointBytes({ host: this.host.addresses[0], port: this.socket.local.port }))
    }
    remote.wide = endpoint
  }

  #datagram ({ data, host, port }: Datagram): void {
    if (host === RELAY.host && port === STUN_PORT) {
      this.#mapped(Buffer.from(data))
      return
    }
    const text = open(this.#key, data)
    const from = { host, port }
    if (text === undefined) {
      this.faults.push(`a datagram of ${data.length} bytes from ${host}:${port} that is not sealed for it`)
      return
    }
    this.plaintexts.push({ from, text })
    const shortest = [12, 21, 17, undefined, 13][text[0]]
    if (shortest === undefined || text.length < shortest || (text[0] !== Kind.FORWARD && text.length !== shortest)) {
      this.faults.push(`a plaintext of kind ${text[0]} and ${text.length} bytes`)
      return
    }
    if (data.length > 1500) this.faults.push(`a datagram of ${data.length} bytes`)
    if (text[0] === Kind.HEARTBEAT) this.#heard(text, from)
    else if (text[0] === Kind.FORWARD) this.#forward(text)
    else if (this.#cost > 0 && text[0] === Kind.DELAY) this.#delay(text)
    else if (text[0] === Kind.ROUTE) this.advertised.push(readRoute(text))
  }

  #mapped (response: Buffer): void {
    if (response.readUInt16BE(0) !== 0x0101 || response.readUInt16BE(20) !== 0x0020) return
    const host = Buffer.alloc(4)
    host.writeUInt32BE((response.readUInt32BE(28) ^ COOKIE) >>> 0)
    const own = { host: host.join('.'), port: response.readUInt16BE(26) ^ (COOKIE >>> 16) }
    for (const remote of this.remotes.values()) {
      if (remote.state !== 'PREPARING') continue
      this.#say(3, bytesOf(this.address), bytesOf(remote.address), endpointBytes(own))
      this.#enter(remote, remote.wide === undefined ? 'SYNCHRONIZING' : 'CONNECTING')
    }
  }

  #heard (text: Buffer, from: Endpoint): void {
    const sender = textAt(text, 1)
    const way = `${sender} at ${from.host}:${from.port}`
    const since = this.#now - (this.#beats.get(way) ?? -Infinity)
    if (since < 900) this.faults.push(`a heartbeat of ${way} ${since} ms after the last one`)
    this.#beats.set(way, this.#now)
    const remote = this.remotes.get(sender)
    if (remote === undefined || remote.state === 'INIT' || remote.state === 'WAITING' || remote.state === 'FAILED') return
    if (isPrivate(from.host)) {
      if (this.#routes.length > 0) return
      remote.local = from
    } else {
      remote.wide = from
    }
    if (remote.used === undefined || !isPrivate(remote.used.host) || isPrivate(from.host)) remote.used = from
    remote.heard = true
    if (text[11] !== 0) this.#enter(remote, 'CONNECTED')
  }

  #delay (text: Buffer): void {
    const [source, destination] = [textAt(text, 1), textAt(text, 5)]
    const remote = this.remotes.get(source === this.address ? destination : source)
    if (remote?.state !== 'CONNECTED' || remote.used === undefined) return
    if (destination === this.address) this.tell(source, text, remote.used)
    else if (source === this.address) remote.roundTrip = Math.floor(this.#now) - Number(text.readBigInt64BE(9))
  }

  #forward (text: Buffer): void {
    const destination = textAt(text, 17)
    if (destination === this.address) this.#toInterface(text.subarray(1), 'udp')
    else this.#route(destination, text.subarray(1))
  }

  #toInterface (outer: Buffer, way: Arrived['way']): void {
    const isRouted = outer[9] === 4
    const packet = Buffer.from(isRouted ? outer.subarray(20) : outer)
    this.packets.push({ at: this.#now, way, packet, isRouted })
    const reply = echoReply(Buffer.concat([Buffer.from([Kind.FORWARD]), packet]))
    if (reply !== undefined) this.#send(reply.subarray(1))
  }

  /** A packet of its interface. */
  #send (packet: Buffer): void {
    const destination = packet.readUInt32BE(16)
    const nexthop = this.#routes.find(({ network, mask, nexthop }) => ((destination & mask) >>> 0) === network && nexthop !== this.address)?.nexthop
    if (nexthop === undefined) {
      this.#route(textAt(packet, 16), packet)
      return
    }
    const outer = Buffer.concat([Buffer.alloc(20), packet])
    outer[9] = 4
    bytesOf(this.address).copy(outer, 12)
    bytesOf(nexthop).copy(outer, 16)
    this.#route(nexthop, outer)
  }

  #route (destination: string, packet: Buffer): void {
    const remote = this.remotes.get(this.nextHops.get(destination) ?? destination)
    if (remote?.state === 'CONNECTED' && remote.used !== undefined) this.tell(remote.address, Buffer.concat([Buffer.from([Kind.FORWARD]), packet]), remote.used)
    else this.#say(1, packet)
  }
}

/** One that is online when it settles. */
export async function joinOriginal (world: World, init: OriginalInit): Promise<OriginalMember> {
  const member = new OriginalMember(world, init)
  await member.start()
  return member
}
