/**
 * Idle data connections of a port, kept for the next user: in strict mode one serves many users, one after the other, as making a
 * connection costs more than most users do.
 */
import type { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'

/** Idle connections of one port, and of all. */
const MAX_PER_PORT = 256
const MAX_IN_ALL = 1024

/** Milliseconds. A connection that was silent for longer may be dead, and the next user would pay for that. */
const MAX_IDLE_TIME = 15_000

/** Totals of all ports. */
export interface IdleConnectionTotals {
  /** Idle data connections. */
  idleConnections: number
  /** Milliseconds of a monotonic clock, as of the last tick. */
  readonly now: number
}

export class IdleConnectionPool {
  readonly #totals: IdleConnectionTotals
  /** With the time since which each is idle; the last is taken first. */
  readonly #idle: Array<[SequentialStreams, number]> = []

  constructor (totals: IdleConnectionTotals) { this.#totals = totals }

  /** Takes the most recently used connection. `isFresh`: it was in use a moment ago; else its path may be broken. */
  take (): { streams: SequentialStreams, isFresh: boolean } | undefined {
    const taken = this.#idle.pop()
    if (taken === undefined) return undefined
    this.#totals.idleConnections--
    const [streams, since] = taken
    return { streams, isFresh: since === this.#totals.now }
  }

  /** Keeps a connection until it is taken or ended. */
  add (streams: SequentialStreams): void {
    if (this.#idle.length >= MAX_PER_PORT || this.#totals.idleConnections >= MAX_IN_ALL) {
      streams.close()
      return
    }
    this.#idle.push([streams, this.#totals.now])
    this.#totals.idleConnections++
    streams.watchForClose()
  }

  /** The connection has ended. */
  remove (streams: SequentialStreams): void {
    const at = this.#idle.findIndex(([idle]) => idle === streams)
    if (at < 0) return
    this.#idle.splice(at, 1)
    this.#totals.idleConnections--
  }

  tick (): void {
    const { now } = this.#totals
    while (this.#idle.length > 0 && now - this.#idle[0][1] >= MAX_IDLE_TIME) this.#endFirst()
  }

  close (): void {
    while (this.#idle.length > 0) this.#endFirst()
  }

  #endFirst (): void {
    const [streams] = this.#idle.shift() ?? []
    this.#totals.idleConnections--
    streams?.close()
  }
}
