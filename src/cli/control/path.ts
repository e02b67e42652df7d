import { join } from 'node:path'
import { defaultStateDir } from '../state/state-dir.ts'

/** Where the control socket of a program is, unless it was told: a folder that systemd gave it, or the customary one for this user. */
export function defaultControlPath (name: string, env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.()): string | undefined {
  const [fromSystemd] = (env.RUNTIME_DIRECTORY ?? '').split(':') // several are possible; the first is ours
  const folder = fromSystemd !== '' ? fromSystemd : uid === 0 ? '/run/tunpipe' : env.XDG_RUNTIME_DIR?.startsWith('/') === true ? join(env.XDG_RUNTIME_DIR, 'tunpipe') : defaultStateDir(env, uid)
  return folder === undefined ? undefined : join(folder, `${name}.sock`)
}
