/** The initial configuration: `relay` without arguments in an empty folder writes one, and starts. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Output } from '../process/output.ts'
import type { Protocol } from '../protocol.ts'
import { explained } from '../reason.ts'
import { syncFolder } from '../state/synced-file.ts'
import { secretsOf } from './keys.ts'
import { newPassword } from './new-password.ts'

export const DEFAULT_CONFIG = 'relay.yaml'

/**
 * Writes the initial configuration, that of the default protocol. A secret from the environment is not stored.
 *
 * @returns prints what was written and how to go on; undefined when another process has just written the file, or there is no default
 */
export function initConfig (protocols: readonly Protocol[]): ((out: Output) => void) | undefined {
  const protocol = protocols.find(({ isDefault }) => isDefault)
  if (protocol?.firstConfig === undefined) return undefined
  const { section, greeting } = protocol.firstConfig(passwordFor(protocol))
  const others = protocols.filter(({ sampleSection }) => sampleSection !== undefined)
  const text = [HEAD, section, ...others.map(sampleOf), TAIL].join('\n')
  try {
    if (!createConfig(DEFAULT_CONFIG, text)) return undefined
  } catch (err) {
    throw explained(err, `cannot write ${DEFAULT_CONFIG}, and no --config and no command was given`)
  }
  return (out) => {
    out.say(`Wrote ${DEFAULT_CONFIG} with a new configuration.\n\n${greeting}\n${switchingOn(others)}`)
    out.event('created', { config: DEFAULT_CONFIG })
  }
}

/** None when the environment has it. */
function passwordFor ({ options }: Protocol): string | undefined {
  return secretsOf(options).some(({ variable }) => Boolean(process.env[variable])) ? undefined : newPassword()
}

const HEAD = `\
# The configuration of the tunpipe relay. Each key below a protocol is also a flag of its command, such as
# \`relay candy\`, where it wins over this file. \`relay reload\` has the relay take a change, or say what is wrong
# with it. \`relay PROTOCOL --help\` has all keys.
`

const TAIL = `\
# Numbers for Prometheus, and /healthz.
# metrics: 127.0.0.1:9100

# fatal, error, warn, info, debug or trace
# log-level: info

# Print machine-readable lines.
# json: false
`

/** A section that is switched off: comments, which are a section without the "# " in front. */
function sampleOf (protocol: Protocol): string {
  const { name, description, sampleSection } = protocol
  const lines = [`${name}:`, ...(sampleSection?.(passwordFor(protocol)) ?? []).map((line) => `  ${line}`)]
  return `## ${description}\n## To switch it on, remove the "# " of these lines, and start the relay again.\n${lines.map((line) => `# ${line}\n`).join('')}`
}

function switchingOn (others: readonly Protocol[]): string {
  return [
    `It runs other protocols as well, in the same process: remove the "# " in front of their sections in ${DEFAULT_CONFIG}, and start it again.`,
    '',
    ...others.map(({ name, description }) => `  ${name.padEnd(Math.max(...others.map(({ name }) => name.length)))}  ${description}`),
    ''
  ].join('\n')
}

/**
 * Writes the file, readable by its owner only. It is on the disk when this returns, since the password in it is printed next.
 *
 * @returns false when the file exists; then it is not changed
 */
function createConfig (file: string, text: string): boolean {
  let fd: number
  try {
    fd = openSync(file, 'wx', 0o600)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw err
  }
  try {
    writeSync(fd, text)
    fsyncSync(fd)
  } catch (err) {
    rmSync(file, { force: true }) // the next start would read an incomplete file
    throw err
  } finally {
    closeSync(fd)
  }
  syncFolder(dirname(file))
  return true
}
