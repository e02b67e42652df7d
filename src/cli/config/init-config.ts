/** The initial configuration: `relay` without arguments in an empty folder writes one, and starts. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Output } from '../process/output.ts'
import type { Protocol } from '../protocol.ts'
import { explained } from '../reason.ts'
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
  const isGiven = secretsOf(protocol.options).some(({ variable }) => Boolean(process.env[variable]))
  const { text, greeting } = protocol.firstConfig(isGiven ? undefined : newPassword())
  try {
    if (!createConfig(DEFAULT_CONFIG, text)) return undefined
  } catch (err) {
    throw explained(err, `cannot write ${DEFAULT_CONFIG}, and no --config and no command was given`)
  }
  return (out) => {
    out.say(`Wrote ${DEFAULT_CONFIG} with a new configuration.\n\n${greeting}`)
    out.event('created', { config: DEFAULT_CONFIG })
  }
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

/** Syncs a folder, as the name of a new file has to reach the disk as well. */
function syncFolder (folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
