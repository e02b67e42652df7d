/** Counts who speaks another protocol than a listener, and tells of each protocol in one line: strangers decide how often there is something to tell. */
import type { ProtocolMismatch } from './first-read.ts'
import { throttle } from '../limits/throttle.ts'
import { protocolText, type Protocol } from './protocol-detection.ts'
import type { Logger } from '../log.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock } from '../types.ts'

/** Milliseconds between two lines about one protocol: what looks whether the port is there may do so every few seconds. */
const INTERVAL = 10_000

export class ProtocolMismatchLog {
  /** Ever seen. */
  count = 0
  readonly #log: Logger
  readonly #clock: Clock
  readonly #told = new Map<Protocol, (mismatch: ProtocolMismatch) => void>()

  constructor (log: Logger, clock: Clock = systemClock) {
    this.#log = log
    this.#clock = clock
  }

  add (mismatch: ProtocolMismatch): void {
    this.count++
    const { protocol } = mismatch.detected
    let tell = this.#told.get(protocol)
    if (tell === undefined) {
      tell = throttle(({ detected, expected, remote }, count) => {
        this.#log.warn({ remote, reason: 'protocol', detail: `it speaks ${protocolText(detected)}, expected ${expected}`, count }, 'connection refused')
      }, { interval: INTERVAL, clock: this.#clock })
      this.#told.set(protocol, tell)
    }
    tell(mismatch)
  }
}
