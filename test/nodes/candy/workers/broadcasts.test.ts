/** What messages to all may cost where several workers have the members. */
import t from 'tap'
import { encodeDiscovery, MIN_LENGTH } from '../../../../src/nodes/candy/protocol/messages.ts'
import { addr, PASSWORD } from '../../../helpers/candy/client.ts'
import { until } from '../../../helpers/ends.ts'
import { heard, serve, type Located } from '../../../helpers/candy/crew.ts'

const ALL = '255.255.255.255'

function discovery ({ address }: Located): Uint8Array {
  const message = new Uint8Array(1500).fill(0xaa)
  message.set(encodeDiscovery({ source: addr(address), destination: addr(ALL) }))
  return message
}

t.test('a flood of DISCOVERY with long tails: each worker passes its part of it, without the tails, and --broadcast-rate holds at once', async (t) => {
  // At this rate what is common gives a worker one message, and the next one in a minute.
  const base = { password: PASSWORD, dhcp: '10.77.0.0/24', broadcast: false }
  const crew = await serve(t, { ...base, broadcastRate: 1 })
  const members = await crew.populate(8)
  const count = 100
  const [a, b] = [0, 1].map((worker) => members.find((member) => member.worker === worker) as Located)
  const others = members.filter((member) => member !== a && member !== b)
  const flood = async (from: Located, others: Located[]): Promise<number[][]> => {
    const { packetsIn } = crew.stats()
    from.client.send(...Array.from({ length: count }, () => discovery(from)))
    const messages = []
    for (const to of others) messages.push((await heard(from, to)).map(({ length }) => length))
    await until(() => crew.stats().packetsIn === packetsIn + count + others.length)
    return messages
  }
  const once = others.map(() => [MIN_LENGTH.DISCOVERY])
  t.same(await flood(a, others), once)
  t.same(await flood(b, others), once, 'what members of another worker do costs this one nothing')
  t.equal(crew.stats().drops.broadcast, 2 * (count - 1), 'the rest is counted')
  t.same(await flood(b, others), others.map(() => []))
  await crew.server.configure({ ...base, listen: 'ws://127.0.0.1:0', broadcastRate: 999_999_999 })
  t.same(await flood(a, others), others.map(() => Array(count).fill(MIN_LENGTH.DISCOVERY)))
  t.equal(crew.stats().drops.broadcast, 3 * count - 2)
})
