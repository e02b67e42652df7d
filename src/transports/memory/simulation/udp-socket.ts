/** A UDP socket of a simulated host, as `bindUdp` makes one of the system. */
import { countError, newUdpErrors, type UdpErrors } from '../../udp/errors.ts'
import { DATAGRAM_OVERHEAD, DatagramQueue } from '../../udp/queue.ts'
import { MAX_DATAGRAM, type UdpSocket, type VerifiedUdpInit } from '../../udp/socket.ts'
import { familyOf } from './packet.ts'
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
  readonly #simulation: Simulation
  readonly #owner: UdpOwner
  readonly #largest: number
  readonly #incoming: DatagramQueue<Datagram>
  #queued = 0
  /** What leaves last, and at the same time. */
  #leaving: { readonly at: number, weight: number } | undefined
  #isClosed = false
  #drained: Array<() => void> = []

  constructor (simulation: Simulation, owner: UdpOwner, local: Endpoint, { sendLimit, receiveLimit, errors = newUdpErrors() }: VerifiedUdpInit) {
    this.#simulation = simulation
    this.#owner = owner
    this.#largest = MAX_DATAGRAM[familyOf(local.host)]
    this.#incoming = new DatagramQueue(receiveLimit, ({ data }) => data.length)
    this.local = local
    this.limit = sendLimit
    this.receiveLimit = receiveLimit
    this.errors = errors
  }

  get source (): AsyncIterable<Batch<Datagram>> { return this.#incoming }

  get port (): PacketPort<Datagram> { return this }

  get dropped (): number { return this.#incoming.dropped }

  get queued (): number { return this.#queued }

  send (batch: Batch<Datagram>): number {
    if (this.#isClosed || this.#queued >= this.limit || batch.some(({ data }) => data.length > this.#largest)) return 0
    for (const datagram of batch) {
      const left = this.#owner.sendDatagram(this, datagram)
      if (typeof left === 'string') this.fail(left)
      else this.#hold(left, datagram.data.length + DATAGRAM_OVERHEAD)
    }
    return batch.length
  }

  drained (): Promise<void> {
    if (this.#isClosed || this.#queued === 0) return Promise.resolve()
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
    this.#wake()
  }

  /** Bytes count until they have left: all that leave at one time together, as there may be many of them. */
  #hold (until: number, weight: number): void {
    this.#queued += weight
    if (this.#leaving?.at === until) {
      this.#leaving.weight += weight
      return
    }
    const leaving = this.#leaving = { at: until, weight }
    this.#simulation.schedule(until, () => {
      if (this.#leaving === leaving) this.#leaving = undefined
      this.#queued -= leaving.weight
      if (this.#queued === 0) this.#wake()
    })
  }

  #wake (): void {
    if (this.#drained.length === 0) return
    this.#simulation.woke()
    for (const resolve of this.#drained.splice(0)) resolve()
  }
}
