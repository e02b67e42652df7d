/** Routes through other members: measures direct paths, tells and learns routes by delay, and carries packets of others; candy protocol, section 2.6. */
import { isPath } from './delay-route.ts'
import { DelayRoutes, MAX_LEARNED_OF_ONE } from './delay-routes.ts'
import type { Members } from './members.ts'
import type { Outbox } from './outbox.ts'
import type { RemotePeer } from './remote-peer.ts'
import { destinationOf, type Cidr } from '../../../../net/ipv4.ts'
import type { Endpoint } from '../../../../types.ts'
import { DATAGRAM_LAYOUT, DatagramKind, MIN_PLAINTEXT, newDatagram, SEALED_PACKET, writeDelay, writeDelayRoute, type Delay, type RouteMessage } from '../../protocol/datagrams.ts'
import { takeHop } from '../../protocol/forward.ts'
import { TooBigAnswers } from './too-big-answers.ts'
import type { CandyPeerStats } from '../stats.ts'

/** Milliseconds between measurements, and between tries of the first one of a path. */
const MEASURE_INTERVAL = 60_000
const FIRST_INTERVAL = 2000
const FIRST_TRIES = 5

/** Milliseconds between advertisements. */
const POLL_INTERVAL = 1000

/** Milliseconds after which an echo of DELAY counts no more. */
const MAX_ECHO = 10_000

export interface MemberRoutesInit {
  own: Cidr
  /** 0 to 1000; 0: no routes, and nothing is carried for others. */
  cost: number
  members: Members
  outbox: Outbox
  transmit (datagram: Uint8Array, to: Endpoint): void
  stats: CandyPeerStats
}

/** Measurements of one path. */
interface Measuring {
  at: number
  tries: number
  isMeasured: boolean
}

export class MemberRoutes {
  readonly #init: MemberRoutesInit
  readonly #routes: DelayRoutes
  readonly #measuring = new Map<RemotePeer, Measuring>()
  /** Milliseconds in which connected members say that they reach others, by the address of these; also of ways that are not used. */
  readonly #told = new WeakMap<RemotePeer, Map<number, number>>()
  #polledAt = -Infinity
  /** Packets for other members, of one read. */
  #carried = 0
  readonly #answers = new TooBigAnswers(0)

  constructor (init: MemberRoutesInit) {
    this.#init = init
    const { own, cost, members } = init
    this.#routes = new DelayRoutes({
      own: own.address,
      cost,
      network: own,
      send: (to, { destination, rtt }) => {
        const peer = members.get(to)
        if (peer !== undefined) this.#send(peer, MIN_PLAINTEXT.ROUTE, (datagram) => { writeDelayRoute(datagram, DATAGRAM_LAYOUT.text, { destination, next: own.address, roundTrip: rtt }) })
      }
    })
  }

  get isOn (): boolean { return this.#init.cost > 0 }

  /** The member to send to for a destination; 0: there is no route. */
  nextHop (destination: number): number { return this.isOn ? this.#routes.nextHop(destination) : 0 }

  /** A direct path begins to work, or ends. */
  changed (peer: RemotePeer, now: number): void {
    const isUp = peer.isSound
    if (peer.state !== 'connected') this.#told.delete(peer)
    if (isUp === this.#measuring.has(peer)) return
    if (!isUp) {
      this.#measuring.delete(peer)
      this.#routes.lost(peer.address, now)
      return
    }
    this.#routes.connected(peer.address)
    const measuring = { at: -Infinity, tries: 0, isMeasured: false }
    this.#measuring.set(peer, measuring)
    this.#measure(peer, measuring, now) // also without a cost: an existing client expects it
  }

  tick (now: number): void {
    for (const [peer, measuring] of this.#measuring) {
      const { at, tries, isMeasured } = measuring
      if (this.isOn && now - at >= (isMeasured || tries >= FIRST_TRIES ? MEASURE_INTERVAL : FIRST_INTERVAL)) this.#measure(peer, measuring, now)
    }
    if (!this.isOn || now - this.#polledAt < POLL_INTERVAL) return
    this.#polledAt = now
    this.#routes.poll(now)
  }

  /** DELAY of a member: one to be sent back, or the own one that comes back. */
  delay (delay: Delay, text: Uint8Array, peer: RemotePeer, now: number): void {
    const { own } = this.#init
    if (!this.isOn) return
    if (delay.destination === own.address && delay.source === peer.address) {
      this.#send(peer, MIN_PLAINTEXT.DELAY, (datagram) => { datagram.set(text.subarray(0, MIN_PLAINTEXT.DELAY), DATAGRAM_LAYOUT.text) })
      return
    }
    const measuring = this.#measuring.get(peer)
    const elapsed = now - delay.time
    if (delay.source !== own.address || delay.destination !== peer.address || measuring === undefined || !(elapsed >= 0 && elapsed < MAX_ECHO)) return
    measuring.isMeasured = true
    peer.measured(elapsed)
    this.#routes.measured(peer.address, elapsed, now)
  }

  /** ROUTE of a member. */
  route ({ destination, next, roundTrip }: RouteMessage, peer: RemotePeer, now: number): void {
    const rejection = this.#routes.received(peer.address, { destination, next, rtt: roundTrip }, now)
    if (rejection === undefined || rejection === 'held down') this.#note(peer, destination, roundTrip)
    if (rejection !== undefined && rejection !== 'off') this.#init.stats.drops.memberRoute++
  }

  #note (peer: RemotePeer, destination: number, roundTrip: number): void {
    let told = this.#told.get(peer)
    if (told === undefined) this.#told.set(peer, told = new Map())
    if (!isPath(roundTrip)) told.delete(destination)
    else if (told.size < MAX_LEARNED_OF_ONE || told.has(destination)) told.set(destination, roundTrip)
  }

  /**
   * Whether a packet of `origin` may come by the path of another member. Of one that has introduced itself and has a path of its own only
   * when that way is as short, by what the other one says: it is the way that the origin may have chosen. The path of an original client
   * protects nothing, as every member has its key.
   */
  mayCarry (by: RemotePeer, origin: RemotePeer): boolean {
    const path = origin.isIntroduced ? origin.usable : undefined
    if (path?.roundTrip === undefined || this.nextHop(origin.address) === by.address) return true
    const rest = this.#told.get(by)?.get(origin.address)
    return rest !== undefined && (by.path?.roundTrip ?? Infinity) + rest <= path.roundTrip
  }

  /** Takes a packet for another member, in an open datagram that is sealed again in place. It leaves with `flush`. */
  carry (data: Uint8Array, from: RemotePeer, now: number): void {
    const { members, stats } = this.#init
    const packet = data.subarray(SEALED_PACKET)
    const destination = destinationOf(packet)
    const hop = this.nextHop(destination)
    const to = members.get(hop === 0 ? destination : hop)
    const path = to === from ? undefined : to?.usable
    from.path?.used(now)
    path?.used(now)
    if (path === undefined) {
      stats.drops.unreachable++
    } else if (data.length > path.size) {
      stats.drops.tooBig++
      this.#answerTooBig(packet, path.size - SEALED_PACKET, from, now)
    } else if (!takeHop(packet)) {
      stats.drops.hops++
    } else {
      path.seal(data)
      this.#init.outbox.add({ data, host: path.endpoint.host, port: path.endpoint.port }, path.fragments)
      this.#carried++
    }
  }

  /** As a router does: the sender learns the size from there on. */
  #answerTooBig (packet: Uint8Array, mtu: number, to: RemotePeer, now: number): void {
    const answer = this.#answers.answer(packet, mtu, now, this.#init.own.address)
    if (answer === undefined) return
    this.#send(to, 1 + answer.length, (datagram) => {
      datagram[DATAGRAM_LAYOUT.text] = DatagramKind.FORWARD
      datagram.set(answer, SEALED_PACKET)
    })
  }

  /** Sends what was carried. Settles when the memory is free; undefined when it is free now. */
  flush (): Promise<void> | undefined {
    if (this.#carried === 0) return undefined
    const { outbox, stats } = this.#init
    const dropped = outbox.flush()
    stats.drops.queue += dropped
    stats.carried += this.#carried - dropped
    this.#carried = 0
    return outbox.drained()
  }

  #measure (peer: RemotePeer, measuring: Measuring, now: number): void {
    measuring.at = now
    measuring.tries++
    this.#send(peer, MIN_PLAINTEXT.DELAY, (datagram) => {
      writeDelay(datagram, DATAGRAM_LAYOUT.text, { source: this.#init.own.address, destination: peer.address, time: Math.floor(now) })
    })
  }

  #send (peer: RemotePeer, length: number, write: (datagram: Uint8Array) => void): void {
    const path = peer.usable
    if (path === undefined) return
    const datagram = newDatagram(length)
    write(datagram)
    path.seal(datagram)
    this.#init.transmit(datagram, path.endpoint)
  }
}
