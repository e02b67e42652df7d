/** What a worker keeps for each member that another one has: as little as there is to do for it. */
import t from 'tap'
import type { Switch } from '../../../../src/nodes/candy/relay/switch.ts'
import { applyState, RemoteMember } from '../../../../src/nodes/candy/relay/workers/connection.ts'
import type { PacketPort } from '../../../../src/types.ts'

t.test('members of other workers have no pace and no limits of their own, as nothing is read of them here', async (t) => {
  const network = { broadcastRate: 100, settings: { packetRate: 10, byteRate: 1500, frameRate: 10 } } as unknown as Switch
  const port: PacketPort = { send: (batch) => batch.length, queued: 0, limit: 1 }
  const [one, other] = [new RemoteMember(network, port), new RemoteMember(network, port)]
  for (const member of [one, other]) applyState(member, { address: 1, behind: undefined, gateways: new Set(), routes: [] })
  t.equal(one.frameLimiter, other.frameLimiter)
  t.ok(Array.from({ length: 100 }, () => one.mayPay(1500)).every(Boolean), 'no packets are counted against the rate of the network')
})
