/** How a message gets from one member of a network to others. */
import type { Batch, Clock } from '../../../types.ts'
import { BroadcastBudget } from './broadcast-budget.ts'
import type { Member, MemberNetwork, SwitchSettings } from './member.ts'

/** What all networks of a relay have in common. */
export interface Budget {
  /** What all networks go by. */
  readonly clock: Clock
  /** Bytes that wait for all members of all networks together, as far as was looked, and how many may. */
  queued: number
  queueTotal: number
  /** Threads among which the members of each network are dealt out. */
  readonly parts: number
}

export class Switch<M extends Member = Member> implements MemberNetwork {
  settings: SwitchSettings
  readonly clock: Clock
  readonly #budget: Budget
  readonly #broadcasts = new BroadcastBudget()
  /** Address -> the member that holds it. */
  readonly #members = new Map<number, M>()
  /** Members for whom something of the current read is pending. */
  readonly #dirty: M[] = []

  constructor (settings: SwitchSettings, budget: Budget) {
    this.settings = settings
    this.clock = budget.clock
    this.#budget = budget
  }

  get size (): number { return this.#members.size }

  get (address: number): M | undefined { return this.#members.get(address) }

  members (): IterableIterator<M> { return this.#members.values() }

  /** From now on this member has the address. */
  set (address: number, member: M): void { this.#members.set(address, member) }

  /** Nobody has the address any more. */
  delete (address: number): void { this.#members.delete(address) }

  /** Which of two members may send to the other: all, or in an isolated network gateways and those that have a route to them. */
  mayReach (from: Member, to: Member): boolean {
    if (!this.settings.isolate || from === to) return true
    return from.gateways.has(to.address) || to.gateways.has(from.address)
  }

  /** To the holder of an address, the sender itself included; false when there is none. */
  unicast (from: Member, destination: number, message: Uint8Array): boolean {
    const member = this.#members.get(destination)
    if (member === undefined) return false
    if (member === from) from.frameLimiter.ignored() // nothing for others
    if (this.mayReach(from, member)) this.enqueue(member, message)
    else from.discard('isolated')
    return true
  }

  /** To all but the sender, as far as it may: each costs as much as the network has members. */
  broadcast (from: Member, message: Uint8Array): void {
    const { size, settings: { broadcastRate } } = this
    if (this.#broadcasts.spend(from.broadcasts, message.length, size, broadcastRate, this.#budget.parts, this.clock.now())) this.flood(from, message)
    else from.discard('broadcast')
  }

  /** To all but the sender. */
  flood (from: Member, message: Uint8Array): void {
    for (const member of this.#members.values()) {
      if (member !== from && this.mayReach(from, member)) this.enqueue(member, message)
    }
  }

  enqueue (member: M, message: Uint8Array): void {
    if (member.pending.length === 0) this.#dirty.push(member)
    member.pending.push(message)
  }

  /** Writes what the messages of one read, all of one sender, have left: one write for each destination. */
  flush (from: Member): void {
    if (this.#dirty.length === 0) return
    const now = this.clock.now()
    for (const member of this.#dirty) {
      const { pending } = member
      member.pending = []
      this.deliver(member, pending, from, now)
    }
    this.#dirty.length = 0
  }

  /**
   * Writes to one member. Nothing is kept for a slow one.
   *
   * @param from undefined when the sender is gone by now
   * @param now milliseconds of a clock that only goes forward
   */
  deliver (member: M, messages: Batch, from: Member | undefined, now: number): void {
    if (this.mayTake(member, messages.length)) this.write(member, member.sendQueue.admit(messages, from, now), messages.length, from, now)
  }

  /** Whether a member may be given anything at all; what it may not is counted. */
  protected mayTake (member: M, count: number): boolean {
    if (member.ended) return false
    const budget = this.#budget
    // One that waits for nothing is always served: the slow ones together may cost themselves only.
    if (this.updateQueued(member) === 0 || budget.queued < budget.queueTotal) return true
    member.traffic.drops.total += count
    return false
  }

  /** Writes what was admitted of so many messages. */
  protected write (member: M, admitted: Batch, count: number, from: Member | undefined, now: number): void {
    const taken = admitted.length > 0 ? member.port.send(admitted) : 0
    member.traffic.drops.queue += count - taken
    if (taken === 0) return
    let bytes = 0
    for (let i = 0; i < admitted.length; i++) bytes += admitted[i].length
    this.written(member, taken, bytes, from, now)
    member.tapped(admitted, 'out')
  }

  protected written (member: M, count: number, bytes: number, from: Member | undefined, now: number): void {
    const { traffic, sendQueue } = member
    this.updateQueued(member)
    sendQueue.enqueued(bytes, from, now)
    traffic.packetsOut += count
    traffic.bytesOut += bytes
  }

  /** Brings the total up to date with what waits for one member, and returns that. */
  updateQueued (member: M): number {
    const { queued } = member.port
    this.#budget.queued += queued - member.queued
    member.queued = queued
    return queued
  }

  /** A member is gone, with what waited for it. */
  forget (member: M): void {
    this.#budget.queued -= member.queued
    member.queued = 0
  }
}
