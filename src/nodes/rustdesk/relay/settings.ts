/** The options of a RustDesk relay for callers, and the settings that it reads from them. */
import { MEGABIT, type Speeds } from './bandwidth.ts'
import { pairOptions, type lastingOptions } from './options.ts'
import { readOptions, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import type { ConnectionLimiterInit } from '../../../limits/connection-limiter.ts'
import type { Logger } from '../../../log.ts'
import type { Clock } from '../../../types.ts'

/** Options of a relay that can change at run time. */
export type RustdeskRelayOptions = Omit<InitOf<typeof pairOptions>, keyof InitOf<typeof lastingOptions>>

/** Options of a {@link RustdeskRelay}. */
export type RustdeskRelayInit = InitOf<typeof pairOptions> & {
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

type Settings = SettingsOf<typeof pairOptions>

export interface RelaySettings extends Omit<Settings, keyof ConnectionLimiterInit | 'singleBandwidth' | 'totalBandwidth' | 'limitSpeed' | 'downgradeThreshold' | 'downgradeStartCheck'> {
  limiter: Required<ConnectionLimiterInit>
  speeds: Speeds
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readRelay (init: InitOf<typeof pairOptions>): RelaySettings {
  const { maxPerSource, maxHalfOpen, maxConnections, singleBandwidth, totalBandwidth, limitSpeed, downgradeThreshold, downgradeStartCheck: downgradeStart, ...settings } = readOptions(pairOptions, init)
  return {
    ...settings,
    limiter: { maxPerSource, maxHalfOpen, maxConnections },
    speeds: { single: bits(singleBandwidth), total: bits(totalBandwidth), limited: bits(limitSpeed), downgradeThreshold, downgradeStart }
  }
}

/** Bits a second, of Mb/s. */
export const bits = (megabits: number): number => Math.max(1, Math.trunc(megabits * MEGABIT))
