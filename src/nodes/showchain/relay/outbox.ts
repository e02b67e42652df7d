/** Datagrams that leave together, in memory that is used again where the port allows it. */
import type { Batch, Datagram, Endpoint, PacketPort } from '../../../types.ts'

/** Bytes of the memory: what two messages of the system take, see `MessageWriter`. */
const SIZE = 128 << 10

export class Outbox {
  /** Datagrams that the system had no room for. */
  unsent = 0
  /** What was added since the last `flush` may still be changed there. */
  memory: Uint8Array = new Uint8Array(0)
  readonly #port: PacketPort<Datagram>
  #batch: Batch<Datagram> = []
  #used = 0

  constructor (port: PacketPort<Datagram>) { this.#port = port }

  /**
   * Adds a copy. Returns where in `memory` it begins, with all of its bytes until the next call.
   *
   * @param length of what is sent, when that is less
   */
  add (data: Uint8Array, { host, port }: Endpoint, length = data.length): number {
    if (this.#used + data.length > this.memory.length) {
      this.flush()
      if (this.#used + data.length > this.memory.length) {
        this.memory = new Uint8Array(Buffer.allocUnsafeSlow(Math.max(SIZE, data.length)).buffer)
        this.#used = 0
      }
    }
    const { memory } = this
    const at = this.#used
    memory.set(data, at)
    this.#used += length
    this.#batch.push({ data: memory.subarray(at, at + length), host, port })
    return at
  }

  /** Sends what was added. */
  flush (): void {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    const port = this.#port
    this.#batch = []
    this.unsent += batch.length - port.send(batch)
    if (port.isReusable === true && port.queued === 0) this.#used = 0
  }
}
