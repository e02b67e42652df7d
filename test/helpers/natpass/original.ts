/** The real natpass programs, for whoever has them: each in a folder and with a configuration of its own, as they read no other. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { SECRET } from './client.ts'
import { isRefused } from '../gotunnel/wire.ts'
import { eventually } from '../network/traffic.ts'
import { newHome } from '../programs/homes.ts'
import { startCommand, type Program } from '../programs/program.ts'

export const { NATPASS_SERVER_BIN, NATPASS_CLIENT_BIN } = process.env

/** How long its pages wait for the other end. Its own default, 1 s, is less than a program of a busy machine needs to start. */
const READ_TIMEOUT = '5s'

/** An entry of `rules` (natpass protocol, section 5). */
export interface OriginalRule {
  name: string
  target: string
  type: 'shell' | 'bench' | 'vnc' | 'code-server'
  local_port: number
  local_addr?: string
  exec?: string
  env?: string[]
  fps?: number
}

export interface OriginalClientInit {
  /** Port of the server, or `host:port`. */
  server: number | string
  id: string
  rules?: OriginalRule[]
  secret?: string
  /**
   * How long it waits for room for a message, which it drops then; a link that is not read for as long is deaf from then on. Its own default,
   * 1 s, is too short for tests that count what arrives: a machine that is busy may stop any process for longer. Default: 30 s.
   */
  writeTimeout?: string
  /** The namespace that it runs in. Default: that of the test. */
  namespace?: string
  /** Where code-server keeps what it has. */
  codedir?: string
  /** Variables beside HOME. */
  env?: Readonly<Record<string, string>>
}

function start (t: Test, program: string, settings: object, { namespace, env }: Pick<OriginalClientInit, 'namespace' | 'env'> = {}): Program {
  const home = newHome()
  const file = join(home, 'conf.yaml')
  writeFileSync(file, JSON.stringify({ ...settings, log: { dir: join(home, 'logs') } })) // JSON is YAML
  const command = [...namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace], program, '--conf', file]
  return startCommand(t, command[0], command.slice(1), { cwd: home, env: { HOME: home, ...env } })
}

/** Starts `np-svr`, which listens on all addresses, and waits until it does. */
export async function startOriginalServer (t: Test, port: number): Promise<Program> {
  const server = start(t, String(NATPASS_SERVER_BIN), { listen: port, secret: SECRET })
  if (!await eventually(async () => !await isRefused(port))) throw new Error(`np-svr does not listen: ${server.stdout}`)
  return server
}

/** Starts `np-cli` without its dashboard, and waits until it believes to be connected: the server does not say so. */
export async function startOriginalClient (t: Test, { server, id, rules = [], secret = SECRET, writeTimeout = '30s', namespace, codedir, env }: OriginalClientInit): Promise<Program> {
  const client = start(t, String(NATPASS_CLIENT_BIN), {
    id,
    secret,
    link: { read_timeout: READ_TIMEOUT, write_timeout: writeTimeout },
    server: typeof server === 'number' ? `127.0.0.1:${server}` : server,
    dashboard: { enabled: false },
    codedir,
    rules: rules.map((rule) => ({ local_addr: '127.0.0.1', ...rule }))
  }, { namespace, env })
  await client.find(/ connected/)
  return client
}

export async function kill (program: Program): Promise<void> {
  program.signal('SIGKILL')
  await program.ended
}
