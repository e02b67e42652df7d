/** The options of a natpass relay for callers, and the settings that it reads from them. */
import { clientOptions, type lastingOptions } from './options.ts'
import { readOptions, rejectOption, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import type { ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import type { Logger } from '../../../log.ts'
import type { Clock } from '../../../types.ts'

/** Options of a relay that can change at run time. */
export type NatpassRelayOptions = Omit<InitOf<typeof clientOptions>, keyof InitOf<typeof lastingOptions>>

/** Options of a {@link NatpassRelay}. */
export type NatpassRelayInit = InitOf<typeof clientOptions> & {
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

export interface RelaySettings extends Omit<SettingsOf<typeof clientOptions>, keyof ConnectionLimiterInit> {
  limiter: Required<ConnectionLimiterInit>
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readRelay (init: InitOf<typeof clientOptions>): RelaySettings {
  const { maxPerSource, maxHalfOpen, maxConnections, ...settings } = readOptions(clientOptions, init)
  if (settings.secret === '') rejectOption(['secret'], 'empty, expected a secret')
  return { ...settings, limiter: { maxPerSource, maxHalfOpen, maxConnections } }
}
