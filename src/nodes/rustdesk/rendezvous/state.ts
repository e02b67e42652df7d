/** What the parts of a rendezvous server share. */
import type { Connection } from './connection.ts'
import type { HealthChecks } from './health-checks.ts'
import type { IpBlocker } from './ip-blocker.ts'
import type { IpChanges } from './ip-changes.ts'
import type { Peer } from './peer.ts'
import type { PeerRegistry, PeerStore } from './peer-registry.ts'
import type { PeerSteps } from './peer-steps.ts'
import type { PunchLog } from './punch-log.ts'
import type { RelayServers } from './relay-servers.ts'
import type { RendezvousSettings } from './settings.ts'
import type { RendezvousCounters, RendezvousRejectReason } from './stats.ts'
import type { WaitingClients } from './waiting-clients.ts'
import type { RendezvousInit } from '../protocol/messages.ts'
import type { RefusalLog } from '../refusal-log.ts'
import type { Clock } from '../../../types.ts'

/** The rendezvous servers that clients are told when they know an older list. */
export interface ServerList {
  serial: number
  servers: readonly string[]
}

export interface RendezvousState {
  settings: RendezvousSettings
  readonly clock: Clock
  readonly totals: RendezvousCounters
  readonly refused: Record<RendezvousRejectReason, number>
  readonly refusals: RefusalLog
  readonly store: PeerStore
  readonly peers: PeerRegistry
  readonly blocker: IpBlocker
  readonly changes: IpChanges
  readonly punches: PunchLog
  readonly steps: PeerSteps
  readonly relays: RelayServers
  readonly waiting: WaitingClients<Connection>
  readonly serverList: ServerList
  readonly healthChecks: HealthChecks
  /** Sends a message to a peer. False: it is lost. */
  push (peer: Peer, message: RendezvousInit): boolean
}
