import t from 'tap'
import { StatusSampler, type StatusSource } from '../../../src/nodes/gotunnel/relay/status.ts'
import { newRefused, newTraffic, type GotunnelRelayStats } from '../../../src/nodes/gotunnel/relay/stats.ts'
import { startRelay } from '../../helpers/gotunnel/scripted-client.ts'

t.test('rates are those between the last two samples; one that was never sampled has none', async (t) => {
  const traffic = newTraffic()
  const stats: GotunnelRelayStats = { ...newTraffic(), halfOpen: 0, clients: 0, ports: 0, refused: newRefused(), heldMessages: 0, bufferedBytes: 0, turnedAway: { source: 0, total: 0 } }
  const identity = { name: 'home', traffic, ports: 0, settings: { ports: { text: '22' }, maxPorts: 1, maxUsers: Infinity } }
  const source = { stats, identities: [identity], ports: [], waiting: [], bufferedBy: () => 7, rejectedOf: () => ({ source: 1, total: 2 }) }
  const sampler = new StatusSampler(source as unknown as StatusSource)
  t.match(sampler.status(0).identities, [{ rateIn: 0, rateOut: 0 }])
  sampler.sample(0)
  Object.assign(traffic, { bytesIn: 500, bytesOut: 3000 })
  sampler.sample(1000)
  t.match(sampler.status(1000).identities, [{ name: 'home', rateIn: 500, rateOut: 3000, bufferedBytes: 7, turnedAway: { source: 1, total: 2 } }])
  sampler.sample(2000)
  t.match(sampler.status(2000).identities, [{ bytesIn: 500, rateIn: 0, rateOut: 0 }])
})

t.test('a server has the status of its relay, with its url', async (t) => {
  const server = await startRelay(t)
  t.same(server.status(), { url: server.url, ...server.relay.status() })
  t.ok(server.relay.status().identities.length > 0)
})
