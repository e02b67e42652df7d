/** The executables, in a namespace, with `--json`: what they say is a list of lines that one waits for. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { executable, type ExecutableName } from '../programs/executables.ts'
import { homeEnv } from '../programs/homes.ts'
import { JsonLines, type Line } from '../programs/json-lines.ts'
import type { Namespace } from './namespaces.ts'

export const PASSWORD = 'correct-horse'
export const RANGE = '10.77.0.0/24'

/** The interface of a peer that was given no name. */
export const DEVICE = 'candy'

/** Milliseconds after which something that has not been said will not be said. */
const PATIENCE = 20_000

export interface ProgramInit {
  password?: string
  /** A file to take the place of /etc/hosts. */
  hosts?: string
  /** The same of /etc/resolv.conf. */
  resolvConf?: string
  protocol?: string
  /** Modules that are loaded before it, as URLs. */
  imports?: readonly string[]
}

export class Program {
  readonly child: ChildProcess
  readonly pid: number
  /** The exit code; null for one that was killed. */
  readonly ended: Promise<number | null>
  readonly #name: string
  readonly #out = new JsonLines()
  readonly #log = new JsonLines()

  constructor (namespace: Namespace, name: ExecutableName, args: readonly string[], { password = PASSWORD, hosts, resolvConf, protocol = 'candy', imports = [] }: ProgramInit = {}) {
    const node = [process.execPath, ...imports.flatMap((url) => ['--import', url]), executable(name), protocol, '--json', ...args]
    // `ip netns exec` has given it mounts of its own, so nobody else sees these files
    const over = (file: string | undefined, path: string, command: string[]): string[] => file === undefined ? command : ['sh', '-c', `mount --bind "$0" ${path} && exec "$@"`, file, ...command]
    const command = over(hosts, '/etc/hosts', over(resolvConf, '/etc/resolv.conf', node))
    this.#name = `${name} of ${namespace.name}`
    this.child = namespace.spawn(command[0], command.slice(1), { env: { ...process.env, ...homeEnv(), TUNPIPE_PASSWORD: password, TUNPIPE_TOKEN: password }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.pid = this.child.pid as number
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => { this.#out.push(text) })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.#log.push(text) })
    this.ended = once(this.child, 'close').then(([code]) => code)
  }

  /** Everything in the log so far. */
  get log (): readonly Line[] { return this.#log.all }

  /** Everything on stdout so far. */
  get events (): readonly Line[] { return this.#out.all }

  /** Waits for the next event of this name on stdout. */
  event (name: string): Promise<Line> { return this.#next(this.#out, 'event', name) }

  /** Waits for the next message of this text in the log. */
  logged (text: string): Promise<Line> { return this.#next(this.#log, 'msg', text) }

  signal (signal: NodeJS.Signals): void { this.child.kill(signal) }

  /** Sends a signal that ends it; gives the exit code. */
  async stop (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.signal(signal)
    return await this.ended
  }

  async #next (lines: JsonLines, key: string, value: string): Promise<Line> {
    try {
      return await lines.next(key, value, { of: this.#name, over: this.ended, patience: PATIENCE })
    } catch (err) {
      const others = lines === this.#out ? this.#log : this.#out
      throw new Error(`${(err as Error).message}\n${others.all.map((said) => JSON.stringify(said)).join('\n')}`)
    }
  }
}

/** Starts a relay and waits until it listens. */
export const startRelay = (namespace: Namespace, listen: string, ...args: string[]): Promise<Program> => startRelayWith({}, namespace, listen, ...args)

export async function startRelayWith (init: ProgramInit, namespace: Namespace, listen: string, ...args: string[]): Promise<Program> {
  const relay = new Program(namespace, 'relay', ['--listen', listen, '--dhcp', RANGE, ...args], init)
  await relay.event('ready')
  return relay
}

export interface PeerInit {
  url: string
  stateDir: string
  args?: readonly string[]
  password?: string
  /** Files to take the place of /etc/hosts and /etc/resolv.conf. */
  hosts?: string
  resolvConf?: string
}

/** Without direct paths unless `args` say so: most tests are about what goes through the relay. */
export const startPeer = (namespace: Namespace, { url, stateDir, args = [], ...init }: PeerInit): Program =>
  new Program(namespace, 'peer', ['--url', url, '--state-dir', stateDir, '--direct', 'off', ...args], init)

/** Waits until a peer is in the network; gives its address, without the prefix. */
export async function joined (peer: Program): Promise<string> {
  const { address } = await peer.event('online')
  return String(address).split('/')[0]
}
