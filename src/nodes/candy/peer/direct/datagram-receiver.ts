/** Takes what comes to the UDP socket: opens datagrams in place, and hands over what they are. */
import type { DatagramCipher } from '../../../../crypto/index.ts'
import { TokenBucket } from '../../../../limits/token-bucket.ts'
import { destinationOf, parseAddress, readU32, sourceOf } from '../../../../net/ipv4.ts'
import type { Batch, Datagram } from '../../../../types.ts'
import { FORWARD_PACKET, isRouted, stripOuter } from '../../protocol/forward.ts'
import { DATAGRAM_LAYOUT, DatagramKind, MIN_PLAINTEXT, readDelay, readDelayRoute, readHeartbeat, type Delay, type DelayRoute } from '../../protocol/datagrams.ts'
import { readIntroducedHeartbeat } from '../../protocol/introduced-heartbeat.ts'
import type { PeerRoutes } from '../routes.ts'
import type { CandyPeerStats } from '../stats.ts'
import type { Members } from './members.ts'
import type { OwnEndpoint } from './own-endpoint.ts'
import type { RemoteEndpoint } from './path.ts'
import type { RemotePeer } from './remote-peer.ts'

/** Datagrams from endpoints of no member that are opened in a second, and at once: each may be forged, and costs as much as one that is not. */
const STRANGERS = { rate: 2000, burst: 500 }

export interface DatagramReceiverInit {
  own: number
  members: Members
  endpoint: OwnEndpoint
  /** With the own key, as existing clients use it. */
  cipher: DatagramCipher
  routes: Pick<PeerRoutes, 'size' | 'nexthopOf' | 'accepts'>
  stats: CandyPeerStats
  now: number
  /** Whether members may carry packets of others. */
  isRelaying: boolean
  /** Undefined for an endpoint where no member can be. */
  usable (address: number, port: number): RemoteEndpoint | undefined
  onStun (now: number): void
  /** @param text the plaintext */
  onDelay (delay: Delay, text: Uint8Array, peer: RemotePeer, now: number): void
  onRoute (route: DelayRoute, peer: RemotePeer, now: number): void
  /** A packet for another member; the datagram is open, and may be sealed again. */
  onTransit (datagram: Uint8Array, peer: RemotePeer): void
  /** The packets of one read. */
  deliver (packets: Batch): void
}

export class DatagramReceiver {
  readonly #init: DatagramReceiverInit
  readonly #strangers: TokenBucket
  #inbound: Batch = []

  constructor (init: DatagramReceiverInit) {
    this.#init = init
    this.#strangers = new TokenBucket(STRANGERS, init.now)
  }

  /** Takes the datagrams of one read. */
  take (datagrams: Batch<Datagram>, now: number): void {
    this.#strangers.refill(now)
    for (const datagram of datagrams) this.#take(datagram, now)
    const packets = this.#inbound
    if (packets.length === 0) return
    this.#inbound = []
    this.#init.deliver(packets)
  }

  #take (datagram: Datagram, now: number): void {
    const { data } = datagram
    const { members, stats } = this.#init
    if (data.length <= DATAGRAM_LAYOUT.text) {
      if (!this.#isStun(datagram, now)) stats.drops.short++
      return
    }
    const known = members.sessionAt(readU32(data, 0))
    if (known === undefined) {
      this.#takeShared(datagram, now)
      return
    }
    const { session, peer } = known
    const problem = session.open(data)
    if (problem !== undefined) {
      stats.drops[problem]++
      return
    }
    const kind = data[DATAGRAM_LAYOUT.text]
    if (kind === DatagramKind.FORWARD) {
      this.#packet(data, peer, now)
    } else if (kind === DatagramKind.HEARTBEAT) {
      const heartbeat = readIntroducedHeartbeat(data.subarray(DATAGRAM_LAYOUT.text))
      const from = this.#from(datagram)
      if (heartbeat !== undefined && from !== undefined) peer.heardIn(session, heartbeat, data.length, from, now)
    } else {
      this.#costs(data.subarray(DATAGRAM_LAYOUT.text), peer, now)
    }
  }

  /** One that is sealed with the key of this peer, which all members have. */
  #takeShared (datagram: Datagram, now: number): void {
    const { data } = datagram
    const { members, stats, cipher } = this.#init
    let peer = members.seenAt(datagram)
    if (peer === undefined) {
      if (this.#isStun(datagram, now)) return
      if (!this.#strangers.take(1)) {
        stats.drops.flood++
        return
      }
    }
    if (!cipher.open(data)) {
      stats.drops.sealed++
      return
    }
    const kind = data[DATAGRAM_LAYOUT.text]
    if (kind === DatagramKind.HEARTBEAT) {
      const heartbeat = readHeartbeat(data.subarray(DATAGRAM_LAYOUT.text))
      const from = this.#from(datagram)
      const sender = heartbeat === undefined ? undefined : members.get(heartbeat.sender)
      if (heartbeat === undefined || from === undefined || sender?.heard(from, heartbeat.acknowledge, now) !== true) stats.drops.heartbeat++
      return
    }
    if (peer === undefined) {
      peer = members.at(datagram)
      if (peer === undefined) {
        stats.drops.source++
        return
      }
      members.see(datagram, peer)
    }
    if (kind === DatagramKind.FORWARD) this.#packet(data, peer, now)
    else this.#costs(data.subarray(DATAGRAM_LAYOUT.text), peer, now)
  }

  #from ({ host, port }: Datagram): RemoteEndpoint | undefined {
    const address = parseAddress(host)
    return address === undefined ? undefined : this.#init.usable(address, port)
  }

  #isStun (datagram: Datagram, now: number): boolean {
    if (!this.#init.endpoint.receive(datagram, now)) return false
    this.#init.onStun(now)
    return true
  }

  #costs (text: Uint8Array, peer: RemotePeer, now: number): void {
    const kind = text[0]
    const delay = kind === DatagramKind.DELAY ? readDelay(text) : undefined
    if (delay !== undefined) this.#init.onDelay(delay, text, peer, now)
    const route = kind === DatagramKind.ROUTE ? readDelayRoute(text) : undefined
    if (route !== undefined) this.#init.onRoute(route, peer, now)
  }

  #packet (data: Uint8Array, peer: RemotePeer, now: number): void {
    const { stats, own, routes, isRelaying } = this.#init
    const message = data.subarray(DATAGRAM_LAYOUT.text) // a FORWARD, as through the server
    if (message.length < MIN_PLAINTEXT.FORWARD) {
      stats.drops.malformed++
      return
    }
    const packet = message.subarray(FORWARD_PACKET)
    const source = sourceOf(packet)
    if (source !== peer.address && !isRelaying && (routes.size === 0 || routes.nexthopOf(source) !== peer.address)) {
      stats.drops.source++
      return
    }
    if (destinationOf(packet) !== own) {
      if (isRelaying) this.#init.onTransit(data, peer)
      else stats.drops.destination++
      return
    }
    const inner = stripOuter(packet)
    if (inner === undefined) {
      stats.drops.malformed++
    } else if (isRouted(message) && !routes.accepts(destinationOf(inner))) {
      stats.drops.destination++
    } else {
      if (source !== peer.address) this.#carried(source, now)
      peer.path?.used(now)
      const { traffic } = peer
      traffic.packetsIn++
      traffic.bytesIn += inner.length
      stats.directPacketsIn++
      stats.directBytesIn += inner.length
      this.#inbound.push(inner)
    }
  }

  /** A packet of this member has come through another one: a direct path to it would be of use, as it is to one whose packets come through the server. */
  #carried (source: number, now: number): void {
    const member = this.#init.members.get(source)
    if (member?.state === 'init') member.start(now, 'a packet has come through another member')
  }
}
