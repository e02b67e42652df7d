/** The programs of SHOW CHAIN in network namespaces: two relays in an internet, and peers in homes behind routers. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { sendRequest } from '../../../src/cli/control/client.ts'
import { idText } from '../../../src/nodes/showchain/protocol/public-key.ts'
import { NatLab, RELAY_HOST, SECOND_HOST, type HomeInit } from '../network/nat-lab.ts'
import type { Namespace } from '../network/namespaces.ts'
import { Program } from '../network/programs.ts'
import { Agent, eventually } from '../network/traffic.ts'
import { intact } from '../network/echoed.ts'
import type { StreamCommands } from '../network/stream-agent.ts'
import { executable, type ExecutableName } from '../programs/executables.ts'
import { newHome } from '../programs/homes.ts'
import { identity, type KeyName } from './keys.ts'

const AGENT = fileURLToPath(new URL('../network/stream-agent.ts', import.meta.url))

/** Of all relays. */
export const RELAY_PORT = 7700

export const RELAY_HOSTS = [RELAY_HOST, SECOND_HOST] as const
const RELAY_KEYS = ['rsa2056', 'rsa3072'] as const

/** The ports of peers that full and restricted cones forward, by the last parts of their addresses. */
export const PEER_PORT = 4000
export const OTHER_PORT = 4001

/** Milliseconds until a path has come about that is not the first one: searches are half a minute apart. */
export const PATH_PATIENCE = 90_000

const FORWARDED = { [PEER_PORT]: 2, [OTHER_PORT]: 2 }

/** Routers by the kind of their NAT (SHOW CHAIN protocol, section 4). */
export const NATS = {
  T1: { kind: 'port-restricted', forwarded: FORWARDED },
  T2: { kind: 'restricted', forwarded: FORWARDED },
  T3: { kind: 'port-restricted' },
  T4: { kind: 'symmetric' }
} as const satisfies Record<string, HomeInit>

export type Nat = keyof typeof NATS

export const KINDS = Object.keys(NATS) as Nat[]

/** The path from R, by row, to T, by column (SHOW CHAIN protocol, section 5.3). */
export const PATHS: Record<Nat, Record<Nat, string>> = {
  T1: { T1: 'direct', T2: 'nat', T3: 'nat', T4: 'nat' },
  T2: { T1: 'direct', T2: 'nat', T3: 'nat', T4: 'nat' },
  T3: { T1: 'direct', T2: 'nat', T3: 'nat', T4: 'proxy' },
  T4: { T1: 'direct', T2: 'nat', T3: 'proxy', T4: 'proxy' }
}

type Key = Parameters<typeof identity>[0]

/** A program that runs, as its control socket tells. */
export class Running {
  readonly program: Program
  readonly id: string
  readonly host: Namespace
  readonly #control: string
  readonly #name: ExecutableName

  constructor (host: Namespace, name: ExecutableName, key: Key, args: readonly string[]) {
    const home = newHome()
    const file = join(home, 'key.pem')
    writeFileSync(file, identity(key).pem, { mode: 0o600 })
    this.#name = name
    this.#control = join(home, 'control')
    this.host = host
    this.id = idText(identity(key).id)
    this.program = new Program(host, name, [...args, '--identity', file, '--control', this.#control], { protocol: 'showchain' })
  }

  async status (): Promise<any> {
    const answer: any = await sendRequest({ path: this.#control, program: this.#name }, { command: 'status' })
    return answer.services[0]
  }

  async reload (): Promise<void> { await sendRequest({ path: this.#control, program: this.#name }, { command: 'reload' }) }

  /** The kind of the path by which packets to a node go; `none` before there is one. */
  path (node: string): string {
    return String(this.program.events.findLast(({ event, node: of }) => event === 'path' && of === node)?.path ?? 'none')
  }

  /** Waits until packets to a node go by a path of this kind. */
  async reaches (t: Test, { id }: { id: string }, path: string, what = path): Promise<boolean> {
    const isSo = await eventually(() => this.path(id) === path, PATH_PATIENCE)
    t.ok(isSo, what)
    if (!isSo) t.comment(`path ${this.path(id)}\n${this.program.log.map((line) => JSON.stringify(line)).join('\n')}\n${JSON.stringify(await this.explain(id))}`)
    return isSo
  }

  /** What was tried. */
  async explain (id: string): Promise<string[]> {
    const { explanation }: any = await sendRequest({ path: this.#control, program: this.#name }, { command: 'explain', member: id })
    return explanation.history.map(({ text }: any) => text)
  }

  /** Waits until the kind of the NAT is found. */
  async kind (): Promise<string> { return String((await this.program.event('kind')).kind) }
}

/** A peer that serves, with what it serves: bytes come back. */
export interface Served extends Running {
  agent: Agent<StreamCommands>
}

export class ProgramLab {
  readonly nat: NatLab
  readonly relays: Running[] = []
  #keys = 0

  private constructor (nat: NatLab) { this.nat = nat }

  /** With two relays that know each other. */
  static async open (t: Test, ...args: string[]): Promise<ProgramLab> {
    const lab = new ProgramLab(await NatLab.open(t))
    for (const [i, host] of RELAY_HOSTS.entries()) {
      lab.relays.push(new Running(lab.nat.internet, 'relay', RELAY_KEYS[i], ['--listen', `udp://${host}:${RELAY_PORT}`, '--bootstrap', `${RELAY_HOSTS[1 - i]}:${RELAY_PORT}`, ...args]))
    }
    await Promise.all(lab.relays.map(({ program }) => program.event('ready')))
    return lab
  }

  agent (host: Namespace): Agent<StreamCommands> { return new Agent<StreamCommands>(host, AGENT) }

  /** A peer on port 4000 that gives an echo to whom it may concern. */
  async serve (host: Namespace, allow: readonly string[], args: readonly string[] = ['--port', String(PEER_PORT)]): Promise<Served> {
    const agent = this.agent(host)
    const port = await agent.call('serveEcho')
    const running = new Running(host, 'peer', this.#key(), ['serve', '--to', `127.0.0.1:${port}`, ...allow.flatMap((who) => ['--allow', who]), ...bootstrap, ...args])
    await running.program.event('ready')
    return Object.assign(running, { agent })
  }

  /** A peer on port 4000 that connects to others, each at a port of its own. */
  async connect (host: Namespace, targets: readonly Running[], args: readonly string[] = ['--port', String(PEER_PORT)]): Promise<Connected> {
    const agent = this.agent(host)
    const running = new Connected(host, this.#key(), agent, targets, args)
    await running.listening()
    return running
  }

  /** Of the next peer. */
  #key (): KeyName { return PEER_KEYS[this.#keys++] }

  /** The id of the next peer but so many. */
  idAfter (peers: number): string { return idText(identity(PEER_KEYS[this.#keys + peers]).id) }

  /** `peer showchain nat` on a port that no other program has had. */
  async inspect (host: Namespace, port = OTHER_PORT): Promise<any> {
    return JSON.parse(await host.run(process.execPath, executable('peer'), 'showchain', 'nat', ...bootstrap, '--port', String(port), '--json'))
  }
}

const PEER_KEYS: readonly KeyName[] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

const bootstrap = RELAY_HOSTS.flatMap((host) => ['--bootstrap', `${host}:${RELAY_PORT}`])

/** One target is named as an argument, several in a file. */
function connectArgs (targets: readonly Running[]): string[] {
  if (targets.length === 1) return ['connect', targets[0].id, '--listen', '127.0.0.1:0']
  const file = join(newHome(), 'peer.yaml')
  writeFileSync(file, JSON.stringify({ showchain: { connect: targets.map(({ id }) => ({ id, listen: '127.0.0.1:0' })) } }))
  return ['--config', file]
}

export class Connected extends Running {
  readonly agent: Agent<StreamCommands>
  readonly #targets: readonly Running[]
  readonly #ports = new Map<string, number>()

  constructor (host: Namespace, key: KeyName, agent: Agent<StreamCommands>, targets: readonly Running[], args: readonly string[]) {
    super(host, 'peer', key, [...connectArgs(targets), ...bootstrap, ...args])
    this.agent = agent
    this.#targets = targets
  }

  async listening (): Promise<void> {
    for (const { id } of this.#targets) this.#ports.set(id, Number(new URL(String((await this.program.event('ready')).url)).port))
  }

  /** Opens a stream to what a node serves; returns its number. */
  start ({ id }: { id: string }, { bytes = 0, pace = 0 }: { bytes?: number, pace?: number } = {}): Promise<number> {
    return this.agent.call('start', this.#ports.get(id) as number, { bytes, pace })
  }

  /** Waits until so many bytes more have come back. */
  async hears (stream: number, bytes: number, patience = PATH_PATIENCE): Promise<boolean> {
    const before = await this.agent.call('heard', stream)
    return await eventually(async () => await this.agent.call('heard', stream) >= before + bytes, patience)
  }

  /** Sends so many bytes, which come back as they were. */
  async echoes (t: Test, target: { id: string }, bytes: number, what = 'intact both ways'): Promise<void> {
    intact(t, await this.agent.call('result', await this.start(target, { bytes })), bytes, what)
  }
}
