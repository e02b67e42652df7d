/** The options of a helper and proxy for callers, and the settings that it reads from them. */
import { relayOptions, type lastingOptions } from './options.ts'
import { readOptions, type InitOf, type SettingsOf } from '../../common/options/option.ts'

/** Options of a relay that can change while it runs. */
export type ShowchainRelayOptions = Omit<InitOf<typeof relayOptions>, keyof InitOf<typeof lastingOptions>>

export type RelaySettings = Readonly<SettingsOf<typeof relayOptions>>

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export const readRelay = (init: InitOf<typeof relayOptions>): RelaySettings => readOptions(relayOptions, init)
