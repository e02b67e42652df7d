/** The options of a candy relay for callers, and the settings that it reads from them. */
import { connectionOptions, networkOptions, verifyNetworks } from './options.ts'
import { rejectOption, readOptions, type InitOf, type Reject, type SettingsOf } from '../../common/options/option.ts'
import type { ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import type { Logger } from '../../../log.ts'
import { Secret } from '../protocol/hashes.ts'
import { MAX_LENGTH } from '../protocol/messages.ts'
import type { WebSocketFramesInit } from '../../../transforms/websocket-frames/index.ts'
import type { Clock } from '../../../types.ts'
import type { LeaseStore } from './lease-store.ts'

/** Frame settings of a candy relay: messages of at most 1500 bytes (candy protocol, section 1.1), and one second for the closing handshake. */
export const RELAY_FRAMES: Omit<WebSocketFramesInit, 'role'> = { maxPayload: MAX_LENGTH, closeTimeout: 1000 }

/** There is a ring from each worker to each other: 16 workers take up to 480 MiB when all are busy. */
export const MAX_WORKERS = 16

/** Options of one network. */
export type CandyNetworkInit = InitOf<typeof networkOptions>

/** One network, or several, selected by the path of the URL. */
export type CandyNetworksInit = (CandyNetworkInit & { readonly networks?: undefined }) | { readonly networks: readonly CandyNetworkInit[] }

/** Bounds of the connections of a relay. */
export type CandyRelayOptions = InitOf<typeof connectionOptions>

/** Options of a {@link CandyRelay}. */
export type CandyRelayInit = CandyRelayOptions & CandyNetworksInit & {
  /** Devices and their last addresses. Default: kept in memory only. */
  leases?: LeaseStore
  log?: Logger
  /**
   * The timestamps of clients are compared with its date. Threads with connections (`workers`) use the system clock, as objects are not
   * shared between threads. Default: the system clock.
   */
  clock?: Clock
}

/** The settings of one network. */
export interface NetworkSettings extends Omit<SettingsOf<typeof networkOptions>, 'password' | 'allowEmptyPassword' | 'dhcp' | 'sdwan'> {
  readonly secret: Secret
  /** The range of dynamic addresses. */
  readonly range: SettingsOf<typeof networkOptions>['dhcp']
  readonly rules: SettingsOf<typeof networkOptions>['sdwan']
}

export interface RelaySettings extends Omit<SettingsOf<typeof connectionOptions>, keyof ConnectionLimiterInit> {
  networks: NetworkSettings[]
  limiter: Required<ConnectionLimiterInit>
}

/** Checks the options and fills in defaults. @throws {OptionError} when an option is invalid */
export function readRelay (init: CandyRelayOptions & CandyNetworksInit): RelaySettings {
  const { maxPerSource, maxHalfOpen, maxConnections, ...settings } = readOptions(connectionOptions, init)
  const { pingAfter, dropAfter } = settings
  if (pingAfter >= dropAfter) rejectOption(['pingAfter'], `${pingAfter} ms, expected less than dropAfter, ${dropAfter} ms`)
  const networks = init.networks === undefined ? [readNetwork(init)] : init.networks.map((network, i) => readNetwork(network, ['networks', i]))
  if (networks.length === 0) rejectOption(['networks'], 'empty, expected one network or more')
  verifyNetworks(networks, rejectOption)
  return { ...settings, networks, limiter: { maxPerSource, maxHalfOpen, maxConnections } }
}

/** @throws {OptionError} when an option is invalid */
export function readNetwork (init: CandyNetworkInit, at: Parameters<Reject>[0] = []): NetworkSettings {
  const { password, allowEmptyPassword, dhcp, sdwan, ...settings } = readOptions(networkOptions, init, at)
  if (password === '' && !allowEmptyPassword) rejectOption([...at, 'password'], 'empty, expected a password (or allowEmptyPassword)')
  return { ...settings, secret: new Secret(password), range: dhcp, rules: sdwan }
}
