/** The ports of a NAT outside: which are in use, and how the next one is chosen. */
import type { OutsideEndpoints } from './mapping-table.ts'
import type { Random } from './random.ts'
import type { Endpoint } from '../../../types.ts'

export interface PortPoolInit {
  address: string
  first: number
  last: number
  /** The port inside is taken where it is free. */
  portPreservation: boolean
  /** Undefined: in order. */
  random: Random | undefined
}

/** A bit for each port, so that a free one is found soon also where nearly all are in use. */
export class PortPool implements OutsideEndpoints {
  readonly #init: PortPoolInit
  readonly #count: number
  readonly #used: Uint32Array
  #taken = 0
  /** Offset of the port behind the last one that was chosen. */
  #next = 0

  constructor (init: PortPoolInit) {
    this.#init = init
    this.#count = init.last - init.first + 1
    this.#used = new Uint32Array(Math.ceil(this.#count / 32))
  }

  allocate (inside: Endpoint, isUsable: (outside: Endpoint) => boolean): Endpoint | undefined {
    const { portPreservation, first, last, random } = this.#init
    if (portPreservation && inside.port >= first && inside.port <= last && isUsable(this.#at(inside.port - first))) return this.#take(inside.port - first)
    if (this.#taken >= this.#count) return undefined
    const start = random === undefined ? this.#next : random.below(this.#count)
    for (let tried = 0; tried < this.#count;) {
      const offset = (start + tried) % this.#count
      const used = this.#usedFrom(offset)
      if (used > 0) {
        tried += Math.min(used, this.#count - offset)
      } else if (isUsable(this.#at(offset))) {
        this.#next = (offset + 1) % this.#count
        return this.#take(offset)
      } else {
        tried++
      }
    }
    return undefined
  }

  release ({ port }: Endpoint): void {
    const offset = port - this.#init.first
    this.#used[offset >>> 5] &= ~(1 << (offset & 31))
    this.#taken--
  }

  #at (offset: number): Endpoint { return { host: this.#init.address, port: this.#init.first + offset } }

  #take (offset: number): Endpoint {
    if (this.#usedFrom(offset) > 0) return this.#at(offset) // it has that already
    this.#used[offset >>> 5] |= 1 << (offset & 31)
    this.#taken++
    return this.#at(offset)
  }

  /** How many from an offset on are in use at least, 0 when that one is free. */
  #usedFrom (offset: number): number {
    const free = ~this.#used[offset >>> 5] >>> (offset & 31)
    return free === 0 ? 32 - (offset & 31) : 31 - Math.clz32(free & -free)
  }
}
