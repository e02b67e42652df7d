import { join } from 'node:path'
import { NatpassPeer } from '../../nodes/natpass/index.ts'
import { endpointText } from '../../net/endpoint.ts'
import type { SettingsOf } from '../../nodes/common/options/option.ts'
import type { peerOptions } from '../../nodes/natpass/peer/options.ts'
import { reasonOf } from '../../text/printable.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import { defaultStateDir } from '../state/state-dir.ts'

function defaultCodedir (): string | undefined {
  const dir = defaultStateDir()
  return dir === undefined ? undefined : join(dir, 'code')
}

/** Starts a natpass peer. @throws {PageError} when a page takes an optional package that is not installed */
export async function startNatpassPeer ({ settings, isForeign, log, out }: StartContext<SettingsOf<typeof peerOptions>>): Promise<Service> {
  const protocol = 'natpass'
  if (isForeign && settings.allow === undefined) log.warn('a client of the original lets every other client open a shell here; this one allows nothing, --allow says what others may open')
  const peer = new NatpassPeer({ ...settings, codedir: settings.codedir ?? defaultCodedir(), log })
  peer.on('rule', (rule, url) => {
    out.ready(protocol, url)
    out.event('rule', { protocol, rule, url })
  })
  peer.on('page', (url) => {
    out.ready(protocol, url)
    out.event('page', { protocol, url })
  })
  let wasOnline = false
  peer.on('online', () => {
    if (!wasOnline) out.ready(protocol, `${settings.tls || settings.server.scheme === 'tls' ? 'tls' : 'tcp'}://${endpointText(settings.server)}`)
    wasOnline = true
    out.event('online', { protocol })
  })
  peer.on('offline', (err) => { out.event('offline', { protocol, reason: reasonOf(err) }) })
  await peer.start().catch(async (err) => {
    await peer.close()
    throw explained(err, 'cannot listen for a rule')
  })
  return {
    status: () => peer.status(),
    online: () => peer.isOnline,
    register (metrics) {
      metrics.stats('tunpipe_natpass', () => [{ labels: {}, stats: peer.stats }], ['links'])
      const online = metrics.gauge({ name: 'tunpipe_natpass_online', help: 'Now: 1 when the server has accepted the peer', collect () { online.set(peer.isOnline ? 1 : 0) } })
    },
    stop: () => peer.close()
  }
}
