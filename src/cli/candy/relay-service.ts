import type { Logger } from 'pino'
import { serveCandy, type CandyRelay, type TapFilter } from '../../nodes/candy/index.ts'
import { serveStun, type StunServer, type StunServerStatus } from '../../nodes/stun/index.ts'
import { parseAddress } from '../../net/ipv4.ts'
import { endpointText } from '../../net/endpoint.ts'
import { listenUrlText } from '../../nodes/common/options/addresses.ts'
import { listOf, quoted } from '../../text/phrases.ts'
import type { Request } from '../control/server.ts'
import { UsageError } from '../usage-error.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import { openLeases } from './lease-file.ts'
import { defaultStateDir } from '../state/state-dir.ts'
import { streamCapture } from '../control/capture-stream.ts'
import { CAPTURE_INTERFACES, recordMessages } from './capture.ts'
import type { CandyRelaySettings } from './options.ts'
import { Warming } from './warming.ts'

/** Settings that hold from the next start on, with their keys. */
const LASTING = [['stateDir', 'state-dir'], ['stunListen', 'stun-listen'], ['stunSecond', 'stun-second']] as const

/** Starts a candy relay. @throws an error of the system when it cannot listen */
export async function startCandyRelay ({ settings, workers, log, out }: StartContext<CandyRelaySettings>): Promise<Service<CandyRelaySettings>> {
  const warming = new Warming('relay')
  await warming.prepare()
  const leaseFile = await openLeases(settings.stateDir ?? defaultStateDir(), log)
  const server = await serveCandy({ ...settings, leases: leaseFile.leases, workers, log }).catch(async (err) => {
    await leaseFile.close()
    throw explained(err, `cannot listen on ${listenUrlText(settings.listen)}`)
  })
  const stun = await startStun(settings, log).catch(async (err) => {
    await server.close()
    await leaseFile.close()
    throw err
  })
  out.ready('candy', server.url)
  if (stun !== undefined) out.ready('stun', stun.url)
  const { relay } = server
  warming.start(() => relay.stats.packetsIn)
  return {
    register (metrics) {
      const read = (): Array<{ labels: { network: string }, stats: object }> => [
        { labels: { network: '' }, stats: relay.connectionStats },
        ...relay.networkStats.map(({ path, ...stats }) => ({ labels: { network: path }, stats }))
      ]
      metrics.stats('tunpipe_candy', read, ['connections', 'halfOpen', 'peers'])
      if (stun !== undefined) metrics.stats('tunpipe_candy_stun', () => [{ labels: {}, stats: countersOf(stun.status()) }], [])
    },
    status () {
      const status = server.status()
      return { ...status, url: status.url === '' ? 'nowhere' : status.url, ...(stun !== undefined && { stun: stun.status() }) }
    },
    async capture (request, socket) {
      const filter = filterOf(request, relay)
      return streamCapture(CAPTURE_INTERFACES, request, socket, (recorder) => relay.tap(filter, (messages, direction) => { recordMessages(recorder, messages, direction) }))
    },
    async reload (next) {
      const changes = await server.configure(next).catch((err) => { throw explained(err, `cannot listen on ${listenUrlText(next.listen)}`) })
      return { ...changes, restart: LASTING.filter(([key]) => JSON.stringify(next[key]) !== JSON.stringify(settings[key])).map(([, name]) => name) }
    },
    failed: server.failed,
    online: () => server.url !== '',
    async stop () {
      warming.stop()
      await Promise.all([server.close(), stun?.close()])
      await leaseFile.close()
    }
  }
}

/** @throws an error of the system when it cannot listen */
async function startStun ({ stunListen: listen, stunSecond: second }: CandyRelaySettings, log: Logger): Promise<StunServer | undefined> {
  if (listen === undefined) return undefined
  return await serveStun({ listen, second, log }).catch((err) => {
    throw explained(err, `cannot listen for STUN on udp://${endpointText(listen)} and the next port${second === undefined ? '' : `, nor on those of ${second}`}`)
  })
}

/** What is not in metrics are `url` and `endpoints`. */
const countersOf = ({ url, endpoints, ...counters }: StunServerStatus): object => counters

/** The traffic that a capture request selects. @throws {UsageError} for a network that does not exist, or an invalid address */
function filterOf ({ network, peer }: Request, relay: CandyRelay): TapFilter {
  const paths = relay.networkStats.map(({ path }) => path)
  if (network === undefined && paths.length > 1) throw new UsageError(`--network: missing, expected ${listOf(paths)}`)
  const path = typeof network === 'string' && paths[0] !== '' ? network : paths[0]
  if (!paths.includes(path)) throw new UsageError(`--network: not a network (${quoted(network)}), expected ${listOf(paths)}`)
  if (peer === undefined) return { network: path }
  const address = parseAddress(String(peer))
  if (address === undefined) throw new UsageError(`--peer: not an address (${quoted(peer)}), expected one such as 10.77.0.2`)
  return { network: path, address }
}
