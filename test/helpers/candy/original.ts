/** The real programs, for whoever has them: `CANDY_BIN` names candy, `CACAO_BIN` cacao. Each has a folder of its own for what it keeps. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Namespace } from '../network/namespaces.ts'
import { Agent, eventually } from '../network/traffic.ts'
import { newHome } from '../programs/homes.ts'
import { startCommand, type Program } from '../programs/program.ts'

export const { CANDY_BIN, CACAO_BIN } = process.env

/** Its arguments, by the names of its options. */
export type OriginalOptions = Record<string, string | number | true>

/** In mounts that nobody else sees, as several would share one folder, and leave it behind. */
const ALONE = 'mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/candy && mount --bind "$0" /var/lib/candy && exec "$@"'

/** The command for a namespace that has mounts of its own. */
export function originalCommand (program: string, options: OriginalOptions, folder: string): [command: string, args: string[]] {
  const args = Object.entries(options).map(([name, value]) => value === true ? [`--${name}`] : [`--${name}`, String(value)])
  mkdirSync(folder, { recursive: true })
  return ['sh', ['-c', ALONE, folder, program, ...args.flat()]]
}

/** Starts candy; what it says is on stdout. */
export function startCandy (t: Test, host: Namespace, options: OriginalOptions): Program {
  const [command, args] = originalCommand(String(CANDY_BIN), { debug: true, ...options }, join(newHome(), 'lib'))
  return startCommand(t, 'ip', ['netns', 'exec', host.name, command, ...args])
}

/** Starts a candy server, and waits until it listens. */
export async function startCandyServer (t: Test, host: Namespace, { url, password, dhcp }: { url: string, password: string, dhcp: string }): Promise<Program> {
  const server = startCandy(t, host, { mode: 'server', websocket: url, password, dhcp })
  await listens(host, new URL(url).port)
  return server
}

async function listens (host: Namespace, port: string): Promise<void> {
  if (!await eventually(async () => (await host.run('ss', '-Hltn', `sport = :${port}`)) !== '')) throw new Error(`nobody listens on port ${port} of ${host.name}`)
}

export interface CacaoInit {
  /** Where it listens, and is asked to make the network. */
  address: string
  port: number
  password: string
  dhcp: string
}

/** An account of cacao, and its network. */
const ACCOUNT = { username: 'alice', password: 'alice-alice' }
const NETWORK = 'home'

/** Starts cacao with an account and a network in it; gives the URL of that. */
export async function startCacao (t: Test, host: Namespace, { address, port, password, dhcp }: CacaoInit): Promise<string> {
  const folder = newHome()
  startCommand(t, 'ip', ['netns', 'exec', host.name, String(CACAO_BIN), `--listen=:${port}`, `--storage=${folder}`])
  await listens(host, String(port))
  const agent = new Agent(host)
  const post = (path: string, body: object, cookie?: string): Promise<{ answer: any, cookie: string }> => agent.call('post', `http://${address}:${port}/api/${path}`, body, cookie)
  const { cookie: admin } = await post('user/register', { username: 'admin', password: 'admin-admin' })
  await post('admin/addUser', ACCOUNT, admin)
  const { cookie } = await post('user/login', ACCOUNT)
  const { answer } = await post('net/insert', { netname: NETWORK, password, dhcp, broadcast: true }, cookie)
  if (answer.status !== 0) throw new Error(`cacao makes no network: ${JSON.stringify(answer)}`)
  return `ws://${address}:${port}/${ACCOUNT.username}/${NETWORK}`
}
