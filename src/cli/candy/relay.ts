import { serveCandy } from '../../nodes/candy/index.ts'
import type { CandyRelaySettings } from './schema.ts'
import type { CandyParts } from '../process/plan.ts'
import { explained } from '../reason.ts'
import type { Service } from '../process/services.ts'
import { registerStats } from '../process/stats-metrics.ts'
import { readTlsPair } from '../config/tls-files.ts'

/** Starts a candy relay. Throws `UsageError` for files that are wrong, and the error of `listen`. */
export async function startCandyRelay ({ candy, password, nameOf, log, out }: CandyParts<CandyRelaySettings>): Promise<Service> {
  const { listen, dhcp, sdwan, takeover, lenient, 'source-check': sourceCheck, 'tls-cert': cert, 'tls-key': key } = candy
  const tls = cert === undefined || key === undefined ? undefined : readTlsPair(cert, key, nameOf)
  const server = await serveCandy({ listen, tls, password, dhcp, sdwan, sourceCheck, takeover, lenient, log: log.child({ protocol: 'candy' }) })
    .catch((err) => { throw explained(err, `cannot listen on ${listen}`) })
  out.ready('candy', server.url)
  return {
    register (registry) {
      registerStats(registry, 'tunpipe_candy', () => server.relay.stats, ['connections', 'halfOpen', 'peers'])
    },
    stop: () => server.close()
  }
}
