import { serveCandy, type CandyRelayOptions, type CandyNetworksInit } from '../../nodes/candy/index.ts'
import { readTlsPair } from '../config/tls-files.ts'
import { UsageError } from '../usage-error.ts'
import type { Parts, Reloadable } from '../process/plan.ts'
import { explained } from '../reason.ts'
import { registerStats } from '../process/stats-metrics.ts'
import { openLeases } from '../state/lease-file.ts'
import { defaultStateDir } from '../state/state-dir.ts'
import type { LoadedRelay } from './load.ts'

/** Starts a candy relay. Throws `UsageError` for files that are wrong, and the error of `listen`. */
export async function startCandyRelay ({ loaded, log, out }: Parts<LoadedRelay>): Promise<Reloadable<LoadedRelay>> {
  const ownLog = log.child({ protocol: 'candy' })
  const { listen } = loaded.candy
  const init = initOf(loaded) // before there is a file that would have to be closed
  const leaseFile = await openLeases(loaded.candy['state-dir'] ?? defaultStateDir(), ownLog)
  const server = await serveCandy({ ...init, leases: leaseFile.leases, log: ownLog }).catch(async (err) => {
    await leaseFile.close()
    throw explained(err, `cannot listen on ${listen}`)
  })
  out.ready('candy', server.url)
  const { relay } = server
  return {
    protocol: 'candy',
    register (registry) {
      const read = (): Array<{ labels: { network: string }, stats: object }> => [
        { labels: { network: '' }, stats: relay.doorStats },
        ...Array.from(relay.networks, ({ stats, settings: { path = '' } }) => ({ labels: { network: path }, stats }))
      ]
      registerStats(registry, 'tunpipe_candy', read, ['connections', 'halfOpen', 'peers'])
    },
    status: () => ({ url: server.url, ...relay.status() }),
    capture: async () => { throw new UsageError('not yet') },
    async reload (next) {
      const changes = await server.configure(initOf(next)).catch((err) => { throw explained(err, `cannot listen on ${next.candy.listen}`) })
      ownLog.level = next.settings['log-level']
      return { ...changes }
    },
    async stop () {
      await server.close()
      await leaseFile.close()
    }
  }
}

/** Throws `UsageError`. */
function initOf ({ candy, networks, nameOf }: LoadedRelay): CandyRelayOptions & CandyNetworksInit & { listen: string, tls?: { cert: string, key: string }, trustedProxies?: string[] } {
  const { listen, lenient, 'tls-cert': cert, 'tls-key': key } = candy
  return {
    listen,
    tls: cert === undefined || key === undefined ? undefined : readTlsPair(cert, key, nameOf),
    trustedProxies: candy['trusted-proxy'],
    networks,
    lenient,
    perSource: candy['max-per-source'],
    maxHalfOpen: candy['max-half-open'],
    maxConnections: candy['max-connections'],
    authFailures: candy['auth-failures']
  }
}
