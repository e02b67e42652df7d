/** Where the control sockets of programs are. */
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isSection, type Values } from '../config/settings.ts'
import type { Protocol } from '../protocol.ts'
import { defaultStateDir } from '../state/state-dir.ts'

export interface ControlNameInit {
  program: 'relay' | 'peer'
  protocols: readonly Protocol[]
  /** What is said in the sections of the protocols. */
  sections: Values
  /** The one protocol that the process was started for, if it was. */
  protocol?: string
}

/** What tells the processes of one machine apart: `relay`, `relay-<protocol>` for all protocols but the first, `peer-<name>`. */
export function controlName ({ program, protocols, sections, protocol }: ControlNameInit): string {
  for (const { name, instanceKey } of protocols) {
    const section = sections[name]
    if (instanceKey === undefined || !isSection(section) || (protocol ?? name) !== name) continue
    const instance = section[instanceKey]
    if (typeof instance === 'string') return `${program}-${instance}`
  }
  return protocol === undefined || protocol === protocols[0].name ? program : `${program}-${protocol}`
}

/** Where the control socket of a process is, unless it was told: a folder that systemd gave it, or the customary one for this user. */
export function defaultControlPath (name: string, env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.()): string | undefined {
  const [fromSystemd] = (env.RUNTIME_DIRECTORY ?? '').split(':') // several are possible; the first is ours
  const folder = fromSystemd !== '' ? fromSystemd : uid === 0 ? '/run/tunpipe' : env.XDG_RUNTIME_DIR?.startsWith('/') === true ? join(env.XDG_RUNTIME_DIR, 'tunpipe') : defaultStateDir(env, uid)
  return folder === undefined ? undefined : join(folder, `${name}.sock`)
}

/** Paths of other control sockets of the program in the same folder; they may be stale. */
export function otherControlPaths (path: string, program: 'relay' | 'peer'): string[] {
  try {
    const names = readdirSync(dirname(path)).filter((name) => name === `${program}.sock` || (name.startsWith(`${program}-`) && name.endsWith('.sock')))
    return names.filter((name) => name !== basename(path)).sort().map((name) => join(dirname(path), name))
  } catch {
    return [] // there is no such folder, or it is not ours
  }
}
