/** One direction between a device and a subnet: it delays, loses, doubles and reorders packets. */
import { changed, type AllConditions, type Conditions } from './conditions.ts'
import type { Packet } from './packet.ts'
import type { Simulation } from './simulation.ts'

/** Milliseconds that each packet into a subnet takes at least, so that time goes on also where two answer each other at once. */
export const LEAST_DELAY = 0.001

/** Bits per byte, milliseconds per second. */
const BITS_MS = 8000

export class Pipe {
  readonly #simulation: Simulation
  readonly #where: string
  readonly #leastDelay: number
  readonly #out: (packet: Packet) => void
  #conditions: AllConditions
  /** What was sent leaves until then. */
  #busyUntil = 0
  /** When the last packet that was not held back arrives. */
  #lastArrival = 0

  constructor (simulation: Simulation, { where, conditions, leastDelay = 0, out }: { where: string, conditions: AllConditions, leastDelay?: number, out: (packet: Packet) => void }) {
    this.#simulation = simulation
    this.#where = where
    this.#conditions = conditions
    this.#leastDelay = leastDelay
    this.#out = out
  }

  get conditions (): AllConditions { return this.#conditions }

  get mtu (): number { return this.#conditions.mtu }

  /** For packets from now on; those on their way arrive as before. */
  change (changes: Conditions): void {
    const before = this.#conditions.rate
    this.#conditions = changed(this.#conditions, changes)
    const { now } = this.#simulation
    const waiting = this.#busyUntil - now
    if (waiting > 0 && before !== this.#conditions.rate) this.#busyUntil = now + waiting * before / this.#conditions.rate
  }

  /** Takes a packet. Returns when it has left the sender, by the clock; now, too, when there was no room for it. */
  push (packet: Packet): number {
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
      this.#out(packet)
      return now
    }
    const copies = random.chance(duplicate) ? 2 : 1
    if (copies > 1) this.#simulation.record('duplicated', this.#where, packet)
    for (let i = 0; i < copies; i++) this.#send(packet, leaves)
    return leaves
  }

  /** Nothing is on its way that a packet could overtake. */
  #isPlain (): boolean {
    const { duplicate, reorder } = this.#conditions
    return duplicate === 0 && reorder === 0 && this.#lastArrival <= this.#simulation.now
  }

  #send (packet: Packet, leaves: number): void {
    const { random } = this.#simulation
    const { delay, jitter, reorder, heldBack } = this.#conditions
    if (!this.#simulation.reserve(packet.size)) {
      this.#simulation.record('networkFull', this.#where, packet)
      return
    }
    let arrives = leaves + Math.max(this.#leastDelay, delay + (jitter > 0 ? jitter * random.next() : 0))
    if (random.chance(reorder)) {
      this.#simulation.record('heldBack', this.#where, packet)
      arrives += heldBack
    } else {
      arrives = this.#lastArrival = Math.max(arrives, this.#lastArrival)
    }
    this.#simulation.schedule(arrives, () => {
      this.#simulation.release(packet.size)
      this.#out(packet)
    })
  }
}
