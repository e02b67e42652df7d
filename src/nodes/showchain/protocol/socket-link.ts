/** A socket as a link. What is sent while its datagrams are handled leaves in one batch. */
import { consume } from '../../../streams/consume.ts'
import type { Batch, Datagram, DatagramSocket, Link, PacketPort, Take } from '../../../types.ts'

export class SocketLink implements Link<Datagram> {
  readonly sink: Link<Datagram>['sink']
  readonly port: PacketPort<Datagram>
  readonly flow: Required<Link<Datagram>>['flow']
  readonly #socket: DatagramSocket
  readonly #lower: PacketPort<Datagram>
  #held: Batch<Datagram> = []
  #holders = 0
  /** Something is sent, at the end of this turn of the event loop. */
  #isScheduled = false

  constructor (socket: DatagramSocket) {
    this.#socket = socket
    const { port } = socket // kept: it may be that of a socket with other members replaced, in which a look-up takes time
    this.#lower = port
    this.sink = async (source) => {
      for await (const batch of source) {
        await port.drained?.()
        port.send(batch)
      }
      socket.close()
    }
    this.flow = (take, signal) => consume<Datagram>(socket, (batch) => this.#holding(take, batch), signal)
    this.port = {
      send: (batch) => this.#send(batch),
      get queued () { return port.queued },
      get bufferedAmount () { return port.bufferedAmount },
      limit: port.limit,
      drained: () => port.drained?.() ?? Promise.resolve()
    }
  }

  get source (): Link<Datagram>['source'] { return this.#socket.source }

  abort (err: Error): void { this.#socket.abort(err) }

  /** Holds back what is sent until the end of this turn of the event loop, for results that come one by one from other threads. Does nothing inside of a read. */
  holdForTurn (): void {
    if (this.#isScheduled || this.#holders > 0) return
    this.#isScheduled = true
    this.#holders++
    setImmediate(this.#endTurn)
  }

  readonly #endTurn = (): void => {
    this.#isScheduled = false
    this.#release()
  }

  #holding (take: Take<Datagram>, batch: Batch<Datagram>): ReturnType<Take> {
    this.#holders++
    try {
      return take(batch)
    } finally {
      this.#release()
    }
  }

  #send (batch: Batch<Datagram>): number {
    const port = this.#lower
    if (this.#holders === 0) return port.send(batch)
    if (port.queued >= port.limit) return 0
    for (const datagram of batch) this.#held.push(datagram)
    return batch.length
  }

  #release (): void {
    if (--this.#holders > 0 || this.#held.length === 0) return
    const batch = this.#held
    this.#held = []
    this.#lower.send(batch)
  }
}
