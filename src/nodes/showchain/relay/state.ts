/** What the parts of a relay share. */
import type { Histories } from './history.ts'
import type { Introductions } from './introductions.ts'
import type { Outbox } from './outbox.ts'
import type { Registrations } from './registrations.ts'
import type { Sessions } from './sessions.ts'
import type { RelaySettings } from './settings.ts'
import type { RelayCounters } from './stats.ts'
import type { Clock } from '../../../types.ts'

export interface RelayState {
  settings: RelaySettings
  readonly clock: Clock
  /** 32 bytes. */
  readonly ownId: Uint8Array
  /** Of it, see `idKey`. */
  readonly ownKey: string
  readonly counters: RelayCounters
  readonly registrations: Registrations
  readonly introductions: Introductions
  readonly sessions: Sessions
  readonly histories: Histories
  /** Of data. */
  readonly outbox: Outbox
}
