/** Packets that are too large for a direct path: answered, or sent through the server, and never both. */
import t from 'tap'
import { addr, packet } from '../../../helpers/candy/client.ts'
import { Outbox, type DirectSocket } from '../../../../src/nodes/candy/peer/direct/outbox.ts'
import { PacketSender, type PacketSenderInit } from '../../../../src/nodes/candy/peer/direct/packet-sender.ts'
import { newPeerStats } from '../../../../src/nodes/candy/peer/stats.ts'
import { newPacket } from '../../../../src/tun/device.ts'
import type { Batch, Datagram } from '../../../../src/types.ts'

function rig (now: number): { sender: PacketSender, stats: ReturnType<typeof newPeerStats>, answers: Batch, sent: Batch<Datagram> } {
  const path = { endpoint: { host: '203.0.113.1', port: 1, isLocal: false }, size: 1200, isSettled: true, used () {}, seal () {} }
  const stats = newPeerStats()
  const [answers, sent]: [Batch, Batch<Datagram>] = [[], []]
  const sender = new PacketSender({
    own: addr('10.77.0.1'),
    members: { get: () => ({ usable: path, traffic: { packetsOut: 0, bytesOut: 0 } }) } as unknown as PacketSenderInit['members'],
    outbox: new Outbox({ port: { send: (batch: Batch<Datagram>) => sent.push(...batch), queued: 0, limit: 1 } } as unknown as DirectSocket),
    routes: { size: 0, nexthopOf: () => 0 },
    nextHop: () => 0,
    stats,
    tap: { isOn: false, show () {} },
    deliver (packets) { answers.push(...packets) },
    now
  })
  return { sender, stats, answers, sent }
}

/** @param isUnfragmentable with DF */
function ofSize (size: number, isUnfragmentable: boolean): Uint8Array {
  const one = newPacket(size)
  one.set(packet('10.77.0.1', '10.77.0.2', size - 20))
  one[6] = isUnfragmentable ? 0x40 : 0
  return one
}

t.test('one that was answered does not go through the server, whatever is beside it', async (t) => {
  for (const beside of [[], [ofSize(100, true)], [ofSize(1300, false)]]) {
    const { sender, stats, answers, sent } = rig(0)
    const rest = sender.send([ofSize(1300, true), ...beside], 0)
    t.same(rest, beside.filter(({ length }) => length > 1000))
    t.equal(sent.length, beside.filter(({ length }) => length <= 1000).length)
    t.same([answers.length, stats.drops.tooBig], [1, 1])
  }
})

t.test('those beyond the rate of answers go through the server', async (t) => {
  const now = 1_000_000
  const { sender, stats, answers } = rig(now)
  const large = Array.from({ length: 80 }, () => ofSize(1300, true))
  const rest = sender.send(large, now)
  t.same([answers.length, stats.drops.tooBig], [50, 50])
  t.same(rest, large.slice(50))
  t.equal(sender.send(large.slice(0, 20), now + 100).length, 10, 'a hundred a second are answered')
  t.equal(answers.length, 60)
})

t.test('datagrams that may go in fragments, and those that may not, in their order', (t) => {
  const calls: unknown[] = []
  const outbox = new Outbox({ allowFragments (isAllowed: boolean) { calls.push(isAllowed) }, port: { send: (batch: Batch<Datagram>) => { calls.push(batch.map(({ port }) => port)); return batch.length - 1 }, queued: 0, limit: 1 } } as unknown as DirectSocket)
  for (const [port, fragments] of [[1, false], [2, false], [3, true], [4, false]] as const) outbox.add({ data: new Uint8Array(1), host: '203.0.113.1', port }, fragments)
  t.equal(outbox.flush(), 3)
  t.same(calls, [false, [1, 2], true, [3], false, [4]])
  t.equal(outbox.flush(), 0, 'counted once')
  t.end()
})
