/** Servers and clients of STUN in a simulated network. */
import { NatDetection, StunResponder, type NatDetectionInit } from '../../../src/nat/index.ts'
import type { SimulatedHost } from '../../../src/transports/memory/index.ts'
import { consume } from '../../../src/streams/consume.ts'
import type { VirtualClock } from '../../../src/streams/virtual-clock.ts'
import type { DatagramSocket, Endpoint } from '../../../src/types.ts'

/** A server with a socket on each endpoint. */
export async function serveStun (clock: VirtualClock, host: SimulatedHost, endpoints: readonly Endpoint[]): Promise<StunResponder> {
  const responder = new StunResponder({ endpoints }, clock.now())
  const sockets = await Promise.all(endpoints.map((at) => host.bindUdp(at)))
  for (const [at, socket] of sockets.entries()) {
    void consume(socket, (batch) => {
      for (const datagram of batch) for (const { from, to, data } of responder.receive(datagram, at, clock.now())) sockets[from].port.send([{ ...to, data }])
    })
  }
  return responder
}

/** Runs a detection to its end. */
export async function detect (clock: VirtualClock, socket: DatagramSocket, init: NatDetectionInit): Promise<NatDetection> {
  const detection = new NatDetection(init)
  detection.start(clock.now())
  void consume(socket, (batch) => { for (const datagram of batch) detection.receive(datagram, clock.now()) })
  while (!detection.isDone) {
    const datagrams = detection.poll(clock.now())
    if (datagrams.length > 0) socket.port.send(datagrams)
    await clock.pass(10) // an answer may have moved the deadline
  }
  return detection
}
