import { GotunnelPeer, type MapStatus } from '../../nodes/gotunnel/index.ts'
import { newMapStats } from '../../nodes/gotunnel/peer/settings.ts'
import { endpointText } from '../../net/endpoint.ts'
import type { Sample } from '../process/stats-metrics.ts'
import type { StartContext, Service } from '../protocol.ts'
import type { GotunnelPeerSettings } from './settings.ts'
import { Reporter, textOf } from './report.ts'

/** Starts a gotunnel peer. It runs until it is stopped, or until the server has rejected every port permanently. */
export async function startGotunnelPeer (context: StartContext<GotunnelPeerSettings>): Promise<Service> {
  const { settings, log, out } = context
  const { server, name, maps } = settings
  const reporter = new Reporter(context)
  const peer = new GotunnelPeer({ ...settings, log })
  const protocol = 'gotunnel'
  const seen = new Set<number>()
  peer.on('online', ({ remotePort }, mode) => {
    if (!seen.has(remotePort)) out.ready(protocol, `tcp://${endpointText({ host: server.host, port: remotePort })}`)
    seen.add(remotePort)
    out.event('online', { protocol, port: remotePort, mode })
  })
  peer.on('offline', ({ remotePort }, err, wait) => {
    reporter.offline(remotePort, err, wait)
    out.event('offline', { protocol, port: remotePort, reason: textOf(err) })
  })
  peer.on('refused', ({ remotePort }, err, wait) => {
    reporter.refused(remotePort, err, wait)
    out.event('refused', { protocol, port: remotePort, reason: textOf(err) })
  })
  peer.on('service', ({ remotePort }, isUp) => { out.event('service', { protocol, port: remotePort, state: isUp ? 'up' : 'down' }) })
  const failed = new Promise<never>((_resolve, reject) => { peer.once('failed', (err) => { reject(reporter.failure(err)) }) })
  peer.start()
  log.info({ server: endpointText(server), name, ports: maps.map(({ remotePort }) => remotePort) }, 'connecting')

  return {
    status: () => peer.status(),
    failed,
    online: () => peer.isOnline,
    degraded: () => peer.isDegraded,
    register (metrics) {
      const read = (): Sample[] => peer.stats.map(({ remotePort, ...stats }) => ({ labels: { port: String(remotePort) }, stats }))
      metrics.stats('tunpipe_gotunnel', read, ['users', 'bufferedBytes'], [{ labels: { port: '' }, stats: newMapStats() }])
      const gauge = (name: string, help: string, isTrue: (map: MapStatus) => boolean): void => {
        const made = metrics.gauge({ name: `tunpipe_gotunnel_${name}`, help, labelNames: ['port'], collect () { for (const map of peer.status().maps) made.set({ port: String(map.remotePort) }, isTrue(map) ? 1 : 0) } })
      }
      gauge('online', 'Now: 1 when the server has accepted the port', ({ state }) => state === 'online')
      gauge('degraded', 'Now: 1 while the server will not have the port, and it is tried again seldom', ({ state }) => state === 'degraded')
      gauge('service', 'Now: 1 when the service is there, as far as is known', ({ service }) => service === 'up')
    },
    stop: () => peer.close()
  }
}
