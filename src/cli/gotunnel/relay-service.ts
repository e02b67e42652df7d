import { serveGotunnel, type UserTraffic } from '../../nodes/gotunnel/index.ts'
import { endpointText } from '../../net/endpoint.ts'
import { newTraffic } from '../../nodes/gotunnel/relay/stats.ts'
import type { Sample } from '../process/stats-metrics.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import type { GotunnelRelaySettings } from './settings.ts'

const GAUGES = ['users', 'waiting', 'ports', 'clients', 'halfOpen', 'bufferedBytes']

/** Starts a gotunnel relay. @throws an error of the system when it cannot listen */
export async function startGotunnelRelay ({ settings, log, out }: StartContext<GotunnelRelaySettings>): Promise<Service<GotunnelRelaySettings>> {
  const server = await serveGotunnel({ ...settings, log }).catch((err) => { throw explained(err, `cannot listen on ${err.key === 'bind' ? `${settings.bind ?? ''} (bind)` : endpointText(settings.listen)}`) })
  const { relay } = server
  out.ready('gotunnel', server.url)
  return {
    register (metrics) {
      const byIdentity = (): Sample[] => {
        const { halfOpen, clients, refused, heldMessages, turnedAway, identities } = relay.status()
        return [
          { labels: { identity: '' }, stats: { halfOpen, clients, refused, heldMessages, turnedAway } },
          ...identities.map(({ name, ports, bufferedBytes, ...traffic }) => ({ labels: { identity: name }, stats: { ports, bufferedBytes, ...trafficOf(traffic) } }))
        ]
      }
      // a metric apart from `turned_away`, which has no identity label: in one metric every user would count twice
      const turnedAway = (): Sample[] => relay.status().identities.map(({ name, turnedAway }) => ({ labels: { identity: name }, stats: { turnedAway } }))
      // a metric apart from those of ports, which end with their port: in one metric all traffic would count twice
      const byPort = (): Sample[] => relay.status().identities.flatMap(({ name, mapped }) => mapped.map(({ port, state, ...traffic }) => ({
        labels: { identity: name, port: String(port) },
        stats: { online: state === 'online' ? 1 : 0, ...trafficOf(traffic) }
      })))
      metrics.stats('tunpipe_gotunnel', byIdentity, GAUGES)
      metrics.stats('tunpipe_gotunnel_identity', turnedAway, [])
      metrics.stats('tunpipe_gotunnel_port', byPort, ['online', ...GAUGES], [{ labels: { identity: '', port: '' }, stats: { online: 0, ...newTraffic() } }])
    },
    status () {
      const status = server.status()
      return { ...status, url: status.url === '' ? 'nowhere' : status.url }
    },
    async reload (next) {
      const changes = await server.configure(next).catch((err) => { throw explained(err, `cannot listen on ${endpointText(next.listen)}`) })
      return { ...changes, url: server.url, restart: next.bind === settings.bind ? [] : ['bind'] }
    },
    online: () => server.url !== '',
    async stop () {
      await server.close()
    }
  }
}

/** The counters of users alone. */
const trafficOf = ({ users, waiting, accepted, bytesIn, bytesOut, drops }: UserTraffic): UserTraffic => ({ users, waiting, accepted, bytesIn, bytesOut, drops })
