/** A UDP socket whose datagrams are seen both ways, and which gets others as if they had come from anywhere. */
import { consume } from '../../../src/streams/consume.ts'
import type { Batch, Datagram, DatagramSocket, Endpoint, PacketPort, Take } from '../../../src/types.ts'

const copyOf = ({ data, host, port }: Datagram): Datagram => ({ data: Uint8Array.from(data), host, port })

export class TappedSocket implements DatagramSocket {
  /** Copies of the last datagrams, in order. */
  readonly received: Datagram[] = []
  readonly sent: Datagram[] = []
  readonly port: PacketPort<Datagram>
  readonly #socket: DatagramSocket
  #take: Take<Datagram> = () => {}

  constructor (socket: DatagramSocket) {
    this.#socket = socket
    const { port } = socket
    this.port = {
      get queued () { return port.queued },
      get limit () { return port.limit },
      send: (batch) => {
        this.sent.push(...batch.map(copyOf))
        return port.send(batch)
      },
      drained: async () => { await port.drained?.() }
    }
  }

  get source (): AsyncIterable<Batch<Datagram>> { return this.#socket.source }

  get local (): Endpoint { return this.#socket.local }

  get dropped (): number { return this.#socket.dropped }

  get receiveLimit (): number { return this.#socket.receiveLimit }

  async flow (take: Take<Datagram>, signal?: AbortSignal): Promise<void> {
    this.#take = take
    await consume<Datagram>(this.#socket, (batch) => {
      this.received.push(...batch.map(copyOf))
      return take(batch)
    }, signal)
  }

  /** They come now, in one batch. */
  inject (...datagrams: Datagram[]): void { void this.#take(datagrams.map(copyOf)) }

  close (): void { this.#socket.close() }

  abort (err: Error): void { this.#socket.abort(err) }
}
