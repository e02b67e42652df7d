/** A helper on IPv6, and other helpers by name (SHOW CHAIN protocol, sections 3.1, 4.1 and 5). */
import t from 'tap'
import { identity } from '../../../helpers/showchain/keys.ts'
import { hostOf, RelayLab } from '../../../helpers/showchain/relay-lab.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'

t.test('IPv6: registration, an introduction, answers for itself; limits by /64', async (t) => {
  const lab = await RelayLab.open()
  t.teardown(() => lab.close())
  const subnet = lab.network.subnet('2001:db8::/32')
  const host = (address: string) => lab.network.host({ on: subnet, address, name: address })
  const server = await lab.serve(host('2001:db8::1'), { identity: identity('g'), maxNodesPerSource: 2 })
  t.teardown(() => server.close())
  const helper = { host: '2001:db8::1', port: 7700 }
  const node = async (key: 'a' | 'b' | 'c' | 'd', address: string) => {
    const one = await lab.node(key, { host: host(address) })
    await one.prove(helper)
    one.send(one.request(Op.directRequest, server.relay.id), helper)
    await lab.settle()
    return { one, got: one.take().map(({ message }) => message) }
  }
  const [{ one: requester, got: [answer] }, { one: target }] = [await node('a', '2001:db8:0:1::1'), await node('b', '2001:db8:0:1::2')]
  t.ok(answer.sign)
  t.same(hostOf(answer), requester.endpoint)
  t.same((await node('c', '2001:db8:0:1::3')).got, [], 'a third one of this /64')
  t.equal((await node('d', '2001:db8:0:2::3')).got.length, 1)
  t.match(server.status(), { nodes: 3, sources: 2, drops: { full: 1 } })

  requester.send(requester.request(Op.natRequest, target.id), helper)
  await lab.settle()
  const [passed] = target.take()
  t.same(hostOf(passed.message), requester.endpoint)
  const { seq, ts, session } = passed.message
  target.sendSigned({ op: Op.responseAck, id: target.id, seq, ts, session }, helper)
  await lab.settle()
  t.same(requester.take().map(({ message }) => hostOf(message)), [target.endpoint])

  requester.send(requester.request(Op.natRequest, server.relay.id), helper)
  await lab.settle()
  const own = requester.take()
  t.same(own.map(({ message }) => message.op), [Op.response, Op.passResponseAck])
  t.same(own.map(({ from }) => [from.host, from.port === helper.port]), [[helper.host, false], [helper.host, true]])
})

t.test('other helpers by name: new ones are registered with, those that are left out forget it', async (t) => {
  const lab = await RelayLab.open()
  t.teardown(() => lab.close())
  const other = await lab.serve(lab.host('192.0.2.70'), { identity: identity('f') })
  const addresses = new Map([['one.example', '192.0.2.1'], ['two.example', '192.0.2.70']])
  const lookup = async (name: string) => [{ address: addresses.get(name) as string, family: 4 as const }]
  const server = await lab.serve(lab.host('192.0.2.71'), { identity: identity('g'), lookup, bootstrap: 'one.example:7700' })
  for (const each of [other, server]) t.teardown(() => each.close())
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await lab.clock.pass(20) // look-ups are promises
  }
  await settle()
  t.match(server.status().helpers, [{ name: 'one.example:7700', isRegistered: true }])
  server.configure({ bootstrap: 'one.example:7700,two.example:7700' })
  await settle()
  t.match(server.status().helpers, [{ name: 'one.example:7700', isRegistered: true }, { name: 'two.example:7700', isRegistered: true }])
  t.equal(lab.server.status().registered, 1, 'it has not registered with the first one again')
  server.configure({ bootstrap: 'two.example:7700' })
  await lab.clock.pass(61_000)
  t.match(server.status().helpers, [{ name: 'two.example:7700', isRegistered: true }])
  t.same([lab.server.status().nodes, other.status().nodes], [0, 1])
})
