/** One direction between a device and a subnet: it delays, loses, doubles and reorders packets. */
import { changed, type AllConditions, type Conditions } from './conditions.ts'
import type { Device, Packet } from './packet.ts'
import type { Simulation } from './simulation.ts'
import type { Timer } from '../../../types.ts'

/** Milliseconds that each packet into a subnet takes at least, so that time goes on also where two answer each other at once. */
export const LEAST_DELAY = 0.001

/** Bits per byte, milliseconds per second. */
const BITS_MS = 8000

/** A packet on its way. */
interface Underway {
  readonly packet: Packet
  readonly from: Device | undefined
  readonly isHeldBack: boolean
  /** Milliseconds from when it has left to when it arrives, unless one before it arrives later. */
  readonly takes: number
  leaves: number
  arrives: number
  timer?: Timer
}

interface PipeInit {
  /** The device, for the trace. */
  where: string
  conditions: AllConditions
  leastDelay?: number
  /** @param from - the device that has put the packet into the subnet, as `push` was told */
  out: (packet: Packet, from: Device | undefined) => void
}

export class Pipe {
  readonly #simulation: Simulation
  readonly #where: string
  readonly #leastDelay: number
  readonly #out: PipeInit['out']
  #conditions: AllConditions
  /** What was sent leaves until then. */
  #busyUntil = 0
  /** When the last packet that was not held back arrives. */
  #lastArrival = 0
  /** The same of those that did not have to wait for a rate. */
  #lastUnlimited = 0
  /** How many are on their way. */
  #count = 0
  /** Those of them that had to wait for a rate, in the order in which they were sent. */
  readonly #limited = new Set<Underway>()

  constructor (simulation: Simulation, { where, conditions, leastDelay = 0, out }: PipeInit) {
    this.#simulation = simulation
    this.#where = where
    this.#conditions = conditions
    this.#leastDelay = leastDelay
    this.#out = out
  }

  get conditions (): AllConditions { return this.#conditions }

  get mtu (): number { return this.#conditions.mtu }

  /** For packets from now on. Those on their way arrive as before, but where the rate has changed: it counts for all that have not left. */
  change (changes: Conditions): void {
    const before = this.#conditions.rate
    this.#conditions = changed(this.#conditions, changes)
    const { now } = this.#simulation
    if (this.#busyUntil > now && before !== this.#conditions.rate) this.#scale(before / this.#conditions.rate)
  }

  /** Times until which packets leave, seen from now, are so many times as long. */
  #scale (factor: number): void {
    const { now, clock } = this.#simulation
    const scaled = (time: number): number => now + (time - now) * factor
    this.#busyUntil = scaled(this.#busyUntil)
    this.#lastArrival = this.#lastUnlimited
    for (const one of this.#limited) {
      if (one.leaves > now) {
        one.leaves = scaled(one.leaves)
        clock.clear(one.timer)
        this.#schedule(one)
      } else if (!one.isHeldBack) {
        this.#lastArrival = Math.max(this.#lastArrival, one.arrives)
      }
    }
  }

  /** Takes a packet. Returns when it has left the sender, by the clock; now, too, when there was no room for it. */
  push (packet: Packet, from?: Device): number {
    const { now, random } = this.#simulation
    const { delay, jitter, loss, duplicate, rate, queue } = this.#conditions
    let leaves = now
    if (rate !== Infinity) {
      const waiting = Math.max(0, this.#busyUntil - now)
      const bytes = waiting * rate / BITS_MS
      if (bytes > 0 && bytes + packet.size > queue) {
        this.#simulation.record('queueFull', this.#where, packet)
        return now
      }
      leaves = this.#busyUntil = now + waiting + packet.size * BITS_MS / rate
    }
    if (random.chance(loss)) {
      this.#simulation.record('lost', this.#where, packet)
      return leaves
    }
    if (delay === 0 && jitter === 0 && leaves === now && this.#leastDelay === 0 && this.#isPlain()) {
      this.#out(packet, from)
      return now
    }
    const copies = random.chance(duplicate) ? 2 : 1
    if (copies > 1) this.#simulation.record('duplicated', this.#where, packet)
    for (let i = 0; i < copies; i++) this.#send(packet, from, leaves)
    return leaves
  }

  /** Nothing is on its way that a packet could overtake. */
  #isPlain (): boolean {
    const { duplicate, reorder } = this.#conditions
    return duplicate === 0 && reorder === 0 && this.#count === 0
  }

  #send (packet: Packet, from: Device | undefined, leaves: number): void {
    const { random } = this.#simulation
    const { delay, jitter, reorder, heldBack } = this.#conditions
    if (!this.#simulation.reserve(packet.size)) {
      this.#simulation.record('networkFull', this.#where, packet)
      return
    }
    const takes = Math.max(this.#leastDelay, delay + (jitter > 0 ? jitter * random.next() : 0))
    const isHeldBack = random.chance(reorder)
    const one: Underway = { packet, from, isHeldBack, takes: isHeldBack ? takes + heldBack : takes, leaves, arrives: leaves }
    this.#count++
    this.#schedule(one)
    if (isHeldBack) this.#simulation.record('heldBack', this.#where, packet) // last, as code of others may throw
  }

  #schedule (one: Underway): void {
    const { packet, from, isHeldBack, takes, leaves } = one
    const arrives = one.arrives = isHeldBack ? leaves + takes : this.#lastArrival = Math.max(leaves + takes, this.#lastArrival)
    const isLimited = leaves > this.#simulation.now || one.timer !== undefined
    if (isLimited) this.#limited.add(one)
    else if (!isHeldBack) this.#lastUnlimited = arrives
    one.timer = this.#simulation.schedule(arrives, () => {
      this.#count--
      if (isLimited) this.#limited.delete(one)
      this.#simulation.release(packet.size)
      this.#out(packet, from)
    })
  }
}
