/** The options of a gotunnel relay for callers, and the settings that it reads from them. */
import { connectionOptions, identityOptions, type lastingOptions, verifyIdentities } from './options.ts'
import { rejectOption, readOptions, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import type { ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import type { Logger } from '../../../log.ts'
import type { AcceptedLink, ListenInit } from '../../../transports/tcp.ts'
import type { Clock, Listener } from '../../../types.ts'

/** Options of one identity: a token stands for it, with its own ports and limits. */
export type IdentityInit = InitOf<typeof identityOptions>

/** The name of the identity of a relay with a single token. */
const ONLY_IDENTITY = 'default'

/** One identity without a name, or several. */
export type GotunnelIdentitiesInit = (Omit<IdentityInit, 'name' | 'reserveUsers'> & { readonly identities?: undefined }) | { readonly identities: readonly IdentityInit[] }

/** Options of a relay that can change at run time. */
export type GotunnelRelayOptions = Omit<InitOf<typeof connectionOptions>, keyof InitOf<typeof lastingOptions>> & GotunnelIdentitiesInit

/** Options of a {@link GotunnelRelay}. */
export type GotunnelRelayInit = GotunnelRelayOptions & InitOf<typeof lastingOptions> & {
  /** Listens for the users of a mapped port. Another one than the default lets a relay run in a simulated network. Default: `listenTcp`. */
  listenForUsers?: ListenForUsers
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

/** Makes a listener, as `listenTcp` does. */
export type ListenForUsers = (init: Pick<ListenInit, 'host' | 'port' | 'limiter' | 'keepAlive' | 'clock'>) => Listener<AcceptedLink>

/** Verified settings of an identity, without its token. */
export type IdentitySettings = Omit<SettingsOf<typeof identityOptions>, 'token'>

/** Those, and the token. */
export type VerifiedIdentity = [settings: IdentitySettings, token: string]

export interface RelaySettings extends Omit<SettingsOf<typeof connectionOptions>, keyof ConnectionLimiterInit | 'maxPortsTotal' | 'maxUsersTotal' | 'usersPerSource'> {
  identities: VerifiedIdentity[]
  maxPortsTotal: number
  /** For the control port and, separately, for the users of all ports. */
  limiter: Required<ConnectionLimiterInit>
  userLimiter: Required<ConnectionLimiterInit>
}

/** Defaults of `maxPortsTotal` and `maxUsersTotal`, and users of all ports that wait. */
const PORTS_IN_ALL = 4096
const USERS_IN_ALL = 16_384
const WAITING_IN_ALL = 4096

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readRelay (init: GotunnelRelayOptions & InitOf<typeof lastingOptions>): RelaySettings {
  const { maxPerSource, maxHalfOpen, maxConnections, maxPortsTotal, maxUsersTotal, usersPerSource, ...settings } = readOptions(connectionOptions, init)
  const identities = readIdentities(init)
  verifyIdentities(identities.map(([settings]) => settings), maxUsersTotal, rejectOption)
  const sumOf = (key: 'maxPorts' | 'maxUsers' | 'reserveUsers'): number => identities.reduce((sum, [{ [key]: count = 0 }]) => count === Infinity ? sum : sum + count, 0)
  const users = maxUsersTotal ?? Math.max(USERS_IN_ALL, sumOf('maxUsers'), sumOf('reserveUsers'))
  return {
    ...settings,
    identities,
    maxPortsTotal: maxPortsTotal ?? Math.max(PORTS_IN_ALL, sumOf('maxPorts')),
    limiter: { maxPerSource, maxHalfOpen, maxConnections },
    userLimiter: { maxPerSource: usersPerSource, maxHalfOpen: Math.max(WAITING_IN_ALL, settings.maxWaiting), maxConnections: users }
  }
}

/** @throws {OptionError} when an identity is invalid */
export function readIdentities ({ identities, ...only }: GotunnelIdentitiesInit): VerifiedIdentity[] {
  const inits: readonly IdentityInit[] = identities ?? [{ ...only as Omit<IdentityInit, 'name'>, name: ONLY_IDENTITY }]
  if (inits.length === 0) rejectOption(['identities'], 'empty, expected one identity or more')
  const tokens = new Set<string>()
  return inits.map((init, i) => {
    const at = identities === undefined ? [] : ['identities', i]
    const { token, ...settings } = readOptions(identityOptions, init, at)
    if (token === '') rejectOption([...at, 'token'], 'empty, expected a token')
    if (tokens.has(token)) rejectOption([...at, 'token'], 'the token is that of another identity as well, expected one of its own')
    tokens.add(token)
    return [settings, token]
  })
}
