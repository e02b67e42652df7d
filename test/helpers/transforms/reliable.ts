/** Reliable streams with both their ends in one test, over simulated networks and over the loopback. */
import { reliable, type ReliableInit, type ReliableLink } from '../../../src/transforms/reliable/index.ts'
import type { AcceptQueue } from '../../../src/transports/acceptor.ts'
import { listenOn } from '../../../src/transports/memory/network.ts'
import { SimulatedNetwork, type Conditions } from '../../../src/transports/memory/index.ts'
import { bindUdp } from '../../../src/transports/udp/index.ts'
import type { Batch, Datagram, DatagramSocket, Endpoint, Link, Transport } from '../../../src/types.ts'

/** A socket and one address as a link that lends the memory of its reads. */
export function datagramLink (socket: DatagramSocket, { host, port: to }: Endpoint): Link {
  const { port } = socket
  const source = async function * (): AsyncGenerator<Batch> {
    for await (const batch of socket.source) yield batch.map(({ data }) => data)
  }
  return {
    source: source(),
    sink: () => Promise.reject(new Error('datagrams have no sink')),
    port: {
      send: (batch) => port.send(batch.map((data) => ({ data, host, port: to }))),
      get queued () { return port.queued },
      get limit () { return port.limit },
      drained: async () => { await port.drained?.() }
    },
    flow: socket.flow === undefined ? undefined : (take, signal) => (socket.flow as NonNullable<DatagramSocket['flow']>)((batch: Batch<Datagram>) => take(batch.map(({ data }) => data)), signal),
    abort: (err) => { socket.abort(err) }
  }
}

/** Binds both sockets of a connection, and makes a link of each. */
export async function connected (bindHere: () => Promise<DatagramSocket>, bindThere: () => Promise<DatagramSocket>): Promise<[Link, Link]> {
  const [here, there] = await Promise.all([bindHere(), bindThere()])
  return [datagramLink(here, there.local), datagramLink(there, here.local)]
}

/** Two links of datagrams over the loopback. */
export const loopbackPair = (): Promise<[Link, Link]> => {
  const bind = (): Promise<DatagramSocket> => bindUdp({ host: '127.0.0.1', port: 0 })
  return connected(bind, bind)
}

export interface SimulatedInit extends Conditions {
  seed?: number
}

/** Makes pairs of links of datagrams between the same two hosts. */
export function simulatedPairs ({ seed, ...conditions }: SimulatedInit = {}): { network: SimulatedNetwork, pair: () => Promise<[Link, Link]>, cut: () => void } {
  const network = new SimulatedNetwork({ trace: 0, seed })
  const subnet = network.subnet('10.0.0.0/8', conditions)
  const [here, there] = ['10.0.0.1', '10.0.0.2'].map((address) => network.host({ on: subnet, address }))
  return { network, pair: () => connected(() => here.bindUdp(), () => there.bindUdp()), cut: () => { network.partition([here]) } }
}

/** The two ends of a stream. */
export function streamPair ([a, b]: [Link, Link], init: ReliableInit = {}): [ReliableLink, ReliableLink] {
  const layer = reliable(init)
  return [layer(a), layer(b)]
}

/** A network with ports of its own, whose connections are streams over pairs of links. */
export function reliableTransport (pair: () => Promise<[Link, Link]>, init: ReliableInit = {}): Transport {
  const ports = new Map<number, AcceptQueue<Link>>()
  const layer = reliable(init)
  return {
    capabilities: { halfClose: true },
    async dial ({ port, signal }) {
      signal?.throwIfAborted()
      const queue = ports.get(port)
      if (queue === undefined) throw Object.assign(new Error(`no listener on port ${port}`), { code: 'ECONNREFUSED' })
      const [client, server] = await pair()
      const links = [client, server].map(layer)
      try {
        signal?.throwIfAborted()
      } catch (err) {
        for (const link of links) link.abort(err as Error)
        throw err
      }
      queue.offer(links[1])
      return links[0]
    },
    listen: ({ port }) => listenOn(ports, port)
  }
}
