/** Forwarding of messages between the members of a network. */
import { objectList } from '../../../buffers/object-list.ts'
import type { Batch, Clock } from '../../../types.ts'
import { BroadcastBudget } from './broadcast-budget.ts'
import type { Member, MemberNetwork, SwitchSettings } from './member.ts'

/** Shared by all networks of a relay. */
export interface Budget {
  readonly clock: Clock
  /** Bytes queued for all members of all networks, as of the last check of each, and their limit. */
  queued: number
  queueTotal: number
  /** Number of threads to which the members of each network are distributed. */
  readonly parts: number
}

export class Switch<M extends Member = Member> implements MemberNetwork {
  settings: SwitchSettings
  readonly clock: Clock
  readonly #budget: Budget
  readonly #broadcasts = new BroadcastBudget()
  /** By address. */
  readonly #members = new Map<number, M>()
  /** Members with pending messages from the current read. */
  readonly #dirty = objectList<M>()

  constructor (settings: SwitchSettings, budget: Budget) {
    this.settings = settings
    this.clock = budget.clock
    this.#budget = budget
  }

  get size (): number { return this.#members.size }

  get (address: number): M | undefined { return this.#members.get(address) }

  members (): IterableIterator<M> { return this.#members.values() }

  /** Gives the member this address. */
  set (address: number, member: M): void { this.#members.set(address, member) }

  /** The address is free. */
  delete (address: number): void { this.#members.delete(address) }

  /** Whether one member may send to another: always, except in an isolated network, where a route has to lead from one to the other. */
  mayReach (from: Member, to: Member): boolean {
    if (!this.settings.isolate || from === to) return true
    return from.gateways.has(to.address) || to.gateways.has(from.address)
  }

  /** Sends to the member with an address, which may be the sender; false when there is none. */
  unicast (from: Member, destination: number, message: Uint8Array): boolean {
    const member = this.#members.get(destination)
    if (member === undefined) return false
    if (member === from) from.frameLimiter.ignored() // not forwarded to another member
    if (this.mayReach(from, member)) this.enqueue(member, message)
    else from.discard('isolated')
    return true
  }

  /** Sends to all except the sender, within the broadcast budget: the cost grows with the number of members. */
  broadcast (from: Member, message: Uint8Array): void {
    const { size, settings: { broadcastRate } } = this
    if (this.#broadcasts.spend(from.broadcasts, message.length, size, broadcastRate, this.#budget.parts, this.clock.now())) this.flood(from, message)
    else from.discard('broadcast')
  }

  /** Sends to all except the sender. */
  flood (from: Member, message: Uint8Array): void {
    for (const member of this.#members.values()) {
      if (member !== from && this.mayReach(from, member)) this.enqueue(member, message)
    }
  }

  enqueue (member: M, message: Uint8Array): void {
    if (member.pending.length === 0) this.#dirty.push(member)
    member.pending.push(message)
  }

  /** Writes the pending messages of one read from one sender: one write for each receiver. */
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
   * Writes to one member. Messages that a slow member cannot take are dropped.
   *
   * @param from undefined when the sender has left
   * @param now milliseconds of a monotonic clock
   */
  deliver (member: M, messages: Batch, from: Member | undefined, now: number): void {
    if (this.mayTake(member, messages.length)) this.write(member, member.sendQueue.admit(messages, from, now), messages.length, from, now)
  }

  /** Whether a member may be sent anything; counts the drop otherwise. */
  protected mayTake (member: M, count: number): boolean {
    if (member.ended) return false
    const budget = this.#budget
    // a member with an empty queue is always served, so that slow members affect only themselves
    if (this.updateQueued(member) === 0 || budget.queued < budget.queueTotal) return true
    member.traffic.drops.total += count
    return false
  }

  /** Writes the admitted messages out of `count`. */
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

  /** Updates the total by the queue of one member, and returns the size of that queue. */
  updateQueued (member: M): number {
    const { queued } = member.port
    this.#budget.queued += queued - member.queued
    member.queued = queued
    return queued
  }

  /** A member has left, and its queue with it. */
  forget (member: M): void {
    this.#budget.queued -= member.queued
    member.queued = 0
  }
}
