/** Nodes and helpers on IPv4, IPv6 and both, by sockets of the system (SHOW CHAIN protocol, section 2.2). */
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { freePorts } from '../../../helpers/free-ports.ts'
import { batches, texts } from '../../../helpers/ends.ts'
import { eventually } from '../../../helpers/network/traffic.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { instant } from '../../../helpers/showchain/instant.ts'
import { ShowchainPeer } from '../../../../src/nodes/showchain/peer/peer.ts'
import type { Identity } from '../../../../src/nodes/showchain/protocol/identity.ts'
import { idText } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { addressFinder, withPlainAddresses } from '../../../../src/nodes/showchain/protocol/socket-addresses.ts'
import { serveShowchain } from '../../../../src/nodes/showchain/relay/server.ts'
import { acceptEach } from '../../../../src/transports/acceptor.ts'
import { tcp } from '../../../../src/transports/tcp.ts'
import { bindUdp } from '../../../../src/transports/udp/index.ts'
import { consume } from '../../../../src/streams/consume.ts'
import type { DatagramSocket } from '../../../../src/types.ts'

const hasIPv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === '::1')

const keyOf = (name: 'a' | 'b' | 'c'): Identity => instant(identity(name)) as unknown as Identity

interface Scene {
  /** Where sockets are bound. */
  helper: string
  target: string
  requester: string
  /** Where T and R look for the helper. */
  from: [target: string, requester: string]
  /** How packets go in the end. */
  isDirect: boolean
}

async function scene (t: Test, { helper, target, requester, from, isDirect }: Scene): Promise<void> {
  const [users] = await freePorts(1)
  const service = tcp.listen({ host: '127.0.0.1', port: 0 })
  acceptEach(service, (link) => { void link.sink(link.source) }, () => {}).catch(() => {})
  t.teardown(() => { service.close() })
  const server = await serveShowchain({ listen: { host: helper, port: 0 }, identity: keyOf('c'), bootstrap: [], threads: false })
  t.teardown(() => server.close())
  const port = Number(/\d+$/.exec(server.url)?.[0])
  const to = new ShowchainPeer({ identity: keyOf('b'), bootstrap: [{ host: from[0], port }], host: target, to: { host: '127.0.0.1', port: await service.port() }, allow: [identity('a').id], threads: false })
  t.teardown(() => to.close())
  await to.start()
  t.ok(await eventually(() => server.status().nodes === 1), 'T is registered')
  const peer = new ShowchainPeer({ identity: keyOf('a'), bootstrap: [{ host: from[1], port }], host: requester, connect: [{ id: idText(identity('b').id), listen: { host: '127.0.0.1', port: users } }], threads: false })
  t.teardown(() => peer.close())
  await peer.start()
  t.ok(await eventually(() => peer.isOnline), 'R is connected')
  const link = await tcp.dial({ host: '127.0.0.1', port: users })
  void link.sink(batches(texts('hello')))
  let text = ''
  for await (const batch of link.source) for (const bytes of batch) text += Buffer.from(bytes).toString()
  t.equal(text, 'hello')
  const path = () => peer.status().remotes[0].paths.find(({ isChosen }) => isChosen)
  if (isDirect) t.ok(await eventually(() => path()?.kind !== 'proxy' && path() !== undefined), 'it gets direct')
  else t.equal(path()?.kind, 'proxy')
  t.notMatch(JSON.stringify([peer.status().remotes, to.status().served, server.status(), server.explain(idText(identity('a').id))]), /::ffff:/, 'addresses of IPv4 have one form')
}

t.test('sockets of all families', { skip: hasIPv6 ? false : 'no IPv6' }, async (t) => {
  const v4 = '127.0.0.1'
  const v6 = '::1'
  const any = '::'
  const scenes: Array<[string, Scene]> = [
    ['all on IPv6', { helper: v6, target: v6, requester: v6, from: [v6, v6], isDirect: true }],
    ['all on both', { helper: any, target: any, requester: any, from: [v4, v4], isDirect: true }],
    ['all on both, by IPv6', { helper: any, target: any, requester: any, from: [v6, v6], isDirect: true }],
    ['all on both, the helper in the mapped form', { helper: any, target: any, requester: any, from: ['::ffff:127.0.0.1', '::FFFF:7f00:1'], isDirect: true }],
    ['a helper on both, R and T on IPv4', { helper: any, target: v4, requester: v4, from: [v4, v4], isDirect: true }],
    ['a helper on IPv4, R and T on both', { helper: v4, target: any, requester: any, from: [v4, v4], isDirect: true }],
    ['T on IPv4, R on both', { helper: any, target: v4, requester: any, from: [v4, v6], isDirect: true }],
    ['T on IPv4, R on IPv6: only by a proxy', { helper: any, target: v4, requester: v6, from: [v4, v6], isDirect: false }]
  ]
  for (const [name, one] of scenes) await t.test(name, (t) => scene(t, one))
})

t.test('helpers of both families, for nodes of either', { skip: hasIPv6 ? false : 'no IPv6' }, async (t) => {
  const servers = await Promise.all((['127.0.0.1', '::1'] as const).map((host, i) => serveShowchain({ listen: { host, port: 0 }, identity: keyOf(i === 0 ? 'b' : 'c'), bootstrap: [], threads: false })))
  for (const server of servers) t.teardown(() => server.close())
  const bootstrap = servers.map(({ url }) => {
    const [, host, port] = /^udp:\/\/\[?(.*?)\]?:(\d+)$/.exec(url) ?? []
    return { host, port: Number(port) }
  })
  for (const [host, states] of [['::', [1, 1]], ['127.0.0.1', [1, 0]], ['::1', [0, 1]]] as Array<[string, number[]]>) {
    const peer = new ShowchainPeer({ identity: keyOf('a'), bootstrap, host, to: { host: '127.0.0.1', port: 1 }, threads: false })
    await peer.start()
    const registered = (): number[] => peer.status().helpers.map(({ state }) => state === 'registered' ? 1 : 0)
    t.ok(await eventually(() => String(registered()) === String(states)), `${host}: ${registered().join()}`)
    await peer.close()
  }
})

t.test('the address that a socket reaches', async (t) => {
  const lookup = async () => [{ address: '2001:DB8:0::1', family: 6 }, { address: '192.0.2.1', family: 4 }]
  for (const [local, host, found] of [
    ['0.0.0.0', 'both.example', '192.0.2.1'], ['::', 'both.example', '2001:db8::1'], ['2001:db8::9', 'both.example', '2001:db8::1'], ['192.0.2.9', 'both.example', '192.0.2.1'],
    ['::', '192.0.2.7', '192.0.2.7'], ['::', '::ffff:192.0.2.7', '192.0.2.7'], ['::', '::FFFF:c000:207', '192.0.2.7'], ['0.0.0.0', '::ffff:192.0.2.7', '192.0.2.7'],
    ['::', '2001:DB8::0:7', '2001:db8::7'], ['::', 'fe80::1%eth0', 'fe80::1%eth0']
  ]) t.equal(await addressFinder(local, lookup)(host), found, `${host} from ${local}`)
  for (const [local, host] of [['0.0.0.0', '2001:db8::7'], ['::1', '192.0.2.7'], ['::1', '::ffff:192.0.2.7']]) await t.rejects(addressFinder(local, lookup)(host), { code: 'ENOTFOUND' }, `${host} from ${local}`)
  await t.rejects(addressFinder('::', async () => [])('none.example'), { code: 'ENOTFOUND' })
})

t.test('only mapped addresses are those of IPv4', async (t) => {
  const hosts = ['::ffff:192.0.2.1', '::ffff:0:c000:201', '::ffff:0:0:1', '2001:db8::1', '192.0.2.1']
  const batch = hosts.map((host) => ({ data: new Uint8Array(1), host, port: 1 }))
  const socket = { local: { host: '::', port: 1 }, source: (async function * () { yield batch })() } as unknown as DatagramSocket
  const heard: string[] = []
  for await (const batch of withPlainAddresses(socket).source) for (const { host } of batch) heard.push(host)
  t.same(heard, ['192.0.2.1', '::ffff:0:c000:201', '::ffff:0:0:1', '2001:db8::1', '192.0.2.1'])
})

t.test('a socket of both families hears IPv4 by its addresses', { skip: hasIPv6 ? false : 'no IPv6' }, async (t) => {
  const both = withPlainAddresses(await bindUdp({ host: '::', port: 0 }))
  const others = await Promise.all(['127.0.0.1', '::1'].map((host) => bindUdp({ host, port: 0 })))
  t.teardown(() => { for (const one of [both, ...others]) one.close() })
  const heard: string[] = []
  consume(both, (batch) => { for (const { host, port, data } of batch) { heard.push(host); both.port.send([{ data: Uint8Array.from(data), host, port }]) } }).catch(() => {})
  let answers = 0
  for (const one of others) consume(one, (batch) => { answers += batch.length }).catch(() => {})
  others.forEach((one) => { one.port.send([{ data: Buffer.from('x'), host: one.local.host, port: both.local.port }]) })
  t.ok(await eventually(() => answers === 2))
  t.same(heard.sort(), ['127.0.0.1', '::1'])
})
