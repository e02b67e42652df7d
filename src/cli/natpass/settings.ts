/** What is told of the secret of natpass: its default is that of the original programs, and has to be written out. */
import type { SettingsOf } from '../../nodes/common/options/option.ts'
import { DEFAULT_SECRET } from '../../nodes/natpass/protocol/options.ts'
import type { peerOptions } from '../../nodes/natpass/peer/options.ts'
import type { relayOptions } from '../../nodes/natpass/relay/options.ts'
import type { FinishContext } from '../protocol.ts'

const KNOWN_TO_ALL = `the secret "${DEFAULT_SECRET}" is the default of the original programs, which everybody knows`

export function finishRelay (settings: SettingsOf<typeof relayOptions>, { warn }: FinishContext): SettingsOf<typeof relayOptions> {
  if (settings.secret === DEFAULT_SECRET) warn(KNOWN_TO_ALL)
  if (settings.legacyMd5) warn('legacy-md5 takes a proof that never changes: who has seen it once may connect as well')
  return settings
}

export function finishPeer (settings: SettingsOf<typeof peerOptions>, { warn }: FinishContext): SettingsOf<typeof peerOptions> {
  if (settings.secret === DEFAULT_SECRET) warn(KNOWN_TO_ALL)
  if (settings.allow === undefined && settings.rules === undefined) warn('nothing is allowed here and there are no rules: this peer does nothing; --allow says what others may open')
  for (const { name, target } of settings.rules ?? []) {
    if (target === settings.id) warn(`the rule ${name} leads to this peer itself, and cannot be opened: its target has the id of this peer`)
  }
  return settings
}
