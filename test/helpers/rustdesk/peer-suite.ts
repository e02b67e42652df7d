/** `peer rustdesk` behind NATs of all kinds, with servers of either kind: the path that comes about, what goes over it, and a server that restarts meanwhile. */
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { NatLab, RELAY_HOST, type RouterKind } from '../network/nat-lab.ts'
import type { Namespace } from '../network/namespaces.ts'
import { Program } from '../network/programs.ts'
import type { StreamCommands } from '../network/stream-agent.ts'
import { Agent, eventually } from '../network/traffic.ts'
import type { Servers, StartServers } from './server-pairs.ts'
import { intact } from '../network/echoed.ts'

const AGENT = fileURLToPath(new URL('../network/stream-agent.ts', import.meta.url))
const BYTES = 2_000_000
const CONTROLLED = '123456789'
const CONTROLLING = '987654321'

/** Servers in the internet, and peers of ours. */
class PeerLab {
  readonly nat: NatLab
  readonly #start: StartServers
  #servers: Servers | undefined

  private constructor (nat: NatLab, start: StartServers) {
    this.nat = nat
    this.#start = start
  }

  static async open (t: Test, start: StartServers): Promise<PeerLab> {
    const lab = new PeerLab(await NatLab.open(t), start)
    t.teardown(() => lab.stop())
    await lab.serve()
    return lab
  }

  /** Again, with the same folder. */
  async serve (): Promise<void> {
    const folder = this.#servers?.folder
    this.#servers = await this.#start(this.nat.internet, { address: RELAY_HOST, ...folder !== undefined && { folder } })
  }

  async stop (): Promise<void> { await this.#servers?.stop() }

  peer (host: Namespace, ...args: string[]): Program {
    return new Program(host, 'peer', [...args, '--server', RELAY_HOST, '--key', this.#servers?.key ?? ''], { protocol: 'rustdesk' })
  }
}

interface Pair {
  lab: PeerLab
  b: Program
  a: Program
  hostOfA: Namespace
  agent: Agent<StreamCommands>
  port: number
}

/** B serves an echo, A connects to it, each behind a NAT of this kind, or both behind one. */
async function pair (t: Test, start: StartServers, kinds: [b: RouterKind, a: RouterKind], isTogether = false): Promise<Pair> {
  const lab = await PeerLab.open(t, start)
  const home = await lab.nat.home('b', { kind: kinds[0] })
  const hostOfB = await home.host('b-host')
  const hostOfA = isTogether ? await home.host('a-host', 3) : await (await lab.nat.home('a', { kind: kinds[1] })).host('a-host')
  const service = new Agent<StreamCommands>(hostOfB, AGENT)
  const b = lab.peer(hostOfB, 'serve', '--id', CONTROLLED, '--to', String(await service.call('serveEcho')), '--allow', CONTROLLING)
  await b.event('ready')
  const a = lab.peer(hostOfA, 'connect', CONTROLLED, '--id', CONTROLLING, '--listen', '0')
  const port = Number(new URL(String((await a.event('ready')).url)).port)
  return { lab, b, a, hostOfA, agent: new Agent<StreamCommands>(hostOfA, AGENT), port }
}

const cases: Array<[what: string, kinds: [b: RouterKind, a: RouterKind], path: string, isTogether?: boolean]> = [
  ['both public', ['none', 'none'], 'direct'],
  ['behind one NAT', ['port-restricted', 'port-restricted'], 'local', true],
  ['two NATs', ['port-restricted', 'port-restricted'], 'direct'],
  ['a symmetric NAT here', ['port-restricted', 'symmetric'], 'relay'],
  ['a symmetric NAT there', ['symmetric', 'port-restricted'], 'relay']
]

/** All of them, some at one time, as most of it is waiting. @param bytes that go over each path and come back */
export async function testPeers (t: Test, start: StartServers, bytes = BYTES): Promise<void> {
  t.jobs = 3
  const run = (name: string, test: (t: Test) => Promise<void>): Promise<unknown> => t.test(name, { timeout: 100_000, buffered: true }, test)
  const restarted = run('a server that is restarted in the middle: the session stays, and there are others later', async (t) => {
    const { lab, a, hostOfA, agent, port } = await pair(t, start, ['port-restricted', 'port-restricted'])
    await a.event('online')
    const stream = await agent.call('start', port, { bytes: 0, pace: 5 })
    const heard = async (bytes: number): Promise<boolean> => await eventually(async () => await agent.call('heard', stream) >= bytes, 60_000)
    t.ok(await heard(100_000))
    await lab.stop()
    const before = await agent.call('heard', stream)
    t.ok(await heard(before + 100_000), 'without a server')
    await lab.serve()
    t.ok(await heard(before + 200_000))
    intact(t, await agent.call('finish', stream), before, 'over the restart')
    const stranger = lab.peer(hostOfA, 'connect', CONTROLLED, '--id', 'stranger-1', '--listen', '0', '--wait')
    t.equal(await stranger.ended, 6, 'it is asked for paths again, and refuses')
  })
  await Promise.all([restarted, ...cases.map(([what, kinds, expected, isTogether]) => run(`${what}: ${expected}`, async (t) => {
    const { a, b, agent, port } = await pair(t, start, kinds, isTogether)
    const { path, why } = await a.event('path')
    t.equal(path, expected, String(why))
    t.match(await b.event('served'), { peer: CONTROLLING, path: expected, state: 'connected' })
    intact(t, await agent.call('result', await agent.call('start', port, { bytes, pace: 0 })), bytes, expected)
  }))])
}
