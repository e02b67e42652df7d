/** Two peers in a simulated network, a service behind one of them, and users of the other. */
import { createHash } from 'node:crypto'
import { identity } from './keys.ts'
import { World, type PeerOptions, type WorldInit, type WorldPeer } from './world.ts'
import { random } from '../bytes.ts'
import { idText } from '../../../src/nodes/showchain/protocol/public-key.ts'
import { acceptEach } from '../../../src/transports/acceptor.ts'
import type { NatInit } from '../../../src/transports/memory/index.ts'
import type { Batch, Link } from '../../../src/types.ts'

export const SERVICE = { host: '127.0.0.1', port: 22 }
export const USERS = { host: '127.0.0.1', port: 2222 }
const PIECE = 16 << 10

export async function * bytesOf (size: number, seed: number): AsyncGenerator<Batch> {
  const below = random(seed)
  for (let at = 0; at < size; at += PIECE) yield [Buffer.from(Array.from({ length: Math.min(PIECE, size - at) }, () => below(256)))]
}

export async function digest (source: AsyncIterable<Batch>, onBytes: (bytes: number) => void = () => {}): Promise<string> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const batch of source) {
    for (const piece of batch) {
      hash.update(piece)
      bytes += piece.length
    }
    onBytes(bytes)
  }
  return `${bytes} ${hash.digest('hex')}`
}

export interface Scene extends WorldInit {
  nats: [Partial<NatInit> | undefined, Partial<NatInit> | undefined]
  serve?: PeerOptions
  connect?: PeerOptions
}

export interface Stage {
  world: World
  server: WorldPeer
  client: WorldPeer
  /** Connections that have come to the service. */
  services: Link[]
}

const withNat = (nat: Partial<NatInit> | undefined): PeerOptions => nat === undefined ? {} : { nat }

/** A peer with key b serves port 22 of its host, one with key a connects to it. */
export async function stage ({ nats: [near, far], serve, connect, ...init }: Scene): Promise<Stage> {
  const world = new World(init)
  await world.relay('rsa2056', { bootstrap: ['192.0.2.2:7700'] })
  await world.relay('h', { bootstrap: ['192.0.2.1:7700'] })
  await world.clock.pass(5000)
  const server = await world.peer('b', { to: SERVICE, allow: [identity('a').id], ...withNat(far), ...serve })
  const services: Link[] = []
  acceptEach(server.host.transport().listen(SERVICE), (link) => { services.push(link) }, () => {}).catch(() => {})
  await world.clock.pass(15_000)
  const client = await world.peer('a', { connect: [{ id: idText(server.id), listen: USERS }], ...withNat(near), ...connect })
  return { world, server, client, services }
}

export const online = async ({ world, client }: Stage, within = 120_000): Promise<void> => { await world.clock.until(() => client.peer.isOnline, { within }) }

export const pathOf = ({ client }: Stage): string | undefined => client.peer.status().remotes[0].paths.find(({ isChosen }) => isChosen)?.kind

/** A user of the client, and its connection at the service. */
export async function user ({ world, client, services }: Stage): Promise<[Link, Link]> {
  const count = services.length
  const link = await world.clock.until(client.host.transport().dial(USERS), { within: 30_000 })
  await world.clock.until(() => services.length > count, { within: 60_000 })
  return [link, services[count]]
}

/** Sends in both directions at once, and compares. */
export async function exchange (t: { equal (found: unknown, wanted: unknown, message: string): unknown }, { world }: Stage, [here, there]: [Link, Link], size: number, { within = 600_000, onBytes }: { within?: number, onBytes?: (bytes: number) => void } = {}): Promise<void> {
  const all = Promise.all([
    digest(here.source, onBytes), digest(there.source), digest(bytesOf(size, 1)), digest(bytesOf(size, 2)), here.sink(bytesOf(size, 2)), there.sink(bytesOf(size, 1))
  ])
  const [got, gotThere, sent, sentHere] = await world.clock.until(all, { within })
  t.equal(got, sent, 'to the user')
  t.equal(gotThere, sentHere, 'to the service')
}

export const T = { 1: { kind: 'full-cone' }, 2: { kind: 'restricted-cone' }, 3: { kind: 'port-restricted-cone' }, 4: { kind: 'symmetric' } } as const
export const NUMBERS = [1, 2, 3, 4] as const
export const TABLE = [['direct', 'nat', 'nat', 'nat'], ['direct', 'nat', 'nat', 'nat'], ['direct', 'nat', 'nat', 'proxy'], ['direct', 'nat', 'proxy', 'proxy']]
