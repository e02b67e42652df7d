/** Which wireguard-go there are to compare with: those installed, named, or fetched as a Go module and built. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isInstalled } from './installed.ts'
import type { Run } from '../lib/run.ts'

const run = promisify(execFile)

export interface Binary {
  path: string
  name: string
}

const MODULE = 'golang.zx2c4.com/wireguard'
/** The newest that there is, and the newest that does with Go 1.20. */
const VERSIONS = ['latest', 'v0.0.0-20231211153847-12269c276173']

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/tunpipe-bench', import.meta.url))
const BINARY = join(CACHE, 'wireguard')
/** Names the version of the binary beside it. */
const VERSION_FILE = `${BINARY}.version`

/** The newest first. Those that there could be as well are left out with a reason. */
export async function wireguardBinaries (of: Run, fetch: boolean): Promise<Binary[]> {
  const found: Binary[] = []
  const named = process.env.WIREGUARD_GO_BIN
  if (named !== undefined) found.push({ path: named, name: 'wireguard-go of WIREGUARD_GO_BIN' })

  if (fetch) await build().catch((err: unknown) => { of.fail('newest wireguard-go', err) })
  if (existsSync(VERSION_FILE)) found.push({ path: BINARY, name: `wireguard-go of ${dateOf(readFileSync(VERSION_FILE, 'utf8'))}` })
  else if (!fetch) of.leaveOut('newest wireguard-go', 'not here; --fetch downloads and builds it, with go')

  if (isInstalled('wireguard-go')) found.push({ path: 'wireguard-go', name: await installedName() })
  else of.leaveOut('wireguard-go', 'not installed')
  return found
}

async function installedName (): Promise<string> {
  const { stdout } = await run('wireguard-go', ['--version'])
  return `wireguard-go ${/v([\d.]+)/.exec(stdout)?.[1] ?? 'as installed'}`
}

/** Of `v0.0.0-20260522210424-ecfc5a8d5446` the day: `2026-05-22`. */
const dateOf = (version: string): string => version.replace(/^.*-(\d{4})(\d\d)(\d\d)\d{6}-.*$/, '$1-$2-$3')

async function build (): Promise<void> {
  if (!isInstalled('go')) throw new Error('there is no go to build it with')
  mkdirSync(CACHE, { recursive: true })
  const env = { ...process.env, GOBIN: CACHE, GOFLAGS: '-mod=mod' }
  const failures: string[] = []
  for (const version of VERSIONS) {
    try {
      await run('go', ['install', `${MODULE}@${version}`], { env })
      const { stdout } = await run('go', ['version', '-m', BINARY])
      writeFileSync(VERSION_FILE, /^\s*mod\s+\S+\s+(\S+)/m.exec(stdout)?.[1] ?? version)
      return
    } catch (err) {
      failures.push(String((err as { stderr?: unknown }).stderr ?? err).trim())
    }
  }
  throw new Error(failures.join('; '))
}
