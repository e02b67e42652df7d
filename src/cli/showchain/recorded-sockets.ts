/** UDP sockets of a node whose datagrams can be captured while it runs. */
import { consume } from '../../streams/consume.ts'
import type { CaptureDirection, CaptureRecorder } from '../../transforms/capture/index.ts'
import { bindUdp, type BindUdpInit, type UdpSocket } from '../../transports/udp/index.ts'
import type { Batch, Datagram, PacketPort, Take } from '../../types.ts'
import { udpPacket } from './udp-packet.ts'

export class RecordedSockets {
  readonly #recorders = new Set<CaptureRecorder>()

  /** Opens a socket, as `bindUdp` does. */
  readonly bind = async (init: BindUdpInit): Promise<UdpSocket> => {
    const socket = await bindUdp(init)
    return recorded(socket, (batch, direction) => { this.#record(socket, batch, direction) })
  }

  /** Records what all sockets send and get from now on. The function that it returns stops that. */
  attach (recorder: CaptureRecorder): () => void {
    this.#recorders.add(recorder)
    return () => { this.#recorders.delete(recorder) }
  }

  #record ({ local }: UdpSocket, batch: Batch<Datagram>, direction: CaptureDirection): void {
    if (this.#recorders.size === 0) return
    const packets = batch.map(({ data, ...remote }) => direction === 'in' ? udpPacket(remote, local, data) : udpPacket(local, remote, data))
    for (const recorder of this.#recorders) recorder.record(packets, direction)
  }
}

/** The same socket, with `record` called for what has come and for what the system below has taken. */
function recorded (socket: UdpSocket, record: (batch: Batch<Datagram>, direction: CaptureDirection) => void): UdpSocket {
  const { port } = socket
  const recordedPort: PacketPort<Datagram> = {
    get queued () { return port.queued },
    get bufferedAmount () { return port.bufferedAmount },
    get limit () { return port.limit },
    send (batch) {
      const taken = port.send(batch)
      if (taken > 0) record(batch, 'out')
      return taken
    },
    ...(port.drained !== undefined && { drained: () => (port as Required<typeof port>).drained() })
  }
  return {
    port: recordedPort,
    source: recordedSource(socket.source, record),
    flow: (take: Take<Datagram>, signal?: AbortSignal) => consume<Datagram>(socket, (batch) => {
      record(batch, 'in') // before the node changes it
      return take(batch)
    }, signal),
    get local () { return socket.local },
    get dropped () { return socket.dropped },
    get receiveLimit () { return socket.receiveLimit },
    get errors () { return socket.errors },
    get offloads () { return socket.offloads },
    get reduced () { return socket.reduced },
    get fragments () { return socket.fragments },
    ...(socket.allowFragments !== undefined && { allowFragments: (isAllowed: boolean) => { socket.allowFragments?.(isAllowed) } }),
    close () { socket.close() },
    abort (err) { socket.abort(err) }
  }
}

async function * recordedSource (source: AsyncIterable<Batch<Datagram>>, record: (batch: Batch<Datagram>, direction: CaptureDirection) => void): AsyncGenerator<Batch<Datagram>> {
  for await (const batch of source) {
    record(batch, 'in')
    yield batch
  }
}
