/** A link over a socket of its own. */
import { Flow, type UdpLink } from './flow.ts'
import { connectUdp, type UdpTarget } from './bind.ts'
import type { UdpInit, UdpSocket } from './socket.ts'
import { withoutZone } from '../../net/client-address.ts'
import { verifyMilliseconds } from '../../options.ts'
import { consumeSource } from '../../streams/consume.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Datagram } from '../../types.ts'

/** Options of {@link dialUdp}. */
export interface DialUdpInit extends UdpInit, UdpTarget {
  /** Milliseconds without a datagram in either direction until the link ends. Default: no bound. */
  idleTimeout?: number
  /** Makes a socket with any free port, as a host of a simulated network does: `(init) => host.bindUdp(init)`. Default: one of the system. */
  bind?: (init: UdpInit & { port: number }) => Promise<UdpSocket>
}

/**
 * A link of datagrams to an address, whose socket takes those of this address alone. Nothing is sent by that, so whether anybody is there
 * shows in `errors` at most.
 *
 * @throws {OptionError} when an option is out of range; else a system error (`ENOTFOUND`, `ENETUNREACH`, ...), {@link DialTimeoutError}, or
 *   the reason of the signal
 */
export async function dialUdp ({ idleTimeout, bind, ...init }: DialUdpInit): Promise<UdpLink> {
  for (const [name, value] of Object.entries({ idleTimeout, timeout: init.timeout })) if (value !== undefined) verifyMilliseconds(name, value)
  const { socket, remote } = bind === undefined ? await connectUdp(init, init) : { socket: await bind({ ...udpOf(init), port: 0 }), remote: { host: init.host, port: init.port } }
  const flow = new Flow({ socket, ownsSocket: true, remote, receiveLimit: socket.receiveLimit, idleTimeout, clock: init.clock ?? systemClock, onUsed () {}, onEnd () { socket.close() } })
  // What others send is not of this link.
  const isOfRemote = ({ host, port }: Datagram): boolean => port === remote.port && withoutZone(host) === withoutZone(remote.host)
  consumeSource<Datagram>(socket.source, (batch) => { flow.receive(batch.filter(isOfRemote).map(({ data }) => data)) }).catch((err) => { flow.abort(err as Error) })
  return flow
}

/** What is for the socket itself. */
const udpOf = ({ sendLimit, receiveLimit, kernelBuffer, errors, fragment, io }: UdpInit): UdpInit => ({ sendLimit, receiveLimit, kernelBuffer, errors, fragment, io })
