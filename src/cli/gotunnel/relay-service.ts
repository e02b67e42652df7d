import { StatusSampler, serveGotunnel } from '../../nodes/gotunnel/index.ts'
import { endpointText } from '../../net/endpoint.ts'
import { newTraffic } from '../../nodes/gotunnel/relay/stats.ts'
import { registerStats, type Sample } from '../process/stats-metrics.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import type { GotunnelRelaySettings } from './settings.ts'

const GAUGES = ['users', 'waiting', 'ports', 'clients', 'halfOpen', 'bufferedBytes']

/** Starts a gotunnel relay. @throws an error of the system when it cannot listen */
export async function startGotunnelRelay ({ settings, log, out }: StartContext<GotunnelRelaySettings>): Promise<Service<GotunnelRelaySettings>> {
  const server = await serveGotunnel({ ...settings, log }).catch((err) => { throw explained(err, `cannot listen on ${err.key === 'bind' ? `${settings.bind ?? ''} (bind)` : endpointText(settings.listen)}`) })
  const { relay } = server
  const sampler = new StatusSampler(relay)
  out.ready('gotunnel', server.url)
  return {
    register (registry) {
      const byIdentity = (): Sample[] => {
        const { halfOpen, clients, refused, heldMessages, turnedAway } = relay.stats
        return [
          { labels: { identity: '' }, stats: { halfOpen, clients, refused, heldMessages, turnedAway } },
          ...Array.from(relay.identities, (identity) => {
            const { name, ports, traffic } = identity
            return { labels: { identity: name }, stats: { ports, bufferedBytes: relay.bufferedBy(identity), ...traffic } }
          })
        ]
      }
      // a metric apart from `turned_away`, which has no identity label: in one metric every user would count twice
      const turnedAway = (): Sample[] => Array.from(relay.identities, (identity) => ({ labels: { identity: identity.name }, stats: { turnedAway: relay.rejectedOf(identity) } }))
      // a metric apart from those of ports, which end with their port: in one metric all traffic would count twice
      const byPort = (): Sample[] => [
        ...Array.from(relay.ports, ({ number, identity, isListening, traffic }) => ({
          labels: { identity: identity.name, port: String(number) },
          stats: { online: isListening ? 1 : 0, ...traffic }
        })),
        ...relay.waiting.map(({ identity, remotePort }) => ({ labels: { identity: identity.name, port: String(remotePort) }, stats: { online: 0, ...newTraffic() } }))
      ]
      registerStats(registry, 'tunpipe_gotunnel', byIdentity, GAUGES)
      registerStats(registry, 'tunpipe_gotunnel_identity', turnedAway, [])
      registerStats(registry, 'tunpipe_gotunnel_port', byPort, ['online', ...GAUGES], [{ labels: { identity: '', port: '' }, stats: { online: 0, ...newTraffic() } }])
    },
    status: () => ({ url: server.url === '' ? 'nowhere' : server.url, ...sampler.status() }),
    async reload (next) {
      const changes = await server.configure(next).catch((err) => { throw explained(err, `cannot listen on ${endpointText(next.listen)}`) })
      return { ...changes, url: server.url, restart: next.bind === settings.bind ? [] : ['bind'] }
    },
    online: () => server.url !== '',
    async stop () {
      sampler.close()
      await server.close()
    }
  }
}
