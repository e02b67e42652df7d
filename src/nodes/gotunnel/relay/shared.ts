/** What all connections of a relay share. */
import type { Identities } from './identities.ts'
import type { MappedPort } from './port.ts'
import type { RelaySettings } from './settings.ts'
import type { Session } from './session.ts'
import type { Refusal, UserTraffic } from './stats.ts'
import type { UserGates } from './user-gates.ts'
import type { BoundedLog } from '../../../limits/bounded-log.ts'
import type { BufferBudget } from '../../../limits/buffer-budget.ts'
import type { Pass } from '../../../limits/gate.ts'
import type { SourceRate } from '../../../limits/source-rate.ts'
import type { Endpoint, Link } from '../../../types.ts'

export interface Shared {
  settings: RelaySettings
  readonly identities: Identities
  /** By their number. */
  readonly ports: Map<number, MappedPort>
  readonly sessions: Set<Session>
  /** Ports with users, which may outlive the client and then the place in `ports`. */
  readonly used: Set<MappedPort>
  /** Which users of all ports go through. */
  readonly users: UserGates
  /** What is kept for all users, by identity. */
  readonly buffers: BufferBudget
  /** Unknown tokens by source. */
  failures: SourceRate
  readonly log: BoundedLog
  /** Of connections that are refused: what strangers do must not hide the rest. */
  readonly refusals: BoundedLog
  readonly refused: Record<Refusal, number>
  readonly traffic: UserTraffic
  /** Messages of clients that had to wait, as there were too many. */
  heldMessages: number
  /** The relay takes no more clients. */
  isClosing: boolean
  /** Data connections of all ports that wait for another user. */
  carriers: number
  /** Milliseconds of a clock that only goes forward, as of the last tick: near enough for timeouts, and free to read. */
  now: number
}

/** A connection whose first frame was read. */
export interface Caller {
  /** What is behind that frame. */
  link: Link
  /** In its canonical form. */
  remote: Endpoint
  pass: Pass
}
