/** What all parts of a simulated network share: time, randomness, and the record of what happens. */
import type { Device, Packet } from './packet.ts'
import { Random } from './random.ts'
import { eventOf, HAPPENINGS, Trace, type Happening, type TraceEvent } from './trace.ts'
import { verifyBytes } from '../../../options.ts'
import { VirtualClock } from '../../../streams/virtual-clock.ts'
import type { Timer } from '../../../types.ts'

/** Bytes that a packet on its way counts for besides its own: those of the objects that it is made of. */
export const PACKET_OVERHEAD = 640

export interface SimulationInit {
  seed: number
  clock: VirtualClock
  /** Events that the trace keeps. */
  trace: number
  onPacket: ((event: TraceEvent) => void) | undefined
  /** Bytes that are on their way at once. */
  inFlight: number
}

interface Partition {
  readonly one: ReadonlySet<Device>
  /** Undefined: all others. */
  readonly other: ReadonlySet<Device> | undefined
}

export class Simulation {
  readonly clock: VirtualClock
  readonly random: Random
  readonly trace: Trace
  readonly counts = Object.fromEntries(Object.keys(HAPPENINGS).map((name) => [name, 0])) as Record<Happening, number>
  readonly #onPacket: SimulationInit['onPacket']
  readonly #inFlightLimit: number
  #inFlight = 0
  #packets = 0
  #hasWoken = false
  #partitions: Partition[] = []

  constructor ({ seed, clock, trace, onPacket, inFlight }: SimulationInit) {
    this.clock = clock
    this.random = new Random(seed)
    this.trace = new Trace(trace)
    this.#onPacket = onPacket
    this.#inFlightLimit = verifyBytes('inFlight', inFlight)
  }

  get now (): number { return this.clock.now() }

  newId (): number { return ++this.#packets }

  /** Calls `fn` at a time of the clock; turns of the event loop follow only when it has woken somebody. */
  schedule (time: number, fn: () => void): Timer {
    return this.clock.at(time, () => {
      this.#hasWoken = false
      fn()
      return this.#hasWoken
    })
  }

  /** A promise may have been settled, or code of others called. */
  woke (): void { this.#hasWoken = true }

  record (what: Happening, where: string, packet: Packet): void {
    this.counts[what]++
    if (this.trace.limit === 0 && this.#onPacket === undefined) return
    const event = eventOf(this.now, what, where, packet)
    if (this.trace.limit > 0) this.trace.add(event)
    if (this.#onPacket === undefined) return
    this.woke()
    this.#onPacket(event)
  }

  /** Takes memory for a packet on its way. Returns false when there is none left. */
  reserve (size: number): boolean {
    const weight = size + PACKET_OVERHEAD
    if (this.#inFlight + weight > this.#inFlightLimit) return false
    this.#inFlight += weight
    return true
  }

  release (size: number): void { this.#inFlight -= size + PACKET_OVERHEAD }

  /** From now on nothing gets from one group to the other, or to anybody else where there is no other. Returns what ends that. */
  partition (one: Iterable<Device>, other?: Iterable<Device>): () => void {
    const partition = { one: new Set(one), other: other === undefined ? undefined : new Set(other) }
    this.#partitions.push(partition)
    return () => { this.#partitions = this.#partitions.filter((each) => each !== partition) }
  }

  heal (): void { this.#partitions = [] }

  isSeparated (from: Device | undefined, to: Device): boolean {
    if (this.#partitions.length === 0 || from === undefined || from === to) return false
    return this.#partitions.some(({ one, other }) => other === undefined
      ? one.has(from) !== one.has(to)
      : (one.has(from) && other.has(to)) || (other.has(from) && one.has(to)))
  }
}
