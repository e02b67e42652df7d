/** The status of a relay: its networks, members and rates. Plain data, made on request. */
import { bufferedAmountOf } from '../../../limits/send-queue.ts'
import type { TrafficRates } from '../../../limits/rate-meter.ts'
import { remoteText } from '../../../net/endpoint.ts'
import { printable } from '../../../text/printable.ts'
import { formatAddress, formatCidr } from '../../../net/ipv4.ts'
import type { Network } from './network.ts'
import type { Session } from './session.ts'
import type { ServerStatus } from '../../common/status.ts'
import type { CandyNetworkStats, CandyRelayStats, Traffic } from './stats.ts'

/** One client of a network. */
export interface CandyMemberStatus extends Traffic, TrafficRates {
  address: string
  /** Address and port of the client, as reported by a trusted proxy if there is one. */
  source: string
  /** The client software by its greeting; empty without one. */
  system: string
  version: string
  host: string
  /** Its vmac; empty without one. */
  device: string
  /** Seconds since it connected, and since the last frame. */
  connected: number
  silent: number
  /** Bytes queued for it, in memory and, as far as known, in the kernel. */
  queued: number
}

/** One network, with its clients by address. */
export interface CandyNetworkStatus extends CandyNetworkStats {
  /** Empty for a network without a path. */
  path: string
  /** Empty without a range. */
  range: string
  /** Devices with a lease. */
  leases: number
  members: CandyMemberStatus[]
}

/** A relay, with its networks. */
export interface CandyRelayStatus extends CandyRelayStats {
  networks: CandyNetworkStatus[]
}

/** A relay on a port. */
export interface CandyServerStatus extends CandyRelayStatus, ServerStatus {
  /** Threads that forward packets. */
  workers: number
}

/** @param now milliseconds of the relay's clock */
export function networkStatus (network: Network, now: number): CandyNetworkStatus {
  const { settings: { path = '', range }, pool } = network
  return {
    path,
    range: range === undefined ? '' : formatCidr(range),
    leases: pool?.leases.size ?? 0,
    ...network.stats,
    members: Array.from(network.members(), (session) => memberStatus(session, now)).sort((a, b) => a.order - b.order).map(({ order, ...member }) => member)
  }
}

function memberStatus (session: Session, now: number): CandyMemberStatus & { order: number } {
  const { address, remote, client, device = '', since, heardAt, traffic, rate, link } = session
  const [system = '', version = '', name = ''] = client.split('::')
  return {
    order: address,
    address: formatAddress(address),
    source: remoteText(remote),
    system,
    version,
    host: name,
    device: printable(device),
    connected: Math.max(0, Math.round((now - since) / 1000)),
    silent: Math.max(0, Math.round((now - heardAt) / 1000)),
    ...traffic,
    ...rate.perSecond,
    queued: bufferedAmountOf(link.port)
  }
}
