import { ShowchainPeer } from '../../nodes/showchain/peer/peer.ts'
import { kindName } from '../../nodes/showchain/peer/chances.ts'
import { idText } from '../../nodes/showchain/protocol/public-key.ts'
import { OptionError } from '../../errors.ts'
import { endpointText } from '../../net/endpoint.ts'
import { quoted } from '../../text/phrases.ts'
import { reasonOf } from '../../text/printable.ts'
import { keyOf } from '../config/keys.ts'
import { streamCapture } from '../control/capture-stream.ts'
import type { ServiceMetrics } from '../process/stats-metrics.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import { CAPTURE_INTERFACES, PROTOCOL } from './capture-interface.ts'
import { peerOptions } from './options.ts'
import { RecordedSockets } from './recorded-sockets.ts'
import type { ShowchainPeerSettings } from './settings.ts'

/** What stays as it was at the start. */
const LASTING = ['identity', 'bootstrap', 'connect', 'port', 'direct', 'pageSignatures', 'name'] as const

/** Starts a node. @throws an error of the system when it cannot listen */
export async function startShowchainPeer ({ settings, log, out }: StartContext<ShowchainPeerSettings>): Promise<Service<ShowchainPeerSettings>> {
  const sockets = new RecordedSockets()
  const host = settings.bootstrap.some(({ host }) => host.includes(':')) ? '::' : '0.0.0.0'
  const peer = new ShowchainPeer({ ...settings, host, bind: sockets.bind, log })
  peer.once('registered', () => { if (settings.to !== undefined) out.ready(PROTOCOL, peer.status().url ?? '') })
  peer.on('registered', () => { out.event('registered', { protocol: PROTOCOL }) })
  peer.on('unregistered', (reason) => { out.event('unregistered', { protocol: PROTOCOL, reason }) })
  peer.on('kind', (kind) => { out.event('kind', { protocol: PROTOCOL, kind: kindName(kind) }) })
  peer.on('path', (node, path) => { out.event('path', { protocol: PROTOCOL, node, path: path?.kind ?? 'none', endpoint: path?.endpoint }) })
  peer.on('online', (node) => { out.event('online', { protocol: PROTOCOL, node }) })
  peer.on('offline', (node, err) => { out.event('offline', { protocol: PROTOCOL, node, reason: reasonOf(err) }) })
  peer.on('served', (node, isOpen) => { out.event('served', { protocol: PROTOCOL, node, state: isOpen ? 'connected' : 'gone' }) })
  const failed = new Promise<never>((_resolve, reject) => { peer.once('failed', reject) })
  failed.catch(() => {}) // while it starts
  await peer.start().catch(async (err) => {
    await peer.close()
    throw explained(err, `cannot listen${placeOf(err)}`)
  })
  for (const { url } of peer.status().remotes) if (url !== undefined) out.ready(PROTOCOL, url)
  return {
    failed,
    status: () => peer.status(),
    online: () => peer.isOnline,
    explain (id) {
      const explanation = peer.explain(id)
      if (explanation === undefined) throw new OptionError(`not an id (${quoted(id)}), expected 64 hexadecimal digits`)
      return explanation
    },
    async capture (request, socket) {
      return streamCapture(CAPTURE_INTERFACES, request, socket, (recorder) => sockets.attach(recorder))
    },
    async reload (next) {
      const open = (): number => peer.status().served.filter(({ isOpen }) => isOpen).length
      const before = open()
      peer.configure({ to: next.to, allow: next.allow, maxNodesPerSource: next.maxNodesPerSource })
      const restart = LASTING.filter((key) => textOf(next[key]) !== textOf(settings[key])).map((key) => keyOf(key, peerOptions[key]))
      return { ended: before - open(), restart }
    },
    register (metrics) { register(metrics, peer) },
    stop: () => peer.close()
  }
}

/** Of an error of the system: ` on tcp://127.0.0.1:2222`, as one process has the ports of several nodes and one of UDP. */
const placeOf = ({ syscall, address, port }: NodeJS.ErrnoException & { address?: string, port?: number }): string =>
  address === undefined || port === undefined ? '' : ` on ${syscall === 'listen' ? 'tcp' : 'udp'}://${endpointText({ host: address, port })}`

/** For comparison: keys and ids as text. */
const textOf = (value: unknown): string => JSON.stringify(value, (_key, inner) => inner instanceof Uint8Array ? idText(inner) : isIdentity(inner) ? idText(inner.id) : inner) ?? ''

const isIdentity = (value: unknown): value is { id: Uint8Array } => typeof value === 'object' && value !== null && 'privateKey' in value && 'id' in value

function register (metrics: ServiceMetrics, peer: ShowchainPeer): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    const made = metrics.gauge({ name: `tunpipe_showchain_${name}`, help, collect () { made.set(read()) } })
  }
  gauge('online', 'Now: 1 when a relay has registered the peer, and each node that it connects to is there', () => peer.isOnline ? 1 : 0)
  gauge('relays', 'Now: relays that have registered the peer', () => peer.status().helpers.filter(({ state }) => state === 'registered' || state === 'checking').length)
  gauge('nat_kind', 'Now: the kind of the NAT, 1 to 4; 0: unknown', () => peer.status().kind ?? 0)
  gauge('served_nodes', 'Now: nodes that are connected to this one', () => peer.status().served.filter(({ isOpen }) => isOpen).length)
  metrics.stats('tunpipe_showchain', () => [{ labels: {}, stats: { drops: peer.status().messages.drops } }], [])
  if (peer.status().remotes.length === 0) return
  metrics.stats('tunpipe_showchain_node', () => peer.status().remotes.map(({ id, users, accepted, failures }) => ({ labels: { node: id }, stats: { users, accepted, failures } })), ['users'])
  const path = metrics.gauge({
    name: 'tunpipe_showchain_path',
    help: 'Now: 1 for the path by which packets to the node go: direct, nat, proxy or none',
    labelNames: ['node', 'path'],
    collect () {
      path.reset()
      for (const { id, paths } of peer.status().remotes) path.set({ node: id, path: paths.find(({ isChosen }) => isChosen)?.kind ?? 'none' }, 1)
    }
  })
}
