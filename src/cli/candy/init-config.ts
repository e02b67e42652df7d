/** The initial configuration: `relay` without arguments in an empty folder writes one, and starts. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { newPassword } from '../config/new-password.ts'
import type { Output } from '../process/output.ts'
import { explained } from '../reason.ts'
import { joinCommands } from './join-commands.ts'

export const DEFAULT_CONFIG = 'relay.yaml'
const LISTEN = 'ws://0.0.0.0:8080'

const configText = (password: string | undefined): string => `\
# The configuration of the tunpipe relay. Each key below "candy" is also a flag of \`relay candy\`,
# where it wins over this file. \`relay reload\` has the relay take a change, or say what is wrong with it.

candy:
  # Where clients connect. wss:// needs tls-cert and tls-key (PEM files).
  listen: ${LISTEN}

  # Everyone who knows it can join. TUNPIPE_PASSWORD in the environment wins over it.
${password === undefined ? '  # password: ...' : `  password: ${password}`}
  # password-file: /etc/tunpipe/candy.password

  # Clients without an address of their own get one out of this range, /8 to /30.
  dhcp: 10.77.0.0/24

  # Networks behind clients: clients in 10.77.0.0/24 reach 192.168.1.0/24 through 10.77.0.2.
  # sdwan: 10.77.0.0/24,192.168.1.0/24,10.77.0.2

  # Which source addresses a client may send from: strict (its own), routes (also those of
  # networks behind it, see sdwan) or off (any).
  # source-check: routes

  # Who may take an address that is in use: any (the newest wins, as with the original server)
  # or same-device.
  # takeover: any

  # Take clients whose clock is wrong, as the original server does.
  # lenient: false

# Numbers for Prometheus, and /healthz.
# metrics: 127.0.0.1:9100

# fatal, error, warn, info, debug or trace
# log-level: info

# Print machine-readable lines.
# json: false
`

/**
 * Writes the initial configuration. A password from the environment is not stored.
 *
 * @returns prints what was written and how to join; undefined when another process has just written the file
 */
export function initConfig (): ((out: Output) => void) | undefined {
  const password = process.env.TUNPIPE_PASSWORD ? undefined : newPassword()
  try {
    if (!createConfig(DEFAULT_CONFIG, password)) return undefined
  } catch (err) {
    throw explained(err, `cannot write ${DEFAULT_CONFIG}, and no --config and no command was given`)
  }
  return (out) => {
    out.say(`Wrote ${DEFAULT_CONFIG} with a new configuration.\n\n${joinCommands({ listen: LISTEN, password })}`)
    out.event('created', { config: DEFAULT_CONFIG })
  }
}

/**
 * Writes the file, readable by its owner only. It is on the disk when this returns, since the password in it is printed next.
 *
 * @param password - undefined leaves it out, for a relay that gets it from the environment
 * @returns false when the file exists; then it is not changed
 */
function createConfig (file: string, password: string | undefined): boolean {
  let fd: number
  try {
    fd = openSync(file, 'wx', 0o600)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw err
  }
  try {
    writeSync(fd, configText(password))
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
