/** Sends packets of the interface to members that have a direct path, in place. */
import { OUTER_LENGTH, writeOuter } from '../../protocol/forward.ts'
import { DATAGRAM_LAYOUT, DatagramKind, SEALED_PACKET } from '../../protocol/datagrams.ts'
import { TooBigAnswers } from './too-big-answers.ts'
import type { Members } from './members.ts'
import type { Outbox } from './outbox.ts'
import type { RemotePeer, UsablePath } from './remote-peer.ts'
import { destinationOf, isIpv4, isMulticast, LIMITED_BROADCAST } from '../../../../net/ipv4.ts'
import type { Batch } from '../../../../types.ts'
import type { PeerRoutes } from '../routes.ts'
import type { CandyPeerStats } from '../stats.ts'
import type { PeerTaps } from '../taps.ts'

export interface PacketSenderInit {
  /** The own virtual address. */
  own: number
  members: Members
  outbox: Outbox
  routes: Pick<PeerRoutes, 'size' | 'nexthopOf'>
  /** The member to send to for a destination; 0: the destination itself. */
  nextHop (destination: number): number
  stats: CandyPeerStats
  tap: Pick<PeerTaps, 'isOn' | 'show'>
  /** Answers to packets that are too large. */
  deliver (packets: Batch): void
  now: number
}

export class PacketSender {
  readonly #init: PacketSenderInit
  readonly #answers: TooBigAnswers

  constructor (init: PacketSenderInit) {
    this.#init = init
    this.#answers = new TooBigAnswers(init.now)
  }

  /** Sends what has a direct path, and returns the other packets. The memory of those that were sent is in use until `drained` of the outbox. */
  send (packets: Batch, now: number): Batch {
    const { routes, own, outbox, stats, tap } = this.#init
    let sent = 0
    const rest: Batch = []
    let last = -1
    let nexthop = 0
    let peer: RemotePeer | undefined
    let path: UsablePath | undefined
    for (const packet of packets) {
      const destination = isIpv4(packet) ? destinationOf(packet) : 0
      if (destination !== last) {
        last = destination
        nexthop = routes.size === 0 ? 0 : routes.nexthopOf(destination)
        peer = this.#memberFor(nexthop === 0 ? destination : nexthop)
        path = peer?.usable
        path?.used(now)
      }
      const room = nexthop === 0 ? SEALED_PACKET : SEALED_PACKET + OUTER_LENGTH
      if (path === undefined || packet.length + room > path.size) {
        if (path === undefined || !this.#answerTooBig(packet, path.size - room, path.isSettled, now)) rest.push(packet)
        continue
      }
      if (tap.isOn) tap.show([packet], 'out')
      const { endpoint } = path
      const data = new Uint8Array(packet.buffer, packet.byteOffset - room, packet.length + room)
      if (nexthop !== 0) writeOuter(data, SEALED_PACKET, own, nexthop)
      data[DATAGRAM_LAYOUT.text] = DatagramKind.FORWARD
      path.seal(data)
      outbox.add({ data, host: endpoint.host, port: endpoint.port }, path.fragments)
      sent++
      const { traffic } = peer as RemotePeer
      traffic.packetsOut++
      traffic.bytesOut += packet.length
      stats.bytesOut += packet.length
      stats.directBytesOut += packet.length
    }
    if (sent === 0) return rest
    stats.packetsOut += sent
    stats.directPacketsOut += sent
    stats.drops.queue += outbox.flush()
    return rest
  }

  /**
   * Tells the sender of a packet that is too large for the path, where it wants to know. Others go through the server, as all do until the
   * size is known, and those beyond the rate of answers.
   */
  #answerTooBig (packet: Uint8Array, mtu: number, isSettled: boolean, now: number): boolean {
    const answer = isSettled ? this.#answers.answer(packet, mtu, now) : undefined
    if (answer === undefined) return false
    this.#init.deliver([answer])
    this.#init.stats.drops.tooBig++
    return true
  }

  /** The member that has a direct path, and is the next one on the way to an address. */
  #memberFor (destination: number): RemotePeer | undefined {
    if (destination === 0 || destination === LIMITED_BROADCAST || isMulticast(destination)) return undefined
    const { members, nextHop } = this.#init
    const hop = nextHop(destination)
    const relaying = hop === 0 ? undefined : members.get(hop)
    return relaying?.usable === undefined ? members.get(destination) : relaying
  }
}
