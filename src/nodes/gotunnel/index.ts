/** The gotunnel protocol: TCP ports of a public machine that lead to services behind NAT. */
export { GotunnelRelay, type Arrival, type Reconfigured } from './relay.ts'
export type { GotunnelRelayInit, GotunnelRelayOptions, Mode } from './relay-settings.ts'
export type { IdentityInit } from './identities.ts'
export type { GotunnelRelayStats, Refusal, UserDrop, UserTraffic } from './stats.ts'
