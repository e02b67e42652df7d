/** Counters of a relay: plain numbers, raised in the packet path and read whenever somebody asks. */
import type { Refusal } from './session.ts'

export interface CandyRelayStats {
  /** Connections now, authenticated or not. */
  connections: number
  /** Connections that hold an address now. */
  peers: number
  /** Connections ever taken. */
  accepted: number
  /** Messages between clients (FORWARD, CONN, DISCOVERY, GENERAL) that came and that went, and their bytes without the frames around them. */
  packetsIn: number
  bytesIn: number
  packetsOut: number
  bytesOut: number
  /**
   * Messages that were not delivered: `source`, not an address of its sender; `destination`, nobody has it; `queue`, its
   * receiver was too slow; `total`, all receivers together were; `broadcast`, its sender had sent too many to all.
   */
  drops: { source: number, destination: number, queue: number, total: number, broadcast: number }
  /** Connections that were ended for what they did. */
  refused: Record<Refusal, number>
}

export const newStats = (): CandyRelayStats => ({
  connections: 0,
  peers: 0,
  accepted: 0,
  packetsIn: 0,
  bytesIn: 0,
  packetsOut: 0,
  bytesOut: 0,
  drops: { source: 0, destination: 0, queue: 0, total: 0, broadcast: 0 },
  refused: { malformed: 0, password: 0, clock: 0, unauthenticated: 0, foreign: 0, address: 0, range: 0, pool: 0, taken: 0, limit: 0, timeout: 0 }
})
