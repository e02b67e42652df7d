/** Packets between members that different workers have: where they get, in which order, and how they are counted. */
import t from 'tap'
import type { CandyNetworkInit } from '../../../../src/nodes/candy/index.ts'
import { MessageType } from '../../../../src/nodes/candy/protocol/messages.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { addr, CandyClient, forward, PASSWORD } from '../../../helpers/candy/client.ts'
import { until } from '../../../helpers/ends.ts'
import { heard, numbered, numberOf, senderOf, serve, take, type Located } from '../../../helpers/candy/crew.ts'

const ALL = '255.255.255.255'

const network = (path: string, more: Partial<CandyNetworkInit> = {}): CandyNetworkInit => ({ path, password: PASSWORD, dhcp: '10.77.0.0/24', ...more })

const crew = await serve(t, {
  workers: 3,
  networks: [network('/busy', { broadcastRate: 999_999_999 }), network('/open'), network('/apart', { isolate: true }), network('/names'), network('/leaving'), network('/limited', { packetRate: 10 }), network('/slow')]
})

t.test('many senders at once: nothing is lost, and the order of each sender is kept', async (t) => {
  t.equal(crew.server.workers, 3)
  const members = await crew.populate(2, '/busy')
  const [rounds, burst] = [60, 5]
  // In each burst one for each other member, and then one for all: these must not overtake.
  for (let round = 0; round < rounds; round++) {
    for (const { client, address } of members) {
      const batch: Uint8Array[] = []
      for (let i = 0; i < burst; i++) {
        const number = (round * burst + i) * 2
        for (const to of members) if (to.address !== address) batch.push(numbered(address, to.address, number, 8 + number % 700))
        batch.push(numbered(address, ALL, number + 1, 8 + number % 50))
      }
      client.send(...batch)
    }
    await Promise.all(members.map(({ client }) => client.settled()))
  }
  const [others, each] = [members.length - 1, rounds * burst * 2]
  for (const { client, address } of members) {
    const next = new Map<number, number>()
    for (const message of await take(client, others * each)) {
      const sender = senderOf(message)
      const number = next.get(sender) ?? 0
      if (numberOf(message) !== number) t.equal(numberOf(message), number, `from ${sender} to ${address}`)
      next.set(sender, number + 1)
    }
    t.equal(next.size, others)
    t.ok([...next.values()].every((count) => count === each))
  }
  const packetsIn = members.length * rounds * burst * (others + 1)
  const packetsOut = members.length * others * each
  await until(() => crew.stats('/busy').packetsOut === packetsOut)
  t.match(crew.stats('/busy'), { packetsIn, drops: { queue: 0, total: 0, destination: 0, broadcast: 0 } })
  for (const { client } of members) t.same(client.inbox, [], 'and nothing came twice')
})

t.test('source check, isolation, and addresses that nobody has', async (t) => {
  const [a, b] = await crew.spread('/open')
  a.client.send(forward('10.77.0.99', b.address), forward(a.address, '10.77.0.99'), numbered(a.address, b.address, 7))
  t.same((await heard(a, b)).map(numberOf), [7])
  await until(() => crew.stats('/open').drops.destination === 1)
  t.match(crew.stats('/open').drops, { source: 1, destination: 1 })
  const [c, d] = await crew.spread('/apart')
  c.client.send(numbered(c.address, d.address, 1), numbered(c.address, ALL, 2), numbered(c.address, c.address, 3))
  t.equal(numberOf(await c.client.next()), 3)
  await until(() => crew.stats('/apart').drops.isolated === 1)
  t.same(d.client.inbox, [])
  t.same(a.client.inbox, [], 'networks are apart, whatever the addresses')
})

t.test('CONN, DISCOVERY and GENERAL cross as they are, but DISCOVERY to all without a tail', async (t) => {
  const [a, b] = await crew.spread('/names')
  const named = (type: number, at: number, length: number, to: string): Uint8Array => {
    const message = new Uint8Array(length)
    message[0] = type
    const view = new DataView(message.buffer)
    view.setUint32(at, addr(a.address))
    view.setUint32(at + 4, addr(to))
    return message
  }
  const messages = [named(MessageType.CONN, 1, 40, b.address), named(MessageType.DISCOVERY, 1, 9, ALL), named(MessageType.GENERAL, 4, 40, ALL), named(MessageType.GENERAL, 4, 41, b.address), named(MessageType.DISCOVERY, 1, 1500, b.address)]
  a.client.send(...messages, named(MessageType.DISCOVERY, 1, 1500, ALL))
  t.same((await take(b.client, 6)).map(toHex), [...messages, messages[1]].map(toHex))
})

t.test('one that has left has left everywhere', async (t) => {
  const [a, b, beside] = await crew.spread('/leaving')
  const peers = crew.stats('/leaving').peers
  for (const gone of [b, beside]) gone.client.link.close()
  await until(() => crew.stats('/leaving').peers === peers - 2)
  await a.client.settled()
  // Both are known to be gone by the time of the answer to something that is decided upon after it.
  a.client.vmac('aaaaaaaaaaaaaaaa')
  await a.client.settled()
  a.client.send(forward(a.address, b.address), forward(a.address, beside.address), numbered(a.address, a.address, 1))
  t.equal(numberOf(await a.client.next()), 1)
  await until(() => crew.stats('/leaving').packetsIn === 3)
  t.match(crew.stats('/leaving'), { packetsOut: 1, drops: { destination: 2, queue: 0 } })
})

t.test('what a client may send', async (t) => {
  const [a, b] = await crew.spread('/limited')
  a.client.send(...Array.from({ length: 100 }, (_, i) => numbered(a.address, b.address, 10 + i)))
  await until(() => crew.stats('/limited').packetsIn === 100)
  const { rate } = crew.stats('/limited').drops
  t.ok(rate > 50 && rate < 101, `${rate} of 100 were too many`)
  await until(() => b.client.inbox.length >= 100 - rate)
  t.same(b.client.inbox.map(numberOf), Array.from({ length: 100 - rate }, (_, i) => 10 + i), 'the first ones came, and no others')
})

t.test('a slow receiver loses what is for it, and nobody else does', async (t) => {
  const members = await crew.populate(1, '/slow')
  const slow = await crew.deaf('10.77.0.200', '/slow')
  const a = members.find(({ worker }) => worker !== slow.worker) as Located
  const beside = members.find(({ worker }) => worker === slow.worker) as Located
  const [size, count] = [1300, 12_000]
  for (let i = 0; i < count; i += 100) {
    a.client.send(...Array.from({ length: 100 }, (_, k) => numbered(a.address, slow.address, i + k, size)), numbered(a.address, beside.address, i))
    await a.client.settled()
  }
  t.same((await take(beside.client, count / 100)).map(numberOf), Array.from({ length: count / 100 }, (_, i) => i * 100))
  const packetsIn = count + count / 100
  await until(() => {
    const { packetsOut, drops } = crew.stats('/slow')
    return packetsOut + drops.queue >= packetsIn
  })
  const { packetsOut, drops } = crew.stats('/slow')
  t.ok(drops.queue > 0, 'something was lost')
  t.equal(packetsOut + drops.queue, packetsIn)
  const slowNetwork = crew.server.relay.status().networks.find(({ path }) => path === '/slow')
  t.ok((slowNetwork?.members.find(({ address }) => address === slow.address)?.queued ?? 0) > 0, 'what waits for it can be seen')
  const numbers = (await take(new CandyClient(slow.link), packetsOut - count / 100)).map(numberOf)
  t.same(numbers, [...numbers].sort((x, y) => x - y), 'what has come is in order')
})
