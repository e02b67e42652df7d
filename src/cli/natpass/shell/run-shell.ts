/** What `peer natpass shell RULE` does. */
import { attach, type Ending } from './attach.ts'
import { openPageShell } from './page-client.ts'
import { runningPeer } from './running-peer.ts'
import { LocalTerminal } from './terminal.ts'
import { withOwnPeer } from './own-peer.ts'
import { ShellConnectionError } from './connection.ts'
import type { peerOptions } from '../../../nodes/natpass/peer/options.ts'
import type { RuleType } from '../../../nodes/natpass/peer/rules.ts'
import type { SettingsOf } from '../../../nodes/common/options/option.ts'
import { listOf, quoted } from '../../../text/phrases.ts'
import { load } from '../../config/load.ts'
import { isSection, type Flags } from '../../config/settings.ts'
import type { Protocol, TaskContext } from '../../protocol.ts'
import { UsageError } from '../../usage-error.ts'

type PeerSettings = SettingsOf<typeof peerOptions>

/** Sets the exit code, or ends the process by the signal that it has got. */
export async function runShell ({ argument: name, flags, protocols }: TaskContext, options: Protocol['options']): Promise<void> {
  const { settings, pagePassword } = settingsOf(flags, protocols, options)
  const running = await runningPeer(flags, protocols, settings)
  const terminal = new LocalTerminal()
  const say = (text: string): void => { terminal.say(text) }
  let ending: Ending
  if (running !== undefined) {
    const { url, target } = shellRule(running.rules, name)
    if (url === undefined) throw new ShellConnectionError(`nobody listens for the rule ${quoted(name)}`)
    const shell = await openPageShell({ url, target, password: pagePassword, say })
    ending = await attach(shell, terminal).finally(() => shell.close())
  } else {
    if (settings === undefined) throw new UsageError('--config: missing, as no peer of natpass runs here, expected a file with the rule')
    ending = await withOwnPeer(settings, shellRule(settings.rules ?? [], name), say, (shell) => attach(shell, terminal))
  }
  if ('signal' in ending) process.kill(process.pid, ending.signal)
  else process.exitCode = ending.code
}

/** Without a file or other options of a peer there are no settings: a running peer has its own. */
function settingsOf (flags: Flags, protocols: readonly Protocol[], options: Protocol['options']): { settings: PeerSettings | undefined, pagePassword: string | undefined } {
  const { natpass } = flags.source.values
  const isComplete = flags.config !== undefined || (isSection(natpass) && Object.keys(natpass).some((key) => !key.startsWith('page-password')))
  const reduced = protocols.filter(({ name }) => name === 'natpass').map((protocol): Protocol => ({ ...protocol, options, verify () {}, finish: (settings) => settings }))
  const { services: [{ settings }] } = load({ program: 'peer', protocols: isComplete ? protocols : reduced, flags })
  const { pagePassword } = settings as PeerSettings
  return { settings: isComplete ? settings as PeerSettings : undefined, pagePassword }
}

/** @throws {UsageError} when there is no such rule, or it opens something else */
function shellRule<R extends { readonly name: string, readonly type: RuleType }> (rules: readonly R[], name: string): R {
  const rule = rules.find((rule) => rule.name === name)
  if (rule?.type === 'shell') return rule
  const shells = rules.filter(({ type }) => type === 'shell').map(({ name }) => name)
  const known = shells.length === 0 ? 'and there are none of type shell' : `expected ${listOf(shells)}`
  throw new UsageError(rule === undefined ? `no rule ${quoted(name)}, ${known}` : `rule ${quoted(name)} has the type ${rule.type}, ${known}`)
}
