import { serveShowchain } from '../../nodes/showchain/relay/server.ts'
import { idText } from '../../nodes/showchain/protocol/public-key.ts'
import { endpointText } from '../../net/endpoint.ts'
import { OptionError } from '../../errors.ts'
import { quoted } from '../../text/phrases.ts'
import { streamCapture } from '../control/capture-stream.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import { CAPTURE_INTERFACES, PROTOCOL } from './capture-interface.ts'
import { RecordedSockets } from './recorded-sockets.ts'
import type { ShowchainRelaySettings } from './settings.ts'

/** What is of now among the statistics; the rest is since the start. */
const GAUGES = ['nodes', 'sources', 'introductions', 'sessions', 'verifying', 'signing']

/** Starts a helper and proxy. @throws an error of the system when it cannot listen */
export async function startShowchainRelay ({ settings, log, out }: StartContext<ShowchainRelaySettings>): Promise<Service<ShowchainRelaySettings>> {
  const sockets = new RecordedSockets()
  const server = await serveShowchain({ ...settings, bind: sockets.bind, log }).catch((err) => { throw explained(err, `cannot listen on udp://${endpointText(settings.listen)}`) })
  out.ready(PROTOCOL, server.url)
  out.event('id', { protocol: PROTOCOL, id: idText(settings.identity.id) })
  return {
    register (metrics) { metrics.stats('tunpipe_showchain_relay', () => [{ labels: {}, stats: server.status() }], GAUGES) },
    status: () => server.status(),
    explain (id) {
      const explanation = server.explain(id)
      if (explanation === undefined) throw new OptionError(`not an id (${quoted(id)}), expected 64 hexadecimal digits`)
      return { id: id.toLowerCase(), ...explanation }
    },
    async capture (request, socket) {
      return streamCapture(CAPTURE_INTERFACES, request, socket, (recorder) => sockets.attach(recorder))
    },
    async reload (next) {
      const { identity, listen, freshness } = settings
      const lasting = [
        ...(endpointText(next.listen) === endpointText(listen) ? [] : ['listen']),
        ...(idText(next.identity.id) === idText(identity.id) ? [] : ['identity']),
        ...(next.freshness === freshness ? [] : ['freshness'])
      ]
      server.configure(next)
      return { restart: lasting }
    },
    stop: () => server.close()
  }
}
