/** What all connections of a relay share. */
import type { Identities } from './identities.ts'
import type { MappedPort, PortContext } from './port.ts'
import type { RelaySettings } from './settings.ts'
import type { Session } from './session.ts'
import type { Refusal } from './stats.ts'
import type { BoundedLog } from '../../../limits/bounded-log.ts'
import type { Pass } from '../../../limits/gate.ts'
import type { SourceRate } from '../../../limits/source-rate.ts'
import type { Endpoint, Link } from '../../../types.ts'

export interface Shared extends PortContext {
  settings: RelaySettings
  readonly identities: Identities
  /** By their number. */
  readonly ports: Map<number, MappedPort>
  readonly sessions: Set<Session>
  /** Unknown tokens by source. */
  failures: SourceRate
  /** Of connections that are refused: what strangers do must not hide the rest. */
  readonly refusals: BoundedLog
  readonly refused: Record<Refusal, number>
  /** Messages of clients that had to wait, as there were too many. */
  heldMessages: number
  /** The relay takes no more clients. */
  isClosing: boolean
  /** Milliseconds of the clock, as of the last tick: near enough for timeouts, and free to read. */
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
