/** Datagrams that leave together. */
import type { Batch, Datagram, Endpoint, PacketPort } from '../../../types.ts'

export class Outbox {
  /** Datagrams that the system had no room for. */
  unsent = 0
  readonly #port: PacketPort<Datagram>
  #batch: Batch<Datagram> = []

  constructor (port: PacketPort<Datagram>) { this.#port = port }

  /** The memory is not written to any more. */
  add (data: Uint8Array, { host, port }: Endpoint): void { this.#batch.push({ data, host, port }) }

  /** Sends what was added. */
  flush (): void {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.unsent += batch.length - this.#port.send(batch)
  }
}
