/** UDP sockets by `node:dgram`: on every system, one datagram at a time. */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv4, isIPv6 } from 'node:net'
import { countError, newUdpErrors, type UdpErrors } from './errors.ts'
import { DATAGRAM_OVERHEAD, DatagramQueue } from './queue.ts'
import { largestOf, type UdpOffload, type UdpSocket, type VerifiedUdpInit } from './socket.ts'
import { Unsent } from './unsent.ts'
import type { Batch, Datagram, Endpoint, PacketPort } from '../../types.ts'

/**
 * @param at an address, not a name
 * @param reduced why it is not a socket with offloads
 * @throws a system error
 */
export async function bindNodeSocket (at: Endpoint, init: VerifiedUdpInit, reduced: string): Promise<UdpSocket> {
  const socket = newSocket(at.host)
  await settled(socket, (done) => { socket.bind({ address: at.host, port: at.port, exclusive: true }, done) })
  if (init.broadcast) socket.setBroadcast(true)
  return new NodeUdpSocket(socket, false, init, reduced)
}

/** The same for one that is connected. */
export async function connectNodeSocket (to: Endpoint, init: VerifiedUdpInit, reduced: string): Promise<{ socket: UdpSocket, remote: Endpoint }> {
  const socket = newSocket(to.host)
  await settled(socket, (done) => { socket.connect(to.port, to.host, done) })
  return { socket: new NodeUdpSocket(socket, true, init, reduced), remote: endpointOf(socket.remoteAddress()) }
}

/** Addresses are resolved by then: without a look-up of its own Node sends at once. A socket of IPv6 reaches those of IPv4 by mapped addresses. */
function newSocket (address: string): Socket {
  const isV6 = isIPv6(address)
  return createSocket({
    type: isV6 ? 'udp6' : 'udp4',
    lookup: (host, _options, done) => { done(null, isV6 && isIPv4(host) ? `::ffff:${host}` : host, isV6 ? 6 : 4) }
  })
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

/** The system may allow less: `net.core.rmem_max` and `wmem_max` of Linux. */
function setBuffers (socket: Socket, bytes: number): void {
  try {
    socket.setRecvBufferSize(bytes)
    socket.setSendBufferSize(bytes)
  } catch {} // those of the system stay as they are
}

class NodeUdpSocket implements UdpSocket, PacketPort<Datagram> {
  readonly local: Endpoint
  readonly limit: number
  readonly receiveLimit: number
  readonly errors: UdpErrors
  readonly offloads: readonly UdpOffload[] = []
  readonly reduced: string
  readonly fragments = true
  readonly #socket: Socket
  readonly #isConnected: boolean
  readonly #largest: number
  readonly #incoming: DatagramQueue<Datagram>
  readonly #unsent = new Unsent()
  #isClosed = false
  #isScheduled = false

  constructor (socket: Socket, isConnected: boolean, { sendLimit, receiveLimit, kernelBuffer, errors = newUdpErrors() }: VerifiedUdpInit, reduced: string) {
    this.#socket = socket
    this.#isConnected = isConnected
    this.local = endpointOf(socket.address())
    this.#largest = largestOf(this.local.host)
    this.limit = sendLimit
    this.receiveLimit = receiveLimit
    this.errors = errors
    this.reduced = reduced
    this.#incoming = new DatagramQueue(receiveLimit, ({ data }) => data.length)
    setBuffers(socket, kernelBuffer)
    socket.on('error', (err) => { countError(errors, (err as NodeJS.ErrnoException).code) })
    // Plain arrays as those of the other sockets, so that nobody depends on a Buffer.
    socket.on('message', ({ buffer, byteOffset, length }, { address, port }) => { this.#receive({ data: new Uint8Array(buffer, byteOffset, length), host: address, port }) })
  }

  get source (): AsyncIterable<Batch<Datagram>> { return this.#incoming }

  get port (): PacketPort<Datagram> { return this }

  get dropped (): number { return this.#incoming.dropped }

  get queued (): number { return this.#unsent.bytes }

  send (batch: Batch<Datagram>): number {
    if (this.#isClosed || this.queued >= this.limit || batch.some(({ data }) => data.length > this.#largest)) return 0
    for (const datagram of batch) this.#write(datagram)
    return batch.length
  }

  drained (): Promise<void> { return this.#unsent.drained() }

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
    this.#unsent.close()
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
    this.#unsent.add(weight)
    const done = (err?: Error | null): void => {
      if (err != null && !this.#isClosed) countError(this.errors, (err as NodeJS.ErrnoException).code)
      this.#unsent.remove(weight)
    }
    try {
      if (this.#isConnected) this.#socket.send(data, done)
      else if (host === '') done(new Error('no address')) // which Node takes for that of this machine
      else this.#socket.send(data, port, host, done)
    } catch (err) { // an address or port that none can have
      done(err as Error)
    }
  }
}
