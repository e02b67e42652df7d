import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where a program may keep what it has to remember: the place that systemd gave it, or the customary one for this user.
 *
 * @param home - throws when the user has none
 * @returns undefined when there is no such place: a user without a home, as containers have them
 */
export function defaultStateDir (env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.(), home: () => string = homedir): string | undefined {
  const [fromSystemd] = (env.STATE_DIRECTORY ?? '').split(':') // several are possible; the first is ours
  if (fromSystemd !== '') return fromSystemd
  if (uid === 0) return '/var/lib/tunpipe'
  if (env.XDG_STATE_HOME?.startsWith('/') === true) return join(env.XDG_STATE_HOME, 'tunpipe')
  try {
    return join(home(), '.local/state/tunpipe')
  } catch {
    return undefined
  }
}
