/** Wireshark without its window, for the tests that want a reader that others have written. */
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const exists = spawnSync('tshark', ['--version']).status === 0

/** Why the tests that need tshark are skipped, or `false` to run them: always on a build machine, where they then fail. */
export const skipWithoutTshark: string | false = exists || process.env.CI === 'true' ? false : 'no program tshark; install it to run this'

/** What it always says to root is no complaint about a file. */
const ABOUT_ROOT = /^Running as user "root".*\n/

/** Runs it on a file. Rejects when it exits with anything but 0. */
export async function tshark (file: string, ...args: string[]): Promise<{ stdout: string, complaints: string }> {
  const { stdout, stderr } = await promisify(execFile)('tshark', ['-r', file, ...args])
  return { stdout, complaints: stderr.replace(ABOUT_ROOT, '') }
}
