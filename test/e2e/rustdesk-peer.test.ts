/** `peer rustdesk` behind NATs of all kinds: the path that comes about, what goes over it, and a server that restarts meanwhile. */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { NatLab, RELAY_HOST, type RouterKind } from '../helpers/network/nat-lab.ts'
import type { Namespace } from '../helpers/network/namespaces.ts'
import { Program } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import type { StreamCommands } from '../helpers/network/stream-agent.ts'
import { Agent, eventually } from '../helpers/network/traffic.ts'
import { newHome } from '../helpers/programs/homes.ts'
import { intact } from '../helpers/network/echoed.ts'

const AGENT = fileURLToPath(new URL('../helpers/network/stream-agent.ts', import.meta.url))
const BYTES = 2_000_000
const CONTROLLED = '123456789'
const CONTROLLING = '987654321'

class PeerLab {
  readonly nat: NatLab
  readonly #data = newHome()
  #server!: Program
  #key = ''

  private constructor (nat: NatLab) { this.nat = nat }

  static async open (t: Test): Promise<PeerLab> {
    const lab = new PeerLab(await NatLab.open(t))
    await lab.serve()
    return lab
  }

  async serve (): Promise<void> {
    this.#server = new Program(this.nat.internet, 'relay', ['--bind', RELAY_HOST, '--data', this.#data], { protocol: 'rustdesk' })
    this.#key = String((await this.#server.event('key')).key)
    for (let listeners = 0; listeners < 6; listeners++) await this.#server.event('ready')
  }

  async stop (): Promise<void> { await this.#server.stop() }

  peer (host: Namespace, ...args: string[]): Program {
    return new Program(host, 'peer', [...args, '--server', RELAY_HOST, '--key', this.#key], { protocol: 'rustdesk' })
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
async function pair (t: Test, kinds: [b: RouterKind, a: RouterKind], isTogether = false): Promise<Pair> {
  const lab = await PeerLab.open(t)
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

if (await canRun(t, ['nft'])) {
  t.setTimeout(400_000)
  for (const [what, kinds, expected, isTogether] of cases) {
    await t.test(`${what}: ${expected}`, { timeout: 100_000 }, async (t) => {
      const { a, b, agent, port } = await pair(t, kinds, isTogether)
      const { path, why } = await a.event('path')
      t.equal(path, expected, String(why))
      t.match(await b.event('served'), { peer: CONTROLLING, path: expected, state: 'connected' })
      intact(t, await agent.call('result', await agent.call('start', port, { bytes: BYTES, pace: 0 })), BYTES, expected)
    })
  }

  await t.test('a server that is restarted in the middle: the session stays, and there are others later', { timeout: 100_000 }, async (t) => {
    const { lab, a, hostOfA, agent, port } = await pair(t, ['port-restricted', 'port-restricted'])
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
}
