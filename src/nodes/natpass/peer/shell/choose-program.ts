/** Which program a shell is (natpass protocol, section 4.3). */
import { posix, win32 } from 'node:path'

/** In the order in which they are looked for. */
const UNIX = ['bash', 'sh']
const WINDOWS = ['powershell.exe', 'cmd.exe']

export interface ProgramChoice {
  /** A path, or a name to be found in `path`; without arguments. Undefined or empty: the usual shell. */
  readonly exec?: string | undefined
  /** As `process.platform`. */
  readonly platform: string
  /** The variable PATH. */
  readonly path: string | undefined
  /** Whether a file can be executed. */
  exists (file: string): boolean
}

/**
 * The file to execute. A given path is returned as it is, whether it exists or not.
 *
 * @returns undefined when nothing was found
 */
export function chooseProgram ({ exec = '', platform, path = '', exists }: ProgramChoice): string | undefined {
  const isWindows = platform === 'win32'
  const { join, delimiter } = isWindows ? win32 : posix
  if (exec.includes('/') || (isWindows && /[\\:]/.test(exec))) return exec
  const names = exec === '' ? (isWindows ? WINDOWS : UNIX) : isWindows && !/\.[^.]+$/.test(exec) ? [`${exec}.exe`] : [exec]
  // An empty entry means the current folder, where nobody expects a shell.
  const folders = path.split(delimiter).filter((folder) => folder !== '')
  for (const name of names) {
    const found = folders.map((folder) => join(folder, name)).find((file) => exists(file))
    if (found !== undefined) return found
  }
  return undefined
}
