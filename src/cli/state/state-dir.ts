import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The default folder for state: that of systemd, or the usual one of this user.
 *
 * @param home - throws when the user has no home folder
 * @returns undefined without a home folder, as in containers
 */
export function defaultStateDir (env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.(), home: () => string = homedir): string | undefined {
  const [fromSystemd] = (env.STATE_DIRECTORY ?? '').split(':') // may be several; the first is used
  if (fromSystemd !== '') return fromSystemd
  if (uid === 0) return '/var/lib/tunpipe'
  if (env.XDG_STATE_HOME?.startsWith('/') === true) return join(env.XDG_STATE_HOME, 'tunpipe')
  try {
    return join(home(), '.local/state/tunpipe')
  } catch {
    return undefined
  }
}
