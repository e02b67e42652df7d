/** What is told of the secret of natpass: its default is that of the original programs, and has to be written out. */
import type { SettingsOf } from '../../nodes/common/options/option.ts'
import { DEFAULT_SECRET } from '../../nodes/natpass/protocol/options.ts'
import type { relayOptions } from '../../nodes/natpass/relay/options.ts'
import type { FinishContext } from '../protocol.ts'

const KNOWN_TO_ALL = `the secret "${DEFAULT_SECRET}" is the default of the original programs, which everybody knows`

export function finishRelay (settings: SettingsOf<typeof relayOptions>, { warn }: FinishContext): SettingsOf<typeof relayOptions> {
  if (settings.secret === DEFAULT_SECRET) warn(KNOWN_TO_ALL)
  if (settings.legacyMd5) warn('legacy-md5 takes a proof that never changes: who has seen it once may connect as well')
  return settings
}
