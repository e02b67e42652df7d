/** A rendezvous server and a relay in a namespace, each of them ours or the original one, on the ports that clients expect. */
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Namespace } from '../network/namespaces.ts'
import { Program } from '../network/programs.ts'
import { newHome } from '../programs/homes.ts'

export const { HBBS_BIN, HBBR_BIN } = process.env

export interface ServersInit {
  /** Where both listen. */
  address: string
  /** Of keys, database and lists; default: a new one. */
  folder?: string
  isAlwaysRelayed?: boolean
  /** What clients have to know for both, else the defaults of the programs. */
  key?: string
}

export interface Servers {
  folder: string
  /** The public key that clients have. */
  key: string
  /** Kills both. */
  stop (): Promise<void>
}

export type StartServers = (host: Namespace, init: ServersInit) => Promise<Servers>

interface Running { stop (): Promise<unknown> }

async function startOurs (host: Namespace, { address, folder, isAlwaysRelayed = false, key }: ServersInit & { folder: string }, ...args: string[]): Promise<Running> {
  const program = new Program(host, 'relay', ['--bind', address, '--data', folder, ...isAlwaysRelayed ? ['--always-use-relay'] : [], ...key === undefined ? [] : ['--key', key], ...args], { protocol: 'rustdesk' })
  await program.event('ready')
  return { stop: () => program.stop('SIGKILL') }
}

async function startOriginal (host: Namespace, path: string, { address, folder, isAlwaysRelayed = false, key }: ServersInit & { folder: string }): Promise<Running> {
  const env = { PATH: process.env.PATH, HOME: newHome(), TEST_HBBS: 'no', RUST_LOG: 'info', ...isAlwaysRelayed && { ALWAYS_USE_RELAY: 'Y' } }
  const child = host.spawn(path, ['-b', address, ...key === undefined ? [] : ['-k', key]], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  await new Promise<void>((resolve, reject) => {
    let said = ''
    const hear = (text: string): void => {
      said += text
      if (/Start\b/.test(said)) resolve()
    }
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', hear)
    void ended.then(() => { reject(new Error(`${path} has ended: ${said}`)) })
  })
  return {
    stop: () => {
      child.kill('SIGKILL')
      return ended
    }
  }
}

const pair = (...programs: Array<(host: Namespace, init: ServersInit & { folder: string }) => Promise<Running>>): StartServers => async (host, init) => {
  const folder = init.folder ?? newHome()
  const running: Running[] = []
  for (const start of programs) running.push(await start(host, { ...init, folder }))
  return {
    folder,
    key: (await readFile(join(folder, 'id_ed25519.pub'), 'utf8')).trim(),
    stop: async () => { await Promise.all(running.map((program) => program.stop())) }
  }
}

export const ours = pair((host, init) => startOurs(host, init))

export const originals = pair((host, init) => startOriginal(host, String(HBBS_BIN), init), (host, init) => startOriginal(host, String(HBBR_BIN), init))

export const ourRendezvous = pair((host, init) => startOurs(host, init, '--relay-port', '0'), (host, init) => startOriginal(host, String(HBBR_BIN), init))

export const ourRelay = pair((host, init) => startOriginal(host, String(HBBS_BIN), init), (host, init) => startOurs(host, init, '--port', '0'))
