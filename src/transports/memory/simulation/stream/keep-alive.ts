/** Finds out that the other side is gone, by asking it when it has been silent (RFC 9293, section 3.8.4). */
import { Deadline } from './deadline.ts'
import type { Clock } from '../../../../types.ts'

/** Probes that may stay without an answer, and milliseconds between two of them. */
const PROBES = 10
const PROBE_INTERVAL = 1000

export interface KeepAliveInit {
  clock: Clock
  /** Milliseconds until the first probe. Undefined: none is ever sent. */
  silence: number | undefined
  probe: () => void
  lost: () => void
}

export class KeepAlive {
  readonly #init: KeepAliveInit
  readonly #deadline: Deadline
  #probes = 0

  constructor (init: KeepAliveInit) {
    this.#init = init
    this.#deadline = new Deadline(init.clock, () => { this.#ask() })
  }

  /** Something has come from the other side. */
  heard (): void {
    const { silence } = this.#init
    if (silence === undefined) return
    this.#probes = 0
    this.#deadline.set(silence)
  }

  stop (): void { this.#deadline.stop() }

  #ask (): void {
    const { probe, lost } = this.#init
    if (this.#probes >= PROBES) {
      lost()
      return
    }
    this.#probes++
    this.#deadline.set(PROBE_INTERVAL)
    probe()
  }
}
