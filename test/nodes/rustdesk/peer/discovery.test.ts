/** Who is in this network: questions, answers, and whom none is given. */
import t from 'tap'
import { discoverable } from '../../../../src/nodes/rustdesk/peer/discoverable.ts'
import { broadcastAddresses, discoveryOf } from '../../../../src/nodes/rustdesk/peer/discovery.ts'
import { rendezvous } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { AsyncQueue } from '../../../../src/streams/async-queue.ts'
import { systemClock } from '../../../../src/streams/clock.ts'
import type { Batch, Datagram, DatagramSocket } from '../../../../src/types.ts'

/** What is sent is kept. */
function socketOf (sent: Datagram[]): DatagramSocket & { receive (data: Uint8Array, host: string, port?: number): void } {
  const incoming = new AsyncQueue<Datagram>()
  return {
    local: { host: '0.0.0.0', port: 21_119 },
    limit: 1,
    receiveLimit: 1,
    dropped: 0,
    source: incoming as AsyncIterable<Batch<Datagram>>,
    port: { queued: 0, send (batch: Batch<Datagram>) { sent.push(...batch); return batch.length }, async drained () {} },
    receive (data: Uint8Array, host: string, port = 4000) { incoming.push({ data, host, port }) },
    close () { incoming.end() },
    abort () { incoming.end() }
  } as never
}

const PING = rendezvous.encode({ peer_discovery: { cmd: 'ping', id: '987654321' } })
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

t.test('neighbours get an answer, few of them, others none', async (t) => {
  const sent: Datagram[] = []
  const socket = socketOf(sent)
  let now = 0
  const answering = await discoverable({ id: '123456789', bind: async () => socket, clock: { ...systemClock, now: () => now } })
  const ask = async (host: string, data = PING, port?: number): Promise<number> => {
    const before = sent.length
    socket.receive(data, host, port)
    await turn()
    return sent.length - before
  }
  t.equal(await ask('192.168.1.7'), 1)
  t.match(sent[0], { host: '192.168.1.7', port: 4000 })
  const { cmd, id, platform, username, mac } = discoveryOf(sent[0].data) ?? {}
  t.match({ cmd, id, username, mac }, { cmd: 'pong', id: '123456789', username: '', mac: '' })
  t.not(platform, '')
  t.equal(await ask('8.8.8.8'), 0, 'an address of the internet')
  t.equal(await ask('192.168.1.7', PING, 0), 0, 'no port')
  for (const data of [Buffer.from('x'), rendezvous.encode({ peer_discovery: { cmd: 'pong' } }), rendezvous.encode({ register_peer: { id: 'x' } })]) t.equal(await ask('192.168.1.8', data), 0)
  let answered = 0
  for (let i = 0; i < 10; i++) answered += await ask('192.168.1.7')
  t.equal(answered, 3, 'four at once to one address')
  now += 1000
  t.equal(await ask('192.168.1.7'), 1)
  let all = 0
  for (let i = 0; i < 200; i++) all += await ask(`10.1.0.${i}`)
  t.ok(all <= 64 && all > 50, `${all} to all at once`)
  t.equal(answering.stats.answered, sent.length)
  answering.close()
})

t.test('where to ask', async (t) => {
  t.equal(broadcastAddresses()[0], '255.255.255.255')
  t.equal(discoveryOf(new Uint8Array(0)), undefined)
})
