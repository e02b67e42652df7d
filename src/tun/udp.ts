/** UDP of the userspace host (RFC 768). */
import { AsyncQueue } from '../streams/async-queue.ts'
import { CodedError, OptionError } from '../errors.ts'
import type { Batch } from '../types.ts'
import { addWords, fold } from '../net/checksum.ts'
import { newPacket } from './device.ts'
import { formatAddress, HEADER_LENGTH, headerLengthOf, parseAddress, protocols, readU16, sourceOf, totalLengthOf, writeHeader, writeU16 } from '../net/ipv4.ts'

/** Bytes of a UDP header: source port, destination port, length, checksum. */
export const UDP_HEADER = 8

// First dynamic port (RFC 6335, section 6).
const FIRST_EPHEMERAL = 49_152
const LAST_PORT = 65_535

/** Bytes of overhead that a queued datagram counts for, so that empty ones are bounded too. */
const DATAGRAM_OVERHEAD = 64

/** The codes of {@link UdpError}. */
export type UdpErrorCode =
  | 'ERR_UDP_CLOSED'
  | 'ERR_UDP_NO_PORT' // all ephemeral ports are in use
  | 'ERR_UDP_PORT_IN_USE'
  | 'ERR_UDP_TOO_LONG' // it would not fit into one packet

/** A socket in user space cannot be opened or used. */
export class UdpError extends CodedError<UdpErrorCode> {
  override readonly name = 'UdpError'
}

/** A received datagram. */
export interface Datagram {
  /** Of the sender when received, of the receiver when sent. */
  address: string
  port: number
  data: Uint8Array
}

/** A UDP socket of the userspace host; iterate over it to receive. One reader; leaving the loop closes the socket. */
export interface UdpSocket extends AsyncIterable<Batch<Datagram>> {
  readonly port: number
  /** Datagrams dropped because the reader was too slow. */
  readonly dropped: number
  /**
   * Sends at once; the data may be reused afterwards. Datagrams are not fragmented.
   *
   * @returns false when it was dropped, because the queue of the host is full
   * @throws {OptionError} for an invalid address or port; `UdpError` when the socket is closed, or the data does not fit into one packet
   */
  send (datagram: Datagram): boolean
  /** Frees the port. Queued datagrams can still be read. May be called more than once. */
  close (): void
}

/** What sockets need of their host. */
export interface UdpHost {
  readonly mtu: number
  /** Throws when there is none. */
  ownAddress (): number
  transmit (packet: Uint8Array): boolean
}

/** The checksum of pseudo header and datagram. */
function udpSum (packet: Uint8Array, at: number, end: number): number {
  // the pseudo header: both addresses, the protocol, the length
  return fold(addWords(packet, at, end, addWords(packet, 12, 20, protocols.udp + end - at)))
}

class Socket implements UdpSocket {
  readonly port: number
  dropped = 0
  readonly #host: UdpHost
  readonly #limit: number
  readonly #free: () => void
  readonly #queue = new AsyncQueue<Datagram>({ weigh, onReturn: () => { this.close() } })
  /** Datagrams of the batch that is being delivered. */
  #fresh: Batch<Datagram> = []
  #freshSize = 0
  #closed = false

  constructor (host: UdpHost, port: number, limit: number, free: () => void) {
    this.#host = host
    this.port = port
    this.#limit = limit
    this.#free = free
  }

  send ({ address, port, data }: Datagram): boolean {
    if (this.#closed) throw new UdpError('ERR_UDP_CLOSED', `the socket of port ${this.port} is closed`)
    const destination = parseAddress(address)
    if (destination === undefined) throw new OptionError(`an address has the form 10.77.0.2, not ${JSON.stringify(address)}`)
    if (!Number.isInteger(port) || port < 1 || port > LAST_PORT) throw new OptionError(`port is 1 to ${LAST_PORT}, not ${port}`)
    const totalLength = HEADER_LENGTH + UDP_HEADER + data.length
    if (totalLength > this.#host.mtu) throw new UdpError('ERR_UDP_TOO_LONG', `${data.length} bytes do not fit into a packet of ${this.#host.mtu}`)
    const packet = newPacket(totalLength)
    writeHeader(packet, { protocol: protocols.udp, source: this.#host.ownAddress(), destination, totalLength })
    writeU16(packet, HEADER_LENGTH, this.port)
    writeU16(packet, HEADER_LENGTH + 2, port)
    writeU16(packet, HEADER_LENGTH + 4, UDP_HEADER + data.length)
    packet.set(data, HEADER_LENGTH + UDP_HEADER)
    // 0 would mean no checksum; 0xffff is equal
    writeU16(packet, HEADER_LENGTH + 6, udpSum(packet, HEADER_LENGTH, totalLength) || 0xffff)
    return this.#host.transmit(packet)
  }

  /** False when the reader is too slow. */
  take (datagram: Datagram): boolean {
    if (this.#queue.size + this.#freshSize >= this.#limit) {
      this.dropped++
      return false
    }
    this.#fresh.push(datagram)
    this.#freshSize += weigh(datagram)
    return true
  }

  flush (): void {
    this.#queue.pushBatch(this.#fresh)
    this.#fresh = []
    this.#freshSize = 0
  }

  close (): void {
    if (this.#closed) return
    this.#closed = true
    this.flush()
    this.#free()
    this.#queue.end()
  }

  [Symbol.asyncIterator] (): AsyncIterator<Batch<Datagram>> { return this.#queue }
}

const weigh = ({ data }: Datagram): number => data.length + DATAGRAM_OVERHEAD

/** All sockets of one host. */
export class UdpPorts {
  readonly #host: UdpHost
  readonly #limit: number
  readonly #sockets = new Map<number, Socket>()
  readonly #fresh = new Set<Socket>()
  #ephemeral = LAST_PORT

  constructor (host: UdpHost, limit: number) {
    this.#host = host
    this.#limit = limit
  }

  open (wanted = 0): UdpSocket {
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > LAST_PORT) throw new OptionError(`port is 0 to ${LAST_PORT}, not ${wanted}`)
    if (this.#sockets.has(wanted)) throw new UdpError('ERR_UDP_PORT_IN_USE', `port ${wanted} is in use`)
    const port = wanted === 0 ? this.#freePort() : wanted
    const socket = new Socket(this.#host, port, this.#limit, () => { this.#sockets.delete(port) })
    this.#sockets.set(port, socket)
    return socket
  }

  /** Takes the datagram of a whole packet, for delivery at `flush`. Returns the reason when it is dropped. */
  take (packet: Uint8Array): 'malformed' | 'unclaimed' | 'overflow' | undefined {
    const at = headerLengthOf(packet)
    const room = totalLengthOf(packet) - at
    if (room < UDP_HEADER) return 'malformed'
    const length = readU16(packet, at + 4)
    if (length < UDP_HEADER || length > room || readU16(packet, at) === 0) return 'malformed'
    if (readU16(packet, at + 6) !== 0 && udpSum(packet, at, at + length) !== 0) return 'malformed'
    const socket = this.#sockets.get(readU16(packet, at + 2))
    if (socket === undefined) return 'unclaimed'
    const data = Uint8Array.from(packet.subarray(at + UDP_HEADER, at + length)) // the memory of the packet belongs to another layer
    if (!socket.take({ address: formatAddress(sourceOf(packet)), port: readU16(packet, at), data })) return 'overflow'
    this.#fresh.add(socket)
    return undefined
  }

  flush (): void {
    for (const socket of this.#fresh) socket.flush()
    this.#fresh.clear()
  }

  close (): void {
    for (const socket of [...this.#sockets.values()]) socket.close()
  }

  #freePort (): number {
    for (let tries = FIRST_EPHEMERAL; tries <= LAST_PORT; tries++) {
      this.#ephemeral = this.#ephemeral === LAST_PORT ? FIRST_EPHEMERAL : this.#ephemeral + 1
      if (!this.#sockets.has(this.#ephemeral)) return this.#ephemeral
    }
    throw new UdpError('ERR_UDP_NO_PORT', 'all ephemeral ports are in use')
  }
}
