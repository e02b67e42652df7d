import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where a program may keep what it has to remember: the place that systemd gave it, or the customary one for this user. */
export function defaultStateDir (env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.()): string {
  const [fromSystemd] = (env.STATE_DIRECTORY ?? '').split(':') // several are possible; the first is ours
  if (fromSystemd !== '') return fromSystemd
  if (uid === 0) return '/var/lib/tunpipe'
  return join(env.XDG_STATE_HOME?.startsWith('/') === true ? env.XDG_STATE_HOME : join(homedir(), '.local/state'), 'tunpipe')
}
