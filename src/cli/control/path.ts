/** Paths of control sockets. */
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isSection, type Values } from '../config/settings.ts'
import type { Protocol } from '../protocol.ts'
import { defaultStateDir } from '../state/state-dir.ts'

export interface ControlNameInit {
  program: 'relay' | 'peer'
  protocols: readonly Protocol[]
  /** The sections of the protocols. */
  sections: Values
  /** The only protocol of the process, if one was chosen. */
  protocol?: string
}

/** The name by which the processes of one machine differ: `relay`, `relay-<protocol>` for all protocols but the default one, `peer-<name>`. */
export function controlName ({ program, protocols, sections, protocol }: ControlNameInit): string {
  for (const { name, instanceKey } of protocols) {
    const section = sections[name]
    if (instanceKey === undefined || !isSection(section) || (protocol ?? name) !== name) continue
    const instance = section[instanceKey]
    if (typeof instance === 'string') return `${program}-${instance}`
  }
  return protocol === undefined || protocols.some(({ name, isDefault }) => isDefault === true && name === protocol) ? program : `${program}-${protocol}`
}

/** The default path of the control socket of a process: in the runtime directory of systemd, or the usual folder of this user. */
export function defaultControlPath (name: string, env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.()): string | undefined {
  const [fromSystemd] = (env.RUNTIME_DIRECTORY ?? '').split(':') // may be several; the first is used
  const folder = fromSystemd !== '' ? fromSystemd : uid === 0 ? '/run/tunpipe' : env.XDG_RUNTIME_DIR?.startsWith('/') === true ? join(env.XDG_RUNTIME_DIR, 'tunpipe') : defaultStateDir(env, uid)
  return folder === undefined ? undefined : join(folder, `${name}.sock`)
}

/** Paths of other control sockets of the program in the same folder; they may be stale. */
export function otherControlPaths (path: string, program: 'relay' | 'peer'): string[] {
  try {
    const names = readdirSync(dirname(path)).filter((name) => name === `${program}.sock` || (name.startsWith(`${program}-`) && name.endsWith('.sock')))
    return names.filter((name) => name !== basename(path)).sort().map((name) => join(dirname(path), name))
  } catch {
    return [] // the folder does not exist, or is not readable
  }
}
