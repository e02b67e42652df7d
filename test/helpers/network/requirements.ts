/** What these tests need from the machine: real interfaces in network namespaces of their own. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Test } from 'tap'

const works = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0

const program = (name: string): boolean => works('sh', '-c', `command -v ${name}`)

function namespaces (): boolean {
  const name = `tunpipe-${process.pid}-probe`
  const added = works('ip', 'netns', 'add', name)
  return works('ip', 'netns', 'del', name) && added
}

const koffi = (): Promise<boolean> => import('koffi').then(() => true, () => false)

/**
 * Whether the tests of this file can run. If not, that is said in one line: the file is skipped, or fails where `CI` is
 * `true`, as nobody reads there what was skipped.
 */
export async function canRun (t: Test, programs: readonly string[] = []): Promise<boolean> {
  const missing = ['ip', 'ping', ...programs].filter((name) => !program(name)).map((name) => `the program ${name}`)
  if (!existsSync('/dev/net/tun')) missing.push('/dev/net/tun')
  if (!await koffi()) missing.push('the package koffi')
  if (process.getuid?.() !== 0) missing.push('root')
  else if (program('ip') && !namespaces()) missing.push('permission to make network namespaces')
  if (missing.length === 0) return true
  const reason = `missing: ${missing.join(', ')}`
  if (process.env.CI === 'true') t.fail(reason)
  else t.plan(0, reason)
  return false
}
