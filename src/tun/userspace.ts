/**
 * An interface without a kernel: a small IPv4 host inside this process. It answers and sends pings, and has UDP sockets, so that a tunnel
 * can be tried, tested and used without privileges.
 *
 * ```ts
 * const host = userspaceTun({ mtu: 1400 })
 * await host.setAddress('10.77.0.2/24')
 * console.log(await host.ping('10.77.0.3'))
 * ```
 */
import { AsyncQueue } from '../streams/async-queue.ts'
import { OptionError } from '../errors.ts'
import type { Batch, Clock, PacketPort } from '../types.ts'
import { DEFAULT_MTU, newCounters, type RefusedRoute, type Tun, TunError, type TunRoute, verifyInterfaceAddress, verifyMtu, verifyRoutes } from './device.ts'
import { echoReply, icmpChecks, isEchoReply, isEchoRequest, Pinger, type PingInit } from './icmp.ts'
import { type Cidr, destinationOf, headerChecks, HEADER_LENGTH, isFragment, isIpv4, isMulticast, LIMITED_BROADCAST, parseAddress, protocolOf, protocols, sourceOf } from '../net/ipv4.ts'
import { Sinks } from './sinks.ts'
import { UDP_HEADER, UdpPorts, type UdpSocket } from './udp.ts'

const DEFAULT_QUEUE_LIMIT = 1024 * 1024
const DEFAULT_SOCKET_LIMIT = 256 * 1024
const DEFAULT_MAX_PINGS = 1024

/** Options of {@link userspaceTun}. */
export interface UserspaceTunInit {
  /** Default: `host`. */
  name?: string
  /** Bytes, 68 to 65535. Default: 1400. */
  mtu?: number
  /** Maximum bytes of packets queued for the reader of `source`; others are dropped. Default: 1 MiB. */
  queueLimit?: number
  /** Maximum bytes of datagrams queued for the reader of one socket. Default: 256 KiB. */
  socketLimit?: number
  /** Maximum outstanding pings, up to 32768. Default: 1024. */
  maxPings?: number
  /** Times pings. Default: that of the system. */
  clock?: Clock
}

/** Packets that the host has dropped, by reason. Their sum is `counters.droppedOut`. */
export interface UserspaceTunDrops {
  /** Not a whole IPv4, ICMP or UDP packet, a wrong checksum, an invalid source, longer than the MTU. */
  malformed: number
  /** A fragment: these are not reassembled. */
  fragments: number
  /** For another address, or the host has none yet. */
  foreign: number
  /** An unsupported protocol, a port without a socket, a reply without a request. */
  unclaimed: number
  /** The reader of a socket was too slow. */
  overflow: number
}

/** An interface inside this process, with ping and UDP. */
export interface UserspaceTun extends Tun {
  readonly drops: Readonly<UserspaceTunDrops>
  /**
   * Pings another host. Resolves with the round trip in milliseconds; rejects with `PingError` when there is no reply in time, with
   * `OptionError` for an invalid destination or size, and when the interface closes.
   */
  ping (destination: string, init?: PingInit): Promise<number>
  /**
   * Opens a UDP socket on a port; without one, or with 0, on a free one.
   *
   * @throws {UdpError} when the port is in use
   */
  udp (port?: number): UdpSocket
}

class UserspaceTunDevice implements UserspaceTun {
  readonly name: string
  readonly mtu: number
  readonly counters = newCounters()
  readonly offloads = []
  readonly drops: UserspaceTunDrops = { malformed: 0, fragments: 0, foreign: 0, unclaimed: 0, overflow: 0 }
  readonly source: AsyncQueue
  readonly port: PacketPort
  readonly #queueLimit: number
  readonly #sinks = new Sinks()
  readonly #pinger: Pinger
  readonly #ports: UdpPorts
  #cidr: Cidr | undefined
  #closed = false
  /** Packets sent in this turn; they leave together. */
  #outbox: Batch = []
  #outboxSize = 0
  readonly #flush = (): void => {
    const batch = this.#outbox
    this.#outbox = []
    this.#outboxSize = 0
    this.source.pushBatch(batch)
  }

  constructor ({ name = 'host', mtu = DEFAULT_MTU, queueLimit = DEFAULT_QUEUE_LIMIT, socketLimit = DEFAULT_SOCKET_LIMIT, maxPings = DEFAULT_MAX_PINGS, clock }: UserspaceTunInit) {
    for (const [option, value, max] of [['queueLimit', queueLimit, Infinity], ['socketLimit', socketLimit, Infinity], ['maxPings', maxPings, 32_768]] as const) {
      if (!Number.isInteger(value) || value < 1 || value > max) throw new OptionError(`${option} is a whole number of at least 1${max < Infinity ? ` and at most ${max}` : ''}, not ${value}`)
    }
    this.name = name
    this.mtu = verifyMtu(mtu)
    this.#queueLimit = queueLimit
    const transmit = (packet: Uint8Array): boolean => this.#transmit(packet)
    this.#pinger = new Pinger(transmit, maxPings, clock)
    this.#ports = new UdpPorts({ mtu, transmit, ownAddress: () => this.#ownAddress() }, socketLimit)
    this.source = new AsyncQueue({ weigh: (packet) => packet.length, onReturn: () => { void this.close() } })
    this.port = { send: (batch) => this.#send(batch), queued: 0, limit: Number.MAX_SAFE_INTEGER }
  }

  get sink (): Tun['sink'] { return (source) => this.#sinks.run(source, (batch) => { this.#send(batch) }) }

  async setAddress (cidr: string): Promise<void> {
    const address = verifyInterfaceAddress(cidr)
    if (this.#closed) throw this.#closedError()
    this.#cidr = address
  }

  async clearAddress (): Promise<void> {
    if (this.#closed) throw this.#closedError()
    this.#cidr = undefined
  }

  async setRoutes (routes: readonly TunRoute[]): Promise<RefusedRoute[]> {
    verifyRoutes(routes)
    if (this.#closed) throw this.#closedError()
    return [] // all packets leave through `source`, with or without a route
  }

  async ping (destination: string, init: PingInit = {}): Promise<number> {
    const address = parseAddress(destination)
    if (address === undefined) throw new OptionError(`an address has the form 10.77.0.2, not ${JSON.stringify(destination)}`)
    return this.#pinger.ping(this.#ownAddress(), address, this.mtu - HEADER_LENGTH - UDP_HEADER, init)
  }

  udp (port?: number): UdpSocket {
    if (this.#closed) throw this.#closedError()
    return this.#ports.open(port)
  }

  abort (err: Error): void {
    this.#close(err)
  }

  async close (): Promise<void> {
    this.#close()
  }

  #close (err?: Error): void {
    if (this.#closed) return
    this.#closed = true
    if (err === undefined) {
      this.#flush()
      this.source.end()
    } else {
      this.source.discard()
      this.source.fail(err)
    }
    const reason = err ?? this.#closedError()
    this.#sinks.end(reason)
    this.#pinger.fail(reason)
    this.#ports.close()
  }

  #closedError (): TunError {
    return new TunError('ERR_TUN_CLOSED', `the interface ${this.name} is closed`)
  }

  #ownAddress (): number {
    if (this.#closed) throw this.#closedError()
    if (this.#cidr === undefined) throw new TunError('ERR_TUN_ADDRESS', `the interface ${this.name} has no address yet`)
    return this.#cidr.address
  }

  #transmit (packet: Uint8Array): boolean {
    if (this.#closed) return false
    if (this.source.size + this.#outboxSize >= this.#queueLimit) {
      this.counters.droppedIn++
      return false
    }
    this.counters.packetsIn++
    this.counters.bytesIn += packet.length
    this.#outboxSize += packet.length
    if (this.#outbox.push(packet) === 1) queueMicrotask(this.#flush)
    return true
  }

  #send (batch: Batch): number {
    if (this.#closed) return 0
    for (const packet of batch) {
      const why = this.#receive(packet)
      if (why !== undefined) {
        this.drops[why]++
        this.counters.droppedOut++
        continue
      }
      this.counters.packetsOut++
      this.counters.bytesOut += packet.length
    }
    this.#ports.flush()
    return batch.length
  }

  /** Handles one packet; returns the reason when it is dropped. */
  #receive (packet: Uint8Array): keyof UserspaceTunDrops | undefined {
    if (packet.length > this.mtu || !isIpv4(packet) || !headerChecks(packet)) return 'malformed'
    const cidr = this.#cidr
    if (cidr === undefined) return 'foreign'
    const destination = destinationOf(packet)
    const toGroup = destination !== cidr.address && isGroup(destination, cidr)
    if (destination !== cidr.address && !toGroup) return 'foreign'
    if (isImpossibleSender(sourceOf(packet), cidr)) return 'malformed'
    if (isFragment(packet)) return 'fragments'
    const protocol = protocolOf(packet)
    if (protocol === protocols.udp) return this.#ports.take(packet)
    if (protocol !== protocols.icmp || toGroup) return 'unclaimed'
    if (!icmpChecks(packet)) return 'malformed'
    if (isEchoRequest(packet)) this.#transmit(echoReply(packet))
    else if (!isEchoReply(packet) || !this.#pinger.answered(packet)) return 'unclaimed'
    return undefined
  }
}

/** Broadcast or multicast. A network of /31 or /32 has no broadcast address. */
function isGroup (address: number, { prefix, broadcast }: Cidr): boolean {
  return address === LIMITED_BROADCAST || isMulticast(address) || (prefix < 31 && address === broadcast)
}

/** The source has to be a single host (RFC 1122, section 3.2.1.3); replies to a group could multiply. */
function isImpossibleSender (address: number, cidr: Cidr): boolean {
  return address === 0 || isGroup(address, cidr)
}

/**
 * Makes an interface with a host inside this process.
 *
 * @throws {OptionError} when an option is out of range
 */
export const userspaceTun = (init: UserspaceTunInit = {}): UserspaceTun => new UserspaceTunDevice(init)
