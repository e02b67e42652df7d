import { serveCandy, type CandyRelay, type CandyServerOptions, type TapFilter } from '../../nodes/candy/index.ts'
import { parseAddress } from '../../net/ipv4.ts'
import { list, show } from '../config/fields.ts'
import type { Request } from '../control/server.ts'
import { UsageError } from '../usage-error.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import { registerStats } from '../process/stats-metrics.ts'
import { openLeases } from '../state/lease-file.ts'
import { defaultStateDir } from '../state/state-dir.ts'
import { recordMessages, streamCapture } from './capture.ts'
import type { LoadedRelay } from './load.ts'

/** Starts a candy relay. @throws an error of the system when it cannot listen */
export async function startCandyRelay ({ loaded, workers, log, out }: StartContext<LoadedRelay>): Promise<Service<LoadedRelay>> {
  const { listen } = loaded.candy
  const leaseFile = await openLeases(loaded.candy['state-dir'] ?? defaultStateDir(), log)
  const server = await serveCandy({ ...initOf(loaded), leases: leaseFile.leases, workers, log }).catch(async (err) => {
    await leaseFile.close()
    throw explained(err, `cannot listen on ${listen}`)
  })
  out.ready('candy', server.url)
  const { relay } = server
  return {
    register (registry) {
      const read = (): Array<{ labels: { network: string }, stats: object }> => [
        { labels: { network: '' }, stats: relay.connectionStats },
        ...relay.networkStats.map(({ path, ...stats }) => ({ labels: { network: path }, stats }))
      ]
      registerStats(registry, 'tunpipe_candy', read, ['connections', 'halfOpen', 'peers'])
    },
    status () {
      const status = server.status()
      return { ...status, url: status.url === '' ? 'nowhere' : status.url }
    },
    async capture (request, socket) {
      const filter = filterOf(request, relay)
      return streamCapture(request, socket, (recorder) => relay.tap(filter, (messages, direction) => { recordMessages(recorder, messages, direction) }))
    },
    async reload (next) {
      const changes = await server.configure(initOf(next)).catch((err) => { throw explained(err, `cannot listen on ${next.candy.listen}`) })
      return { ...changes, restart: next.candy['state-dir'] === loaded.candy['state-dir'] ? [] : ['state-dir'] }
    },
    failed: server.failed,
    online: () => server.url !== '',
    async stop () {
      await server.close()
      await leaseFile.close()
    }
  }
}

/** The traffic that a capture request selects. @throws {UsageError} for a network that does not exist, or an invalid address */
function filterOf ({ network, peer }: Request, relay: CandyRelay): TapFilter {
  const paths = relay.networkStats.map(({ path }) => path)
  if (network === undefined && paths.length > 1) throw new UsageError(`--network: missing, expected ${list(paths)}`)
  const path = typeof network === 'string' && paths[0] !== '' ? network : paths[0]
  if (!paths.includes(path)) throw new UsageError(`--network: not a network (${show(network)}), expected ${list(paths)}`)
  if (peer === undefined) return { network: path }
  const address = parseAddress(String(peer))
  if (address === undefined) throw new UsageError(`--peer: not an address (${show(peer)}), expected one such as 10.77.0.2`)
  return { network: path, address }
}

function initOf ({ candy, networks, tls }: LoadedRelay): CandyServerOptions {
  return {
    listen: candy.listen,
    tls,
    trustedProxies: candy['trusted-proxy'],
    networks,
    lenient: candy.lenient,
    perSource: candy['max-per-source'],
    maxHalfOpen: candy['max-half-open'],
    maxConnections: candy['max-connections'],
    authFailures: candy['auth-failures']
  }
}
