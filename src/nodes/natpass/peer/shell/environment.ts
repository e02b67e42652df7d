/** The environment of a shell (natpass protocol, section 4.3). */
import { ShellError } from './shell-error.ts'
import { isSecret } from '../own-environment.ts'

/** Variables of a request, and bytes of all of them: with the rest they fit into a frame (natpass protocol, section 1.1). */
const MAX_ENTRIES = 256
const MAX_BYTES = 32 * 1024

/** What the terminal is, unless the request says it: pages and clients show it with xterm.js. */
const TERM = 'xterm-256color'

/** What describes the terminal that this process was started in, or a channel that only this process has. */
const OF_THIS_PROCESS = ['TERM', 'TERMCAP', 'COLUMNS', 'LINES', 'TMUX', 'TMUX_PANE', 'STY', 'WINDOW', 'WINDOWID', 'NODE_CHANNEL_FD']

/**
 * Variables of this process and those of a request, of which the later one counts.
 *
 * @param own - as `process.env`
 * @param entries - `NAME=VALUE` each
 * @returns `NAME=VALUE` each, no name twice
 * @throws {ShellError} `ERR_SHELL_ENVIRONMENT` when an entry has another form, or there are too many
 */
export function shellEnvironment (own: Readonly<Record<string, string | undefined>>, entries: readonly string[]): string[] {
  if (entries.length > MAX_ENTRIES) throw new ShellError('ERR_SHELL_ENVIRONMENT', `${entries.length} variables, at most ${MAX_ENTRIES} are taken`)
  if (entries.reduce((sum, entry) => sum + Buffer.byteLength(entry), 0) > MAX_BYTES) throw new ShellError('ERR_SHELL_ENVIRONMENT', `variables of more than ${MAX_BYTES} bytes`)
  const variables = new Map(Object.entries(own))
  for (const name of variables.keys()) if (isSecret(name) || OF_THIS_PROCESS.includes(name)) variables.delete(name)
  variables.set('TERM', TERM)
  for (const entry of entries) {
    const at = entry.indexOf('=')
    if (at < 1 || entry.includes('\0')) throw new ShellError('ERR_SHELL_ENVIRONMENT', 'a variable has the form NAME=VALUE')
    variables.set(entry.slice(0, at), entry.slice(at + 1))
  }
  return [...variables].flatMap(([name, value]) => value === undefined ? [] : [`${name}=${value}`])
}
