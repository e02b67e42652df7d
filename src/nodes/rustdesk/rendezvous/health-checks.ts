/** Health checks: encrypted connections that clients hold open, as long as these are few (RustDesk protocol, section 7). */
import type { Connection } from './connection.ts'

/** Of one address; an IPv6 /64 is one. */
const MOST_OF_ADDRESS = 64

export class HealthChecks {
  /** By address, see `clientKey`. */
  readonly #counts = new Map<string, number>()

  /** Connections that are held open. */
  size = 0

  /** Holds a connection open, until the other side closes it. Once only. False: its address has too many. */
  hold (connection: Connection): boolean {
    const key = connection.source
    const count = this.#counts.get(key) ?? 0
    if (count >= MOST_OF_ADDRESS) return false
    this.#counts.set(key, count + 1)
    this.size++
    connection.isHeld = true
    connection.idleTimeout = Infinity // the system finds out whether the other side is still there
    connection.onClosed = () => { this.#release(key) }
    return true
  }

  #release (key: string): void {
    this.size--
    const count = (this.#counts.get(key) ?? 0) - 1
    if (count > 0) this.#counts.set(key, count)
    else this.#counts.delete(key)
  }
}
