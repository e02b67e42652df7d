/**
 * Answers those in this network who ask which peers are here (RustDesk protocol, section 6.7). An answer is longer than a question, and nobody
 * proves an address by UDP: only neighbours get one, and few of them.
 */
import { hostname, networkInterfaces, platform } from 'node:os'
import { DISCOVERY_PORT, discoveryOf } from './discovery.ts'
import type { BindPeer } from './registration.ts'
import { rendezvous } from '../protocol/messages.ts'
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { CidrList } from '../../../net/cidr-list.ts'
import { clientKey } from '../../../net/client-address.ts'
import { consume } from '../../../streams/consume.ts'
import { systemClock } from '../../../streams/clock.ts'
import { bindUdp } from '../../../transports/udp/bind.ts'
import type { Clock, Datagram } from '../../../types.ts'

/** Networks whose addresses are those of no internet. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '127.0.0.0/8']

/** Answers a second, and at once: to one address, and to all. */
const OF_ONE = { rate: 1, burst: 4 }
const OF_ALL = { rate: 16, burst: 64 }

/** Characters of the name of this machine that are told. */
const MAX_NAME = 64

const PLATFORMS: Readonly<Record<string, string>> = { linux: 'Linux', darwin: 'Mac OS', win32: 'Windows', android: 'Android' }

/** Options of the answers. */
export interface DiscoverableInit {
  /** Of this peer. */
  id: string
  /** Default: 21119 of all addresses of IPv4. */
  port?: number
  /** Binds a UDP socket. Default: `bindUdp`. */
  bind?: BindPeer
  clock?: Clock
}

/** Answers, until it is closed. */
export interface Discoverable {
  /** Answers so far, and questions without one: of an address that is none of a neighbour, or too many. */
  readonly stats: { readonly answered: number, readonly unanswered: number }
  close (): void
}

/**
 * Begins to answer with the id, the name of this machine and its system; no user, and no hardware address.
 *
 * @throws an error of the system (`EADDRINUSE`: a RustDesk client runs here, say)
 */
export async function discoverable ({ id, port = DISCOVERY_PORT, bind = bindUdp, clock = systemClock }: DiscoverableInit): Promise<Discoverable> {
  const socket = await bind({ host: '0.0.0.0', port })
  const [ofOne, ofAll] = [new KeyedTokenBuckets(OF_ONE), new TokenBucket(OF_ALL, clock.now())]
  const stats = { answered: 0, unanswered: 0 }
  const answer = rendezvous.encode({ peer_discovery: { cmd: 'pong', id, hostname: hostname().slice(0, MAX_NAME), platform: PLATFORMS[platform()] ?? platform() } })
  const mayAnswer = (host: string): boolean => {
    ofAll.refill(clock.now())
    return ofAll.has(1) && neighbours().includes(host) && ofOne.take(clientKey(host), clock.now()) && ofAll.take(1)
  }
  const receive = ({ data, host, port }: Datagram): void => {
    if (discoveryOf(data)?.cmd !== 'ping') return
    if (port !== 0 && mayAnswer(host)) {
      stats.answered++
      socket.port.send([{ data: answer, host, port }])
    } else stats.unanswered++
  }
  consume<Datagram>(socket, (batch) => { for (const datagram of batch) receive(datagram) }).catch(() => {}) // nobody is answered any more
  return { stats, close () { socket.close() } }
}

/** As of now: a machine may have moved to another network. */
function neighbours (): CidrList {
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.flatMap(({ family, cidr }) => family === 'IPv4' && cidr !== null ? [cidr] : []))
  return new CidrList('neighbours', [...PRIVATE, ...own])
}
