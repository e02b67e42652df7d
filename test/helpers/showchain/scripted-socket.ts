/** A socket whose datagrams come from a test, and go to it. */
import type { Batch, Datagram, DatagramSocket, Endpoint, PacketPort, Take } from '../../../src/types.ts'

export class ScriptedSocket implements DatagramSocket {
  readonly local: Endpoint = { host: '192.0.2.1', port: 9000 }
  readonly dropped = 0
  readonly receiveLimit = Infinity
  readonly sent: Datagram[] = []
  /** Number of calls of `send`. */
  batches = 0
  readonly port: PacketPort<Datagram> & { queued: number } = {
    send: (batch) => {
      this.batches++
      this.sent.push(...batch)
      return batch.length
    },
    queued: 0,
    limit: 1
  }

  #take: Take<Datagram> | undefined
  #end: { resolve (): void, reject (err: Error): void } | undefined

  get source (): never { throw new Error('read by flow') }

  flow (take: Take<Datagram>, signal?: AbortSignal): Promise<void> {
    this.#take = take
    return new Promise((resolve, reject) => {
      this.#end = { resolve, reject }
      signal?.addEventListener('abort', () => { resolve() })
    })
  }

  /** One read. Its memory is lent: it is overwritten once the reader has returned. */
  receive (datagrams: ReadonlyArray<Uint8Array>, { host, port }: Endpoint = { host: '198.51.100.7', port: 4000 }): void {
    const batch: Batch<Datagram> = datagrams.map((data) => ({ data: Uint8Array.from(data), host, port }))
    const memory = batch.map(({ data }) => data)
    try {
      const busy = this.#take?.(batch)
      if (busy !== undefined) throw new Error('the reader is not done')
    } catch (err) {
      this.#end?.reject(err as Error)
    }
    for (const data of memory) data.fill(0xee)
  }

  close (): void { this.#end?.resolve() }

  abort (err: Error): void { this.#end?.reject(err) }
}
