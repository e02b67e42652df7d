import { serveNatpass } from '../../nodes/natpass/index.ts'
import { endpointText } from '../../net/endpoint.ts'
import type { SettingsOf } from '../../nodes/common/options/option.ts'
import type { relayOptions } from '../../nodes/natpass/relay/options.ts'
import { streamCapture } from '../control/capture-stream.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'

type NatpassRelaySettings = SettingsOf<typeof relayOptions>

const CAPTURE_INTERFACES = [{ linkType: 'user0', name: 'natpass' }] as const

/** Starts a natpass relay. @throws an error of the system when it cannot listen */
export async function startNatpassRelay ({ settings, log, out }: StartContext<NatpassRelaySettings>): Promise<Service<NatpassRelaySettings>> {
  const server = await serveNatpass({ ...settings, log }).catch((err) => { throw explained(err, `cannot listen on ${endpointText(settings.listen)}`) })
  const { relay } = server
  out.ready('natpass', server.url)
  return {
    register (metrics) {
      metrics.stats('tunpipe_natpass', () => {
        const { links, ...stats } = relay.stats
        return [{ labels: { type: '' }, stats }, ...Object.entries(links).map(([type, count]) => ({ labels: { type }, stats: { links: count } }))]
      }, ['clients', 'halfOpen', 'queuedBytes', 'links'])
    },
    status () {
      const status = server.status()
      return { ...status, url: status.url === '' ? 'nowhere' : status.url }
    },
    async capture (request, socket) {
      const client = typeof request.client === 'string' ? request.client : undefined
      return streamCapture(CAPTURE_INTERFACES, request, socket, (recorder) => relay.tap({ client }, (messages, direction) => { recorder.record(messages, direction) }))
    },
    async reload (next) {
      const changes = await server.configure(next).catch((err) => { throw explained(err, `cannot listen on ${endpointText(next.listen)}`) })
      return { ...changes, url: server.url, restart: [] }
    },
    online: () => server.url !== '',
    async stop () {
      await server.close()
    }
  }
}
