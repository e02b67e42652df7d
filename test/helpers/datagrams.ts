/** Datagrams between sockets of one process. */
import { AsyncQueue } from '../../src/streams/async-queue.ts'
import type { Batch, Datagram, DatagramSocket, Endpoint, PacketPort } from '../../src/types.ts'

/** The largest payload of UDP over IPv4. */
export const MAX_DATAGRAM = 65_507

export interface MemoryDatagramsInit {
  /** Bytes on their way. Default: 64 KiB. */
  sendLimit?: number
  /** Bytes that wait for the reader. Default: 64 KiB. */
  receiveLimit?: number
}

const keyOf = ({ host, port }: Endpoint): string => `${host} ${port}`

class MemoryDatagramSocket implements DatagramSocket {
  dropped = 0
  readonly local: Endpoint
  readonly receiveLimit: number
  readonly port: PacketPort<Datagram>
  readonly #network: Map<string, MemoryDatagramSocket>
  readonly #incoming = new AsyncQueue<Datagram>({ weigh: ({ data }) => data.length + 1 })
  #queued = 0
  #isClosed = false
  #waiting: Array<() => void> = []

  constructor (network: Map<string, MemoryDatagramSocket>, local: Endpoint, { sendLimit = 65_536, receiveLimit = 65_536 }: MemoryDatagramsInit) {
    this.#network = network
    this.local = local
    this.receiveLimit = receiveLimit
    const queued = (): number => this.#queued
    this.port = {
      send: (batch) => this.#send(batch, sendLimit),
      get queued () { return queued() },
      limit: sendLimit,
      drained: () => this.#queued === 0 ? Promise.resolve() : new Promise((resolve) => { this.#waiting.push(resolve) })
    }
  }

  get source (): AsyncIterable<Batch<Datagram>> { return this.#incoming }

  close (): void {
    this.#isClosed = true
    this.#network.delete(keyOf(this.local))
    this.#incoming.end()
  }

  abort (err: Error): void {
    this.#incoming.discard()
    this.#incoming.fail(err)
    this.close()
  }

  receive (datagram: Datagram): void {
    if (this.#incoming.size >= this.receiveLimit) this.dropped++
    else this.#incoming.push(datagram)
  }

  #send (batch: Batch<Datagram>, limit: number): number {
    if (this.#isClosed || this.#queued >= limit || batch.some(({ data }) => data.length > MAX_DATAGRAM)) return 0
    const bytes = batch.reduce((sum, { data }) => sum + data.length, 0)
    this.#queued += bytes
    setImmediate(() => {
      this.#queued -= bytes
      for (const { data, ...to } of batch) this.#network.get(keyOf(to))?.receive({ data: Uint8Array.from(data), ...this.local })
      if (this.#queued === 0) for (const resolve of this.#waiting.splice(0)) resolve()
    })
    return batch.length
  }
}

/** A network of its own. Each call binds a socket to an address of it. */
export function memoryDatagrams (): (local: Endpoint, init?: MemoryDatagramsInit) => DatagramSocket {
  const network = new Map<string, MemoryDatagramSocket>()
  return (local, init = {}) => {
    const socket = new MemoryDatagramSocket(network, local, init)
    network.set(keyOf(local), socket)
    return socket
  }
}
