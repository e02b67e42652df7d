/** Options, status and events of a natpass peer. */
import type { DatagramLoss } from './datagrams.ts'
import { peerOptions, verifyPeerOptions } from './options.ts'
import type { Rule, RuleType } from './rules.ts'
import type { TrafficCounts } from '../protocol/link-traffic.ts'
import type { LinkType } from '../protocol/message-types.ts'
import { readOptions, rejectOption, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import type { PeerConnection } from '../../common/status.ts'
import type { BackoffInit } from '../../../limits/backoff.ts'
import type { Logger } from '../../../log.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { TlsClientInit } from '../../../transports/tls.ts'
import type { Clock } from '../../../types.ts'

/** Options of a peer. */
export interface NatpassPeerInit extends InitOf<typeof peerOptions> {
  backoff?: BackoffInit
  /** The file of the program `peer`, which captures the screen for desktops in processes of its own. Default: that of this package. */
  peerProgram?: string
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

export interface PeerSettings extends Omit<SettingsOf<typeof peerOptions>, 'tls' | 'ca' | 'insecure' | 'rules'> {
  rules: readonly Rule[]
  /** Undefined: that of this package. */
  peerProgram: string | undefined
  /** Undefined: plain TCP. */
  tls: TlsClientInit | undefined
  clock: Clock
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readPeer (init: NatpassPeerInit): PeerSettings {
  const options = readOptions(peerOptions, init)
  verifyPeerOptions(options, rejectOption)
  const { tls, ca, insecure, rules = [], clock = systemClock, ...settings } = { ...options, clock: init.clock, peerProgram: init.peerProgram }
  if (settings.secret === '') rejectOption(['secret'], 'empty, expected a secret')
  return { ...settings, rules, clock, tls: tls || settings.server.scheme === 'tls' ? { ca, insecure } : undefined }
}

/** A link of a rule, and what it has carried. */
export interface NatpassLinkStatus extends TrafficCounts {
  id: string
}

/** The page of all rules. */
export interface NatpassPageStatus {
  /** Undefined while it does not listen. */
  url: string | undefined
  /** Why it does not. */
  problem: string | undefined
}

/** A rule that is served here. */
export interface NatpassRuleStatus extends TrafficCounts {
  name: string
  type: RuleType
  target: string
  /** Where its users connect: `http://` for a shell and a measurement, `tcp://` or `udp://` for a port. Undefined while it does not listen. */
  url: string | undefined
  /** Links that are open now; since the start. */
  links: number
  opened: number
  /** Those that are open. The counters beside it are of all since the start. */
  open: NatpassLinkStatus[]
  /** Why it does not listen, or why the last link was not opened. */
  problem: string | undefined
}

/** A link that another client has open here, and what it has carried. */
export interface NatpassServedLinkStatus extends NatpassLinkStatus {
  client: string
  /** What the client calls its rule, as it may be shown. */
  rule: string
  type: LinkType
}

/** What a peer has counted; `links` is a gauge, and bytes are those of the connection with all framing. */
export interface NatpassPeerStats {
  /** Links that others have open here. */
  links: number
  /** Links that others have opened here, and those that they were refused. */
  accepted: number
  refused: number
  bytesIn: number
  bytesOut: number
  /** Datagrams of links of type `udp`, in both directions. */
  lostDatagrams: Record<DatagramLoss, number>
  /** Links of rules of type `udp` that had to make room for those of other sources. */
  evictedSources: number
}

/** A peer, its connection and its rules. */
export interface NatpassPeerStatus extends PeerConnection, NatpassPeerStats {
  /** `host:port`. */
  server: string
  id: string
  rules: NatpassRuleStatus[]
  /** Links that others have open here. */
  served: NatpassServedLinkStatus[]
  /** Undefined when there is none. */
  page: NatpassPageStatus | undefined
}

/** Events of a peer, with their arguments. */
export interface NatpassPeerEvents {
  /** The server has accepted the peer. */
  online: []
  /** The connection was lost or could not be made; the next attempt follows after `wait` milliseconds. */
  offline: [err: Error, wait: number]
  /** A rule has users here, at this address. */
  rule: [name: string, url: string]
  /** The page of all rules has this address. */
  page: [url: string]
}
