/** UDP sockets of the system, by `node:dgram` (RFC 768). */
import { createSocket, type Socket } from 'node:dgram'
import { isIP, isIPv6 } from 'node:net'
import { countError, newUdpErrors, type UdpErrors } from './errors.ts'
import { DATAGRAM_OVERHEAD, DatagramQueue } from './queue.ts'
import { DialTimeoutError } from '../connecting.ts'
import { inTime, systemLookup, type Lookup } from '../happy-eyeballs.ts'
import { verifyBytes } from '../../options.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Address, Batch, Clock, Datagram, DatagramSocket, Endpoint, PacketPort } from '../../types.ts'

/** Bytes of the largest datagram: 65535 less the headers of UDP and IPv4, and of UDP alone, as that of IPv6 does not count (RFC 8200, section 3). */
export const MAX_DATAGRAM = { ipv4: 65_507, ipv6: 65_527 } as const

const DEFAULT_LIMIT = 1 << 20

/** Options of UDP sockets. */
export interface UdpInit {
  /** Bound in bytes of the datagrams that wait to be sent. Default: 1 MiB. */
  sendLimit?: number
  /** Bound in bytes of the datagrams that wait for the reader. Default: 1 MiB. */
  receiveLimit?: number
  /** Where errors are counted: several sockets may share it. Default: an object of its own. */
  errors?: UdpErrors
}

/** Options of {@link bindUdp}: the local address, of which `::` means all with those of IPv4, and the port, 0 for a free one. */
export interface BindUdpInit extends UdpInit, Endpoint {}

/** A socket for datagrams over UDP. Whatever the system says of a datagram is counted in `errors`, and ends nothing. */
export interface UdpSocket extends DatagramSocket {
  readonly errors: Readonly<UdpErrors>
}

/** Where the other end of a connected socket is. */
export interface UdpTarget extends Address {
  /** How a name is resolved; its first address counts. Default: that of the system. */
  lookup?: Lookup
  /** Milliseconds for the look-up. Default: that of the system. */
  timeout?: number
  /** Default: that of the system. */
  clock?: Clock
}

/** @throws {OptionError} when an option is out of range */
export function verifyUdp ({ sendLimit = DEFAULT_LIMIT, receiveLimit = DEFAULT_LIMIT }: UdpInit): void {
  verifyBytes('sendLimit', sendLimit)
  verifyBytes('receiveLimit', receiveLimit)
}

/**
 * Binds a socket.
 *
 * @throws {OptionError} when an option is out of range; else a system error (`EADDRINUSE`, `EACCES`, `ENOTFOUND`, ...)
 */
export async function bindUdp ({ host, port, ...init }: BindUdpInit): Promise<UdpSocket> {
  verifyUdp(init)
  const address = await addressOf({ host, port })
  const socket = newSocket(address)
  await settled(socket, (done) => { socket.bind({ address, port, exclusive: true }, done) })
  return new BoundSocket(socket, false, init)
}

/**
 * A socket that sends to one address, and gets datagrams of it alone.
 *
 * @throws as `bindUdp`; what the look-up throws; {@link DialTimeoutError}; the reason of the signal
 */
export async function connectUdp (to: UdpTarget, init: UdpInit): Promise<UdpSocket & { readonly remote: Endpoint }> {
  verifyUdp(init)
  const address = await addressOf(to)
  const socket = newSocket(address)
  await settled(socket, (done) => { socket.connect(to.port, address, done) })
  return Object.assign(new BoundSocket(socket, true, init), { remote: endpointOf(socket.remoteAddress()) })
}

async function addressOf ({ host, signal, lookup = systemLookup, timeout, clock = systemClock }: UdpTarget): Promise<string> {
  signal?.throwIfAborted()
  if (isIP(host) !== 0) return host
  const limit = timeout === undefined ? undefined : { milliseconds: timeout, error: () => new DialTimeoutError(`no address within ${timeout} ms`) }
  const [first] = await inTime(lookup(host), clock, signal, limit)
  if (first === undefined) throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' })
  return first.address
}

/** Addresses are resolved by then: without a look-up of its own Node sends at once. */
function newSocket (address: string): Socket {
  const isV6 = isIPv6(address)
  return createSocket({ type: isV6 ? 'udp6' : 'udp4', lookup: (host, _options, done) => { done(null, host, isV6 ? 6 : 4) } })
}

/** Settles when the socket is bound or connected; it is closed when it cannot be. */
function settled (socket: Socket, start: (done: (err?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (err: Error): void => {
      socket.close()
      reject(err)
    }
    socket.once('error', fail)
    try {
      start((err) => {
        socket.off('error', fail)
        if (err === undefined) resolve()
        else fail(err)
      })
    } catch (err) {
      socket.off('error', fail)
      fail(err as Error)
    }
  })
}

const endpointOf = ({ address, port }: { address: string, port: number }): Endpoint => ({ host: address, port })

class BoundSocket implements UdpSocket, PacketPort<Datagram> {
  readonly local: Endpoint
  readonly limit: number
  readonly receiveLimit: number
  readonly errors: UdpErrors
  readonly #socket: Socket
  readonly #isConnected: boolean
  readonly #largest: number
  readonly #incoming: DatagramQueue<Datagram>
  #queued = 0
  #isClosed = false
  #isScheduled = false
  #drained: Array<() => void> = []

  constructor (socket: Socket, isConnected: boolean, { sendLimit = DEFAULT_LIMIT, receiveLimit = DEFAULT_LIMIT, errors = newUdpErrors() }: UdpInit) {
    this.#socket = socket
    this.#isConnected = isConnected
    this.local = endpointOf(socket.address())
    this.#largest = isIPv6(this.local.host) ? MAX_DATAGRAM.ipv6 : MAX_DATAGRAM.ipv4
    this.limit = sendLimit
    this.receiveLimit = receiveLimit
    this.errors = errors
    this.#incoming = new DatagramQueue(receiveLimit, ({ data }) => data.length)
    socket.on('error', (err) => { countError(errors, err) })
    socket.on('message', (data, { address, port }) => { this.#receive({ data, host: address, port }) })
  }

  get source (): AsyncIterable<Batch<Datagram>> { return this.#incoming }

  get port (): PacketPort<Datagram> { return this }

  get dropped (): number { return this.#incoming.dropped }

  get queued (): number { return this.#queued }

  send (batch: Batch<Datagram>): number {
    if (this.#isClosed || this.#queued >= this.limit || batch.some(({ data }) => data.length > this.#largest)) return 0
    for (const datagram of batch) this.#write(datagram)
    return batch.length
  }

  drained (): Promise<void> {
    if (this.#isClosed || this.#queued < this.limit) return Promise.resolve()
    return new Promise((resolve) => { this.#drained.push(resolve) })
  }

  close (): void {
    this.#incoming.end()
    this.#close()
  }

  abort (err: Error): void {
    this.#incoming.fail(err)
    this.#close()
  }

  #close (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.close()
    this.#wake()
  }

  /** What the system has in one turn of the event loop is one batch. */
  #receive (datagram: Datagram): void {
    this.#incoming.add(datagram)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isScheduled = false
    this.#incoming.flush()
  }

  #write ({ data, host, port }: Datagram): void {
    const weight = data.length + DATAGRAM_OVERHEAD
    this.#queued += weight
    const done = (err?: Error | null): void => {
      this.#queued -= weight
      if (err != null && !this.#isClosed) countError(this.errors, err)
      if (this.#queued < this.limit) this.#wake()
    }
    try {
      if (this.#isConnected) this.#socket.send(data, done)
      else this.#socket.send(data, port, host, done)
    } catch (err) { // an address or port that none can have
      done(err as Error)
    }
  }

  #wake (): void {
    if (this.#drained.length > 0) for (const resolve of this.#drained.splice(0)) resolve()
  }
}
