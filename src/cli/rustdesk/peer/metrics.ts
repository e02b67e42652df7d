/** Metrics of `peer rustdesk`. */
import type { RustdeskPeer } from '../../../nodes/rustdesk/peer/peer.ts'
import type { ServiceMetrics } from '../../process/stats-metrics.ts'

export function registerMetrics (metrics: ServiceMetrics, peer: RustdeskPeer): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    const made = metrics.gauge({ name: `tunpipe_rustdesk_${name}`, help, collect () { made.set(read()) } })
  }
  gauge('online', 'Now: 1 when the server knows the peer, where it has an id, and each peer that it connects to is there', () => peer.isOnline ? 1 : 0)
  gauge('registered', 'Now: 1 when the server knows the peer', () => peer.status().isRegistered === true ? 1 : 0)
  gauge('served_peers', 'Now: sessions of peers that connect to this one', () => peer.status().served.length)
  metrics.stats('tunpipe_rustdesk', () => {
    const { pushes: { pushes, dropped }, refused } = peer.status()
    return [{ labels: {}, stats: { pushes, droppedPushes: dropped, refused } }]
  }, [])
  if (peer.status().remotes.length === 0) return
  metrics.stats('tunpipe_rustdesk_peer', () => peer.status().remotes.map(({ id, users, accepted, failures }) => ({ labels: { peer: id }, stats: { users, accepted, failures } })), ['users'])
  const path = metrics.gauge({
    name: 'tunpipe_rustdesk_path',
    help: 'Now: 1 for the path to the peer: local, direct, relay or none',
    labelNames: ['peer', 'path'],
    collect () {
      path.reset()
      for (const { id, path: kind } of peer.status().remotes) path.set({ peer: id, path: kind ?? 'none' }, 1)
    }
  })
}
