/** Datagrams on their way to the socket: together, but for those that may be cut into fragments and those that may not. */
import type { UdpSocket } from '../../../../transports/udp/index.ts'
import type { Batch, Datagram, DatagramSocket } from '../../../../types.ts'

/** A socket of the system, or one of a simulated network, which has no fragments. */
export type DirectSocket = DatagramSocket & Pick<UdpSocket, 'allowFragments'>

export class Outbox {
  readonly #socket: DirectSocket
  #datagrams: Batch<Datagram> = []
  #fragments = false
  #dropped = 0

  constructor (socket: DirectSocket) {
    this.#socket = socket
  }

  add (datagram: Datagram, fragments: boolean): void {
    if (fragments !== this.#fragments) this.#send()
    this.#fragments = fragments
    this.#datagrams.push(datagram)
  }

  /** Sends them; returns how many were dropped, as the socket has no room. */
  flush (): number {
    this.#send()
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }

  /** Settles when their memory is free. Undefined when it is free now. */
  drained (): Promise<void> | undefined {
    const { port } = this.#socket
    return port.queued > 0 ? port.drained?.() : undefined
  }

  #send (): void {
    if (this.#datagrams.length === 0) return
    const datagrams = this.#datagrams
    this.#datagrams = []
    this.#socket.allowFragments?.(this.#fragments)
    this.#dropped += datagrams.length - this.#socket.port.send(datagrams)
  }
}
