/** A UDP socket of a simulated host, as `bindUdp` makes one of the system. */
import { countError, newUdpErrors, type UdpErrors } from '../../udp/errors.ts'
import { DATAGRAM_OVERHEAD, DatagramQueue } from '../../udp/queue.ts'
import { largestOf, type UdpSocket, type VerifiedUdpInit } from '../../udp/socket.ts'
import { Unsent } from '../../udp/unsent.ts'
import type { Simulation } from './simulation.ts'
import type { Batch, Datagram, Endpoint, PacketPort } from '../../../types.ts'

/** The host of a socket. */
export interface UdpOwner {
  /** Sends a datagram. Returns when it has left, by the clock, or the code of the error that the system would raise. */
  sendDatagram (from: SimulatedUdpSocket, datagram: Datagram): number | string
  /** The socket is closed. */
  release (socket: SimulatedUdpSocket): void
}

export class SimulatedUdpSocket implements UdpSocket, PacketPort<Datagram> {
  readonly local: Endpoint
  readonly limit: number
  readonly receiveLimit: number
  readonly errors: UdpErrors
  readonly offloads = []
  readonly reduced = undefined
  readonly fragments = false
  readonly #simulation: Simulation
  readonly #owner: UdpOwner
  readonly #largest: number
  readonly #incoming: DatagramQueue<Datagram>
  readonly #unsent: Unsent
  /** What leaves last, and at the same time. */
  #leaving: { readonly at: number, weight: number } | undefined
  #isClosed = false

  constructor (simulation: Simulation, owner: UdpOwner, local: Endpoint, { sendLimit, receiveLimit, errors = newUdpErrors() }: VerifiedUdpInit) {
    this.#simulation = simulation
    this.#owner = owner
    this.#largest = largestOf(local.host)
    this.#unsent = new Unsent(() => { simulation.woke() })
    this.#incoming = new DatagramQueue(receiveLimit, ({ data }) => data.length)
    this.local = local
    this.limit = sendLimit
    this.receiveLimit = receiveLimit
    this.errors = errors
  }

  get source (): AsyncIterable<Batch<Datagram>> { return this.#incoming }

  get port (): PacketPort<Datagram> { return this }

  get dropped (): number { return this.#incoming.dropped }

  get queued (): number { return this.#unsent.bytes }

  send (batch: Batch<Datagram>): number {
    if (this.#isClosed || this.queued >= this.limit || batch.some(({ data }) => data.length > this.#largest)) return 0
    for (const datagram of batch) {
      const left = this.#owner.sendDatagram(this, datagram)
      if (typeof left === 'string') this.fail(left)
      else this.#hold(left, datagram.data.length + DATAGRAM_OVERHEAD)
    }
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

  /** A datagram has come. Returns whether there was room for it. */
  receive (datagram: Datagram): boolean {
    const { dropped } = this.#incoming
    this.#incoming.add(datagram)
    this.#incoming.flush()
    this.#simulation.woke()
    return this.#incoming.dropped === dropped
  }

  /** Counts an error of the system. */
  fail (code: string): void { countError(this.errors, code) }

  #close (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#owner.release(this)
    this.#unsent.close()
  }

  /** Bytes count until they have left: all that leave at one time together, as there may be many of them. */
  #hold (until: number, weight: number): void {
    this.#unsent.add(weight)
    if (this.#leaving?.at === until) {
      this.#leaving.weight += weight
      return
    }
    const leaving = this.#leaving = { at: until, weight }
    this.#simulation.schedule(until, () => {
      if (this.#leaving === leaving) this.#leaving = undefined
      this.#unsent.remove(leaving.weight)
    })
  }
}
