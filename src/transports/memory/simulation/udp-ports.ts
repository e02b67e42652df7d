/** The UDP sockets of a host, by address and port. */
import { normalAddress, overlaps } from './address.ts'
import type { HostStack } from './host-stack.ts'
import { familyOf, type Packet, type PacketError, type ProtocolHandler } from './packet.ts'
import { SimulatedUdpSocket, type UdpOwner } from './udp-socket.ts'
import type { BindUdpInit } from '../../udp/bind.ts'
import { verifyUdp, type UdpSocket } from '../../udp/socket.ts'
import { verifyPort } from '../../../options.ts'
import type { Datagram } from '../../../types.ts'

/** Ports for those who do not ask for one (RFC 6335, section 6). */
const EPHEMERAL = { first: 49_152, count: 16_384 } as const

/** Where a socket of the host can be bound, besides the addresses of the host. */
const ANY = ['0.0.0.0', '::']

/** The code of the system's error. */
const CODES: Readonly<Record<PacketError['kind'], string>> = { portUnreachable: 'ECONNREFUSED', hostUnreachable: 'EHOSTUNREACH', tooLarge: 'EMSGSIZE' }

const systemError = (code: string, text: string): Error => Object.assign(new Error(text), { code })

export class UdpPorts implements ProtocolHandler, UdpOwner {
  readonly #host: HostStack
  readonly #sockets = new Map<string, SimulatedUdpSocket>()
  readonly #byPort = new Map<number, Set<SimulatedUdpSocket>>()
  #nextPort = 0

  constructor (host: HostStack) { this.#host = host }

  /**
   * @throws {OptionError} when an option is out of range
   * @throws errors of a system: `EADDRINUSE`, `EADDRNOTAVAIL`
   */
  bind ({ host = this.#host.addresses()[0], port = 0, ...init }: Partial<BindUdpInit>): UdpSocket {
    const verified = verifyUdp(init)
    verifyPort('a port', port)
    const address = normalAddress(String(host))
    if (address === undefined || (!ANY.includes(address) && !this.#host.isOwn(address))) throw systemError('EADDRNOTAVAIL', `${this.#host.name} has no address ${String(host)}`)
    const bound = port === 0 ? this.#freePort(address) : port
    if (this.#isUsed(address, bound)) throw systemError('EADDRINUSE', `port ${bound} of ${address} is in use`)
    const socket = new SimulatedUdpSocket(this.#host.simulation, this, { host: address, port: bound }, verified)
    this.#sockets.set(keyOf(address, bound), socket)
    this.#byPort.set(bound, (this.#byPort.get(bound) ?? new Set()).add(socket))
    return socket
  }

  sendDatagram ({ local }: SimulatedUdpSocket, { data, host, port }: Datagram): number | string {
    const address = normalAddress(host)
    if (address === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return 'EINVAL'
    const isAny = ANY.includes(local.host)
    if (local.host !== '::' && familyOf(local.host) !== familyOf(address)) return 'EINVAL'
    const from = isAny ? this.#host.sourceFor(address) : local.host
    if (from === undefined) return 'ENETUNREACH'
    const source = isAny ? { host: from, port: local.port } : local
    return this.#host.send({ protocol: 'udp', source, destination: { host: address, port }, bytes: data.length, payload: Uint8Array.from(data) }) // a copy: the sender may use its memory again while the packet is on its way
  }

  release (socket: SimulatedUdpSocket): void {
    const { host, port } = socket.local
    const all = this.#byPort.get(port)
    if (all?.delete(socket) !== true) return
    if (all.size === 0) this.#byPort.delete(port)
    this.#sockets.delete(keyOf(host, port))
  }

  receive (packet: Packet): boolean {
    const { destination, source, payload } = packet
    const socket = this.#at(destination.host, destination.port)
    if (socket === undefined) return false
    const isTaken = socket.receive({ data: Uint8Array.from(payload as Uint8Array), host: source.host, port: source.port }) // another one, as packets may be doubled, and the reader may change it
    this.#host.simulation.record(isTaken ? 'delivered' : 'readerFull', this.#host.name, packet)
    return true
  }

  fail ({ destination }: Packet, { kind }: PacketError): void {
    this.#at(destination.host, destination.port)?.fail(CODES[kind])
  }

  #at (address: string, port: number): SimulatedUdpSocket | undefined {
    return this.#sockets.get(keyOf(address, port)) ??
      (familyOf(address) === 'ipv4' ? this.#sockets.get(keyOf('0.0.0.0', port)) : undefined) ??
      this.#sockets.get(keyOf('::', port))
  }

  #isUsed (address: string, port: number): boolean {
    for (const { local } of this.#byPort.get(port) ?? []) if (overlaps(local.host, address)) return true
    return false
  }

  #freePort (address: string): number {
    for (let tried = 0; tried < EPHEMERAL.count; tried++) {
      const port = EPHEMERAL.first + this.#nextPort
      this.#nextPort = (this.#nextPort + 1) % EPHEMERAL.count
      if (!this.#isUsed(address, port)) return port
    }
    throw systemError('EADDRINUSE', `no port of ${address} is free`)
  }
}

const keyOf = (host: string, port: number): string => `${host} ${port}`
