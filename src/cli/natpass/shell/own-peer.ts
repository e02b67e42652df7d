/** A shell by a connection of this process, where no peer runs. */
import { once } from 'node:events'
import { BACK, LOST, notOpened, ShellConnectionError, type ShellConnection } from './connection.ts'
import { NatpassPeer } from '../../../nodes/natpass/index.ts'
import type { peerOptions } from '../../../nodes/natpass/peer/options.ts'
import type { Rule } from '../../../nodes/natpass/peer/rules.ts'
import type { SettingsOf } from '../../../nodes/common/options/option.ts'

/** Milliseconds until the server has accepted the peer. */
const ONLINE_TIMEOUT = 20_000

/**
 * Calls a function with a shell; ends what is left of it afterwards. Others may open nothing here meanwhile.
 *
 * @param say tells the user that the connection is lost, or that it is back
 * @throws {ShellConnectionError} when the server cannot be reached, or accepts nobody, or the shell is not opened
 */
export async function withOwnPeer<T> (settings: SettingsOf<typeof peerOptions>, rule: Rule, say: (text: string) => void, use: (shell: ShellConnection) => Promise<T>): Promise<T> {
  const peer = new NatpassPeer({ ...settings, allow: undefined, rules: [rule] })
  try {
    await untilOnline(peer)
    const shell = await peer.openShell(rule.name).catch((err: unknown) => { throw notOpened(rule.target, err as Error) })
    shell.onLost = () => { say(shell.isLost === true ? LOST : BACK) }
    return await use(shell)
  } finally {
    await peer.close()
  }
}

async function untilOnline (peer: NatpassPeer): Promise<void> {
  const signal = AbortSignal.timeout(ONLINE_TIMEOUT)
  const offline = once(peer, 'offline', { signal }).then(() => peer.status().reason, () => 'it does not answer')
  const online = once(peer, 'online', { signal }).then(() => undefined, () => 'it does not answer')
  await peer.start({ listen: false })
  const problem = await Promise.race([online, offline])
  if (problem !== undefined) throw new ShellConnectionError(`not connected to the server ${peer.status().server}: ${problem}`)
}
