/** Takes what comes to the UDP socket: opens datagrams in place, and hands over what they are. */
import type { DatagramCipher } from '../../../../crypto/index.ts'
import { objectList } from '../../../../buffers/object-list.ts'
import { TokenBucket } from '../../../../limits/token-bucket.ts'
import { destinationOf, inNetwork, parseAddress, readU32, sourceOf, type Cidr } from '../../../../net/ipv4.ts'
import type { Batch, Datagram } from '../../../../types.ts'
import { isRouted, stripOuter } from '../../protocol/forward.ts'
import { DATAGRAM_LAYOUT, DatagramKind, MIN_PLAINTEXT, SEALED_PACKET, readDelay, readDelayRoute, readHeartbeat, type Delay, type RouteMessage } from '../../protocol/datagrams.ts'
import { readIntroducedHeartbeat } from '../../protocol/introduced-heartbeat.ts'
import type { PeerRoutes } from '../routes.ts'
import type { CandyPeerStats } from '../stats.ts'
import type { Members } from './members.ts'
import type { OwnEndpoint } from './own-endpoint.ts'
import type { RemoteEndpoint } from './path.ts'
import type { RemotePeer } from './remote-peer.ts'

/** Datagrams from endpoints of no member that are opened in a second, and at once: each may be forged, and costs as much as one that is not. */
const STRANGERS = { rate: 2000, burst: 500 }

/** The same for those from hosts where a member may be. */
const EXPECTED = { rate: 2000, burst: 500 }

export interface DatagramReceiverInit {
  /** The own virtual address, and its network. */
  own: Cidr
  members: Members
  endpoint: OwnEndpoint
  /** With the own key, as existing clients use it. */
  cipher: DatagramCipher
  routes: Pick<PeerRoutes, 'size' | 'nexthopOf' | 'accepts'>
  stats: CandyPeerStats
  now: number
  /** Whether members may carry packets of others. */
  isRelaying: boolean
  /** Whether this one may. */
  mayCarry (by: RemotePeer, origin: RemotePeer): boolean
  /** Undefined for an endpoint where no member can be. */
  usable (address: number, port: number): RemoteEndpoint | undefined
  onStun (now: number): void
  /** @param text the plaintext */
  onDelay (delay: Delay, text: Uint8Array, peer: RemotePeer, now: number): void
  onRoute (route: RouteMessage, peer: RemotePeer, now: number): void
  /** A packet for another member; the datagram is open, and may be sealed again. */
  onTransit (datagram: Uint8Array, peer: RemotePeer, now: number): void
  /** The packets of one read. */
  deliver (packets: Batch): void
}

export class DatagramReceiver {
  readonly #init: DatagramReceiverInit
  readonly #strangers: TokenBucket
  readonly #expected: TokenBucket
  #inbound: Batch = objectList()

  constructor (init: DatagramReceiverInit) {
    this.#init = init
    this.#strangers = new TokenBucket(STRANGERS, init.now)
    this.#expected = new TokenBucket(EXPECTED, init.now)
  }

  /** Takes the datagrams of one read. */
  take (datagrams: Batch<Datagram>, now: number): void {
    this.#strangers.refill(now)
    this.#expected.refill(now)
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
    const seen = members.seenAt(datagram)
    if (seen === undefined) {
      if (this.#isStun(datagram, now)) return
      if (!(members.isExpected(datagram.host) ? this.#expected : this.#strangers).take(1)) {
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
      else members.see(datagram, sender)
      return
    }
    const peer = this.#senderOf(datagram, seen)
    if (peer === undefined) {
      stats.drops.source++
      return
    }
    if (seen === undefined) members.see(datagram, peer)
    if (kind === DatagramKind.FORWARD) this.#packet(data, peer, now)
    else this.#costs(data.subarray(DATAGRAM_LAYOUT.text), peer, now)
  }

  /**
   * Who has sent an open datagram under the shared key. Another member may have said that it is at the same endpoint, so the one that the
   * packet names comes first, if it is there.
   */
  #senderOf (datagram: Datagram, seen: RemotePeer | undefined): RemotePeer | undefined {
    const { members } = this.#init
    const { data } = datagram
    if (data[DATAGRAM_LAYOUT.text] === DatagramKind.FORWARD && data.length >= DATAGRAM_LAYOUT.text + MIN_PLAINTEXT.FORWARD) {
      const origin = this.#originOf(sourceOf(data, SEALED_PACKET))
      if (origin === seen?.address) return seen
      const named = members.get(origin)
      if (named?.hasHeard(datagram) === true) return named
    }
    return seen ?? members.at(datagram)
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
    if (data.length < DATAGRAM_LAYOUT.text + MIN_PLAINTEXT.FORWARD) {
      stats.drops.malformed++
      return
    }
    const isTransit = destinationOf(data, SEALED_PACKET) !== own.address
    const origin = this.#originOf(sourceOf(data, SEALED_PACKET))
    if (origin !== peer.address && !this.#mayCarry(peer, origin, isTransit)) {
      stats.drops.source++
      return
    }
    if (isTransit) {
      if (isRelaying) this.#init.onTransit(data, peer, now)
      else stats.drops.destination++
      return
    }
    const inner = stripOuter(data, SEALED_PACKET)
    if (inner === undefined) {
      stats.drops.malformed++
    } else if (isRouted(data, SEALED_PACKET) && this.#originOf(sourceOf(inner)) !== origin) {
      stats.drops.source++ // the server looks behind that header as well
    } else if (isRouted(data, SEALED_PACKET) && !routes.accepts(destinationOf(inner))) {
      stats.drops.destination++
    } else {
      if (origin !== peer.address) this.#carried(origin, now)
      peer.path?.used(now)
      const { traffic } = peer
      traffic.packetsIn++
      traffic.bytesIn += inner.length
      stats.directPacketsIn++
      stats.directBytesIn += inner.length
      this.#inbound.push(inner)
    }
  }

  /** The address of the member that a source belongs to, its own or one of a network behind it; 0: to none that is known. */
  #originOf (source: number): number {
    const { own, routes } = this.#init
    if (inNetwork(source, own)) return source
    return routes.size === 0 ? 0 : routes.nexthopOf(source)
  }

  /** Whether a member may send a packet of another one. */
  #mayCarry (by: RemotePeer, origin: number, isTransit: boolean): boolean {
    const { own, members, isRelaying, mayCarry } = this.#init
    if (!isRelaying || origin === own.address) return false
    if (origin === 0) return isTransit // the next one may know the network
    const member = members.get(origin)
    return member === undefined || mayCarry(by, member)
  }

  /** A packet of this member has come through another one: a direct path to it would be of use, as it is to one whose packets come through the server. */
  #carried (origin: number, now: number): void {
    const member = this.#init.members.get(origin)
    if (member?.state === 'init') member.start(now, 'a packet has come through another member')
  }
}
