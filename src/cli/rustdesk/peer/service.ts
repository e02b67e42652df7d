import { loadNacl } from '../../../crypto/nacl/index.ts'
import { keyText } from '../../../nodes/rustdesk/keys/index.ts'
import { discoverable, type Discoverable } from '../../../nodes/rustdesk/peer/discoverable.ts'
import { DISCOVERY_PORT } from '../../../nodes/rustdesk/peer/discovery.ts'
import { readId } from '../../../nodes/rustdesk/peer/options.ts'
import { RustdeskPeer } from '../../../nodes/rustdesk/peer/peer.ts'
import { OptionError } from '../../../errors.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { quoted } from '../../../text/phrases.ts'
import { reasonOf } from '../../../text/printable.ts'
import { keyOf } from '../../config/keys.ts'
import type { Output } from '../../process/output.ts'
import type { Service, StartContext } from '../../protocol.ts'
import { explained } from '../../reason.ts'
import { ending, mayChange } from './ending.ts'
import { identityPath, loadIdentity } from './identity-file.ts'
import { registerMetrics } from './metrics.ts'
import { peerOptions } from './options.ts'
import type { RustdeskPeerSettings } from './settings.ts'

const PROTOCOL = 'rustdesk'

/** What stays as it was at the start. */
const LASTING = ['server', 'key', 'id', 'connect', 'wait', 'relay', 'direct', 'discoverable', 'identity', 'name'] as const

/** Starts a peer. @throws an error with a code when its identity cannot be used, or it cannot listen */
export async function startRustdeskPeer ({ settings, log, out }: StartContext<RustdeskPeerSettings>): Promise<Service<RustdeskPeerSettings>> {
  const { identityKey, server, to, id } = settings
  const identity = loadIdentity(await loadNacl(), identityPath(settings.identity, identityKey), identityKey)
  const peer = new RustdeskPeer({ ...settings, identity, log })
  tellKey(out, keyText(identity.pair.publicKey))
  peer.once('registered', () => { if (to !== undefined) out.ready(PROTOCOL, `rustdesk://${endpointText(server)}/${id}`) })
  tellEvents(peer, out)
  const failed = failure(peer, settings)
  failed.catch(() => {}) // while it starts
  await peer.start().catch((err) => { throw explained(err, `cannot listen${placeOf(err)}`) })
  const answering = settings.discoverable && id !== undefined ? await startAnswering(peer, id) : undefined
  for (const { url } of peer.status().remotes) if (url !== undefined) out.ready(PROTOCOL, url)
  return {
    failed,
    status: () => ({ ...peer.status(), ...(answering !== undefined && { discovery: answering.stats }) }),
    online: () => peer.isOnline,
    explain (member) {
      const known = readId(member)
      if (known === undefined) throw new OptionError(`not an id (${quoted(member)}), expected one such as 123456789`)
      return peer.explain(known)
    },
    async reload (next) {
      const ended = to === undefined ? 0 : peer.configure({ to: next.to, allow: next.allow, maxPeers: next.maxPeers })
      const restart = [...LASTING, ...(to === undefined ? ['to', 'allow'] as const : [])].filter((key) => textOf(next[key]) !== textOf(settings[key])).map((key) => keyOf(key, peerOptions[key]))
      return { ended, restart }
    },
    register (metrics) { registerMetrics(metrics, peer) },
    async stop () {
      answering?.close()
      await peer.close()
    }
  }
}

/** Begins to answer in this network. @throws an error with a code; then the peer is closed */
async function startAnswering (peer: RustdeskPeer, id: string): Promise<Discoverable> {
  return await discoverable({ id }).catch(async (err) => {
    await peer.close()
    throw explained(err, `cannot listen on udp://0.0.0.0:${DISCOVERY_PORT}, where --discoverable on has to: a RustDesk client may run here`)
  })
}

function tellKey (out: Output, key: string): void {
  out.say(`Key: ${key}`)
  out.event('key', { protocol: PROTOCOL, key })
}

function tellEvents (peer: RustdeskPeer, out: Output): void {
  const event = (name: string, fields: Record<string, unknown> = {}): void => { out.event(name, { protocol: PROTOCOL, ...fields }) }
  peer.on('registered', () => { event('registered') })
  peer.on('unregistered', (reason) => { event('unregistered', { reason }) })
  peer.on('nat', (type) => { event('nat', { type }) })
  peer.on('online', (id, { kind, endpoint, why }) => {
    event('path', { peer: id, path: kind, endpoint, why })
    event('online', { peer: id })
    out.say(`online ${id} ${kind} ${endpoint}: ${why}`)
  })
  peer.on('offline', (id, err) => {
    event('offline', { peer: id, reason: reasonOf(err) })
    out.say(`offline ${id}: ${reasonOf(err)}`)
  })
  peer.on('served', (name, path, isOpen) => { event('served', { peer: name, path, state: isOpen ? 'connected' : 'gone' }) })
}

/** Rejects when the peer cannot go on: it gets no id, or the one peer that it is for cannot be connected to, and has never been. */
function failure (peer: RustdeskPeer, { to, connect = [], wait }: RustdeskPeerSettings): Promise<never> {
  const isForOne = to === undefined && connect.length === 1
  return new Promise<never>((_resolve, reject) => {
    peer.once('failed', (err) => { reject(ending(err)) })
    if (!isForOne) return
    const onOffline = (_id: string, err: Error): void => { if (!wait || !mayChange(err)) reject(ending(err)) }
    peer.on('offline', onOffline)
    peer.once('online', () => { peer.off('offline', onOffline) })
  })
}

/** Of an error of the system: ` on tcp://127.0.0.1:2222`, as one process has the ports of several peers. */
const placeOf = ({ address, port }: NodeJS.ErrnoException & { address?: string, port?: number }): string =>
  address === undefined || port === undefined ? '' : ` on tcp://${endpointText({ host: address, port })}`

/** For comparison: keys as text. */
const textOf = (value: unknown): string => JSON.stringify(value, (_key, inner) => inner instanceof Uint8Array ? keyText(inner) : inner) ?? ''
