/** Counts connections that speak another protocol than their listener, and logs them at a limited rate for each protocol. */
import type { ProtocolMismatch } from './first-read.ts'
import { throttle } from '../limits/throttle.ts'
import { protocolText, type Protocol } from './protocol-detection.ts'
import type { Logger } from '../log.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock } from '../types.ts'

/** Milliseconds between two lines about one protocol: port checks may connect every few seconds. */
const INTERVAL = 10_000

export class ProtocolMismatchLog {
  /** Total since the start. */
  count = 0
  readonly #log: Logger
  readonly #clock: Clock
  readonly #reporters = new Map<Protocol, (mismatch: ProtocolMismatch) => void>()

  constructor (log: Logger, clock: Clock = systemClock) {
    this.#log = log
    this.#clock = clock
  }

  add (mismatch: ProtocolMismatch): void {
    this.count++
    const { protocol } = mismatch.detected
    let report = this.#reporters.get(protocol)
    if (report === undefined) {
      report = throttle(({ detected, expected, remote }, count) => {
        this.#log.warn({ remote, reason: 'protocol', detail: `it speaks ${protocolText(detected)}, expected ${expected}`, count }, 'connection refused')
      }, { interval: INTERVAL, clock: this.#clock })
      this.#reporters.set(protocol, report)
    }
    report(mismatch)
  }
}
