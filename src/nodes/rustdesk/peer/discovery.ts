/** Which peers are in this network: all are asked, and those that want to answer (RustDesk protocol, section 6.7). */
import { networkInterfaces } from 'node:os'
import { rendezvous } from '../protocol/messages.ts'
import { consume } from '../../../streams/consume.ts'
import { systemClock, wait } from '../../../streams/clock.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { formatAddress, parseCidr } from '../../../net/ipv4.ts'
import { bindUdp } from '../../../transports/udp/bind.ts'
import type { UdpSocket } from '../../../transports/udp/socket.ts'
import type { Clock, Datagram } from '../../../types.ts'

/** UDP, of all peers. */
export const DISCOVERY_PORT = 21_119

/** Of everybody in the network of the default route. */
const EVERYBODY = '255.255.255.255'

/** Answers that are kept, and characters of what they tell. */
const MAX_PEERS = 1024
const MAX_TEXT = 255

const TIMEOUT = 3000

/** Options of a question. */
export interface DiscoverInit {
  /** Where to ask. Default: each network of this machine. */
  broadcast?: readonly string[] | undefined
  /** Milliseconds to listen for answers. Default: 3000. */
  timeout?: number
  clock?: Clock
  signal?: AbortSignal
}

/** A peer, as it says of itself: nothing of it is proven. */
export interface DiscoveredPeer {
  /** `host:port` that has answered. */
  readonly address: string
  readonly id: string
  readonly hostname: string
  readonly username: string
  readonly platform: string
  readonly mac: string
}

/** The addresses of all in each network of this machine. */
export function broadcastAddresses (): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses)
  const own = all.flatMap(({ family, internal, cidr }) => {
    const network = family === 'IPv4' && !internal && cidr !== null ? parseCidr(cidr) : undefined
    return network === undefined || network.prefix > 30 ? [] : [formatAddress(network.broadcast)]
  })
  return [...new Set([EVERYBODY, ...own])]
}

/**
 * Asks, and waits for answers.
 *
 * @returns in the order in which they have answered
 * @throws an error of the system; that of the signal
 */
export async function discover ({ broadcast = broadcastAddresses(), timeout = TIMEOUT, clock = systemClock, signal }: DiscoverInit = {}): Promise<DiscoveredPeer[]> {
  const socket: UdpSocket = await bindUdp({ host: '0.0.0.0', port: 0, broadcast: true })
  const found = new Map<string, DiscoveredPeer>()
  try {
    const reading = consume<Datagram>(socket, (batch) => {
      for (const datagram of batch) take(datagram, found)
    })
    reading.catch(() => {}) // it ends with the socket
    const data = rendezvous.encode({ peer_discovery: { cmd: 'ping' } })
    for (const host of broadcast) socket.port.send([{ data, host, port: DISCOVERY_PORT }])
    await wait(clock, timeout, { ...(signal !== undefined && { signal }) })
  } finally {
    socket.close()
  }
  return [...found.values()]
}

function take ({ data, host, port }: Datagram, found: Map<string, DiscoveredPeer>): void {
  const answer = discoveryOf(data)
  if (answer?.cmd !== 'pong' || found.size >= MAX_PEERS) return
  const { id, hostname, username, platform, mac } = answer
  const [peer, address] = [[id, hostname, username, platform, mac].map((text) => (text ?? '').slice(0, MAX_TEXT)), endpointText({ host, port })]
  found.set(`${address} ${peer[0]}`, { address, id: peer[0], hostname: peer[1], username: peer[2], platform: peer[3], mac: peer[4] })
}

/** What a datagram has of it; undefined when it is something else. */
export function discoveryOf (data: Uint8Array) {
  try {
    return rendezvous.decode(data).peer_discovery ?? undefined
  } catch {
    return undefined
  }
}
