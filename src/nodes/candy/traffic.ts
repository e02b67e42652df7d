/** What members send each other, as the relay handles it: FORWARD, and CONN, DISCOVERY and GENERAL (candy protocol, sections 1.6 and 1.8). */
import { isMulticast, LIMITED_BROADCAST, readU32 } from '../../tun/ipv4.ts'
import { forwardDestination, forwardSource } from './forward.ts'
import { MIN_LENGTH, type MessageName } from './messages.ts'
import type { Network } from './network.ts'
import { ownsSource } from './sdwan.ts'
import type { Session } from './session.ts'

/**
 * Which source addresses a member may send from: its own; also those of networks that a route leads to through it; or any,
 * as existing servers allow.
 */
export type SourceCheck = 'strict' | 'routes' | 'off'

export interface TrafficInit {
  network: Network
  /** The last address of the network, when it has a range; packets to it go to all. */
  directedBroadcast?: number
  sourceCheck: SourceCheck
}

/** Where the sender and the receiver stand in the messages that name both; candy protocol, section 1.2. */
const ADDRESSES = {
  CONN: { source: 1, destination: 5, broadcast: false },
  DISCOVERY: { source: 1, destination: 5, broadcast: true },
  GENERAL: { source: 4, destination: 8, broadcast: true }
} as const satisfies Partial<Record<MessageName, object>>

export type AddressedName = keyof typeof ADDRESSES

export class Traffic {
  readonly #network: Network
  readonly #directedBroadcast: number | undefined
  readonly #sourceCheck: SourceCheck

  constructor ({ network, directedBroadcast, sourceCheck }: TrafficInit) {
    this.#network = network
    this.#directedBroadcast = directedBroadcast
    this.#sourceCheck = sourceCheck
  }

  /** FORWARD: to the holder of the destination, or to all others, or nowhere. Runs once a packet. */
  forward (session: Session, message: Uint8Array): void {
    if (message.length < MIN_LENGTH.FORWARD) {
      session.refuse('malformed')
      return
    }
    if (session.address === 0) {
      session.refuse('unauthenticated')
      return
    }
    const { stats } = this.#network
    this.#count(message)
    const source = forwardSource(message)
    if (source !== session.address && !this.#maySend(session, source)) {
      stats.drops.source++
      return
    }
    const destination = forwardDestination(message)
    if (this.#network.unicast(destination, message)) return
    if (this.#isForAll(destination)) this.#network.broadcast(session, message)
    else stats.drops.destination++
  }

  /** CONN, DISCOVERY and GENERAL: passed on as they are, confusion included, when the sender is who it says. */
  addressed (session: Session, message: Uint8Array, name: AddressedName): void {
    if (message.length < MIN_LENGTH[name]) {
      session.refuse('malformed')
      return
    }
    const at = ADDRESSES[name]
    if (session.address === 0 || readU32(message, at.source) !== session.address) {
      session.refuse(session.address === 0 ? 'unauthenticated' : 'foreign')
      return
    }
    this.#count(message)
    const destination = readU32(message, at.destination)
    if (at.broadcast && destination === LIMITED_BROADCAST) this.#network.broadcast(session, message)
    else if (!this.#network.unicast(destination, message)) this.#network.stats.drops.destination++
  }

  #count (message: Uint8Array): void {
    const { stats } = this.#network
    stats.packetsIn++
    stats.bytesIn += message.length
  }

  #maySend (session: Session, source: number): boolean {
    if (this.#sourceCheck === 'off') return true
    // A gateway to everything (0.0.0.0/0) is still none of the members.
    return this.#sourceCheck === 'routes' && ownsSource(session.behind, source) && this.#network.holder(source) === undefined
  }

  #isForAll (destination: number): boolean {
    return destination === LIMITED_BROADCAST || destination === this.#directedBroadcast || isMulticast(destination)
  }
}
