/** Several networks in one relay: by path, apart from each other, each with settings of its own. */
import t, { type Test } from 'tap'
import { CandyRelay, type CandyNetworkInit, type CandyRelayOptions } from '../../../src/nodes/candy/index.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { encodeConn, encodeDiscovery, encodeGeneral } from '../../../src/nodes/candy/protocol/messages.ts'
import { normalPath } from '../../../src/nodes/candy/relay/network-path.ts'
import { CloseCode } from '../../../src/transforms/websocket-frames/index.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { addr, connect, forward, received, type Connected } from '../../helpers/candy/client.ts'

function start (t: Test, networks: CandyNetworkInit[], init: CandyRelayOptions = {}): CandyRelay {
  const relay = new CandyRelay({ networks, ...init })
  t.teardown(() => relay.close())
  return relay
}

async function member (relay: CandyRelay, path: string, password: string, address: string): Promise<Connected> {
  const client = connect(relay, { path, secret: new Secret(password) })
  await client.login(address)
  return client
}

const unknown = { code: CloseCode.POLICY_VIOLATION, reason: 'unknown network' }

t.test('paths, as clients send them', async (t) => {
  for (const [url, path] of [
    ['/', '/'], ['', '/'], ['/?x=1', '/'], ['//', '/'], ['/alice', '/alice'], ['/alice/', '/alice'], ['/alice/home?x=/y', '/alice/home'], ['/%61lice', '/alice'],
    ['/a.b~c@d-e_f', '/a.b~c@d-e_f'], ['/%40/%40', '/@/@']
  ]) t.equal(normalPath(url), path, url)
  for (const url of ['/a b', '/a%20b', '/%', '/a//b', '/../%00', 'alice', '*', '/ä', `/${'x'.repeat(256)}`]) t.equal(normalPath(url), undefined, url)
})

t.test('case 31: networks by path, and nothing crosses', async (t) => {
  const relay = start(t, [
    { path: '/', password: 'root', dhcp: '10.0.0.0/24' },
    { path: '/alice', password: 'alice', dhcp: '10.0.0.0/24' },
    { path: '/alice/home', password: 'home', dhcp: '10.0.0.0/24' }
  ])
  const [root, alice, home, other] = [
    await member(relay, '/', 'root', '10.0.0.1'), await member(relay, '/alice', 'alice', '10.0.0.1'),
    await member(relay, '/alice/home?x', 'home', '10.0.0.1'), await member(relay, '/alice/', 'alice', '10.0.0.2')
  ]
  t.equal(relay.stats.peers, 4, 'one address, three networks')
  const [source, destination] = [addr('10.0.0.2'), addr('10.0.0.1')]
  const messages = [
    forward('10.0.0.2', '10.0.0.1'), forward('10.0.0.2', '255.255.255.255'), encodeConn({ source, destination, address: 1, port: 1 }),
    encodeDiscovery({ source, destination: 0xffffffff }), encodeGeneral({ subtype: 0, extra: 0, source, destination: 0xffffffff, data: hex('') })
  ]
  other.send(...messages)
  t.same(await received(other, alice, root, home), [messages.map(toHex), [], []])

  for (const path of ['/nobody1', '/alice/a_b', '/alice/home/cellar', '/Alice', '/alice/../', '/%', '/alice%2fhome/x']) {
    const client = connect(relay, { path, secret: new Secret('alice') })
    await client.login('10.0.0.9')
    t.same(await client.closed, unknown, path)
  }
  t.equal(relay.stats.refused.path, 7)
  for (const [path, password] of [['/alice', 'root'], ['/', 'alice'], ['/alice/home', 'alice']]) {
    t.match(await (await member(relay, path, password, '10.0.0.3')).closed, { reason: 'wrong password' }, `${password} at ${path}`)
  }
  t.equal(relay.stats.peers, 4)
  t.equal(relay.limiter.stats.connections, 4, 'those that were refused are gone')
})

t.test('case 31: one network without a path is selected by every path', async (t) => {
  const relay = start(t, [{ password: 'x', dhcp: '10.0.0.0/24' }])
  const clients = await Promise.all(['/', '/alice', '/alice/a_b', '/nobody1', '/a b%', '*'].map(async (path, i) => await member(relay, path, 'x', `10.0.0.${1 + i}`)))
  clients[0].send(forward('10.0.0.1', '10.0.0.6'))
  t.equal((await received(clients[0], clients[5]))[0].length, 1)
  const withPath = start(t, [{ path: '/alice', password: 'x' }])
  t.same(await connect(withPath, { path: '/' }).closed, unknown, 'as soon as it has a path, other paths are closed')
})

t.test('dynamic addresses, leases and statistics are those of the network', async (t) => {
  const relay = start(t, [{ path: '/a', password: 'a', dhcp: '10.1.0.0/30' }, { path: '/b', password: 'b', dhcp: '10.2.0.0/24' }])
  const join = async (path: string, password: string, vmac: string): Promise<string | undefined> => await connect(relay, { path, secret: new Secret(password) }).join(vmac)
  t.same([await join('/a', 'a', 'aaaaaaaaaaaaaaaa'), await join('/a', 'a', 'bbbbbbbbbbbbbbbb'), await join('/a', 'a', 'cccccccccccccccc')], ['10.1.0.1/30', '10.1.0.2/30', undefined])
  t.equal(await join('/b', 'b', 'aaaaaaaaaaaaaaaa'), '10.2.0.1/24', 'a full network is full for its own only')
  t.same(JSON.parse(JSON.stringify(relay.leases)), { '/a': [['aaaaaaaaaaaaaaaa', '10.1.0.1'], ['bbbbbbbbbbbbbbbb', '10.1.0.2']], '/b': [['aaaaaaaaaaaaaaaa', '10.2.0.1']] })
  t.match([...relay.networks].map(({ stats, settings }) => [settings.path, stats.peers, stats.refused.pool]), [['/a', 2, 1], ['/b', 1, 0]])
  t.match(relay.stats, { peers: 3, refused: { pool: 1 } })
})

t.test('a network without broadcast', async (t) => {
  const relay = start(t, [{ password: 'x', dhcp: '10.0.0.0/24', broadcast: false }])
  const [a, b] = [await member(relay, '/', 'x', '10.0.0.1'), await member(relay, '/', 'x', '10.0.0.2')]
  const source = addr('10.0.0.1')
  const discovery = encodeDiscovery({ source, destination: 0xffffffff })
  a.send(...['255.255.255.255', '10.0.0.255', '224.0.0.251'].map((to) => forward('10.0.0.1', to)), discovery, encodeGeneral({ subtype: 0, extra: 0, source, destination: 0xffffffff, data: hex('') }))
  t.same(await received(a, b), [[toHex(discovery)]], 'only what members find each other by')
  t.equal(relay.stats.drops.broadcast, 4)
})

t.test('isolated members reach only the gateways of their routes, and those reach them', async (t) => {
  const sdwan = '10.0.0.0/28,172.16.0.0/16,10.0.0.1;10.0.0.3/32,172.17.0.0/16,10.0.0.20'
  const relay = start(t, [{ password: 'x', dhcp: '10.0.0.0/24', sdwan, isolate: true }])
  const [gateway, a, b, second] = await Promise.all(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.20'].map((address) => member(relay, '/', 'x', address)))
  const names = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.20']
  const clients = [gateway, a, b, second]
  const reached: string[][] = []
  for (const [i, from] of clients.entries()) {
    for (const client of clients) client.inbox.length = 0
    from.send(...names.map((to) => forward(names[i], to)))
    const got = await received(from, ...clients)
    reached.push(names.filter((_, j) => got[j].length > 0))
  }
  t.same(reached, [
    ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
    ['10.0.0.1', '10.0.0.2'],
    ['10.0.0.1', '10.0.0.3', '10.0.0.20'],
    ['10.0.0.3', '10.0.0.20']
  ])
  t.equal(relay.stats.drops.isolated, 6)
  const [source] = [addr('10.0.0.2')]
  const all = [forward('10.0.0.2', '255.255.255.255'), encodeDiscovery({ source, destination: 0xffffffff })]
  a.send(...all, encodeConn({ source, destination: addr('10.0.0.3'), address: 1, port: 1 }), encodeDiscovery({ source, destination: addr('10.0.0.3') }), encodeGeneral({ subtype: 0, extra: 0, source, destination: addr('10.0.0.3'), data: hex('') }))
  t.same(await received(a, gateway, b, second), [all.map(toHex), [], []], 'nor do messages of other kinds, or those to all')
  gateway.send(forward('172.16.5.5', '10.0.0.2'))
  t.equal((await received(gateway, a))[0].length, 1, 'the network behind a gateway is reached')
})

t.test('nobody takes the place of a gateway where members are kept apart', async (t) => {
  const relay = start(t, [{ password: 'x', dhcp: '10.0.0.0/24', sdwan: '10.0.0.0/24,172.16.0.0/16,10.0.0.1', isolate: true }])
  const device = async (vmac: string, address: string): Promise<Connected> => {
    const client = connect(relay, { secret: new Secret('x') })
    client.vmac(vmac)
    return await client.login(address) as Connected
  }
  const gateway = await device('gateway         ', '10.0.0.1')
  for (const vmac of ['thief           ', undefined]) {
    const thief = vmac === undefined ? await member(relay, '/', 'x', '10.0.0.1') : await device(vmac, '10.0.0.1')
    t.match(await thief.closed, { reason: 'address in use by another device' })
  }
  gateway.link.close()
  await gateway.served
  t.match(await (await device('thief           ', '10.0.0.1')).closed, { reason: 'address in use by another device' }, 'nor while it is away')
  const back = await device('gateway         ', '10.0.0.1')
  const [a] = [await device('somebody        ', '10.0.0.2')]
  back.inbox.length = 0
  a.send(forward('10.0.0.2', '10.0.0.1'))
  t.equal((await received(a, back))[0].length, 1)
})

t.test('the address of a gateway that is away is offered to nobody else where members are kept apart, also when no other is left', async (t) => {
  for (const isolate of [true, false]) {
    const relay = start(t, [{ password: 'x', dhcp: '10.0.0.0/30', sdwan: '10.0.0.0/30,172.16.0.0/16,10.0.0.1', isolate }])
    const open = (): Connected => connect(relay, { secret: new Secret('x') })
    const gateway = open()
    t.equal(await gateway.join('gateway         '), '10.0.0.1/30')
    t.equal(await open().join('somebody        '), '10.0.0.2/30')
    gateway.link.close()
    await gateway.served
    const stranger = open()
    t.equal(await stranger.join('stranger        '), isolate ? undefined : '10.0.0.1/30', `isolate: ${isolate}`)
    if (!isolate) continue
    t.match(await stranger.closed, { reason: 'no free address' })
    t.equal(await open().join('gateway         '), '10.0.0.1/30', 'its own device gets it')
  }
})

t.test('a network is full', async (t) => {
  const relay = start(t, [{ path: '/small', password: 'x', maxPeers: 2 }, { path: '/other', password: 'x' }])
  const [a, b] = [await member(relay, '/small', 'x', '10.0.0.1'), await member(relay, '/small', 'x', '10.0.0.2')]
  t.same(await (await member(relay, '/small', 'x', '10.0.0.3')).closed, { code: CloseCode.TRY_AGAIN_LATER, reason: 'the network is full' })
  t.equal(relay.stats.refused.full, 1)
  await b.login('10.0.0.4')
  a.send(forward('10.0.0.1', '10.0.0.4'))
  t.equal((await received(a, b))[0].length, 1, 'who is in may change its address')
  await member(relay, '/small', 'x', '10.0.0.1')
  t.match(await a.closed, { reason: /newer connection/ }, 'and come back')
  await member(relay, '/other', 'x', '10.0.0.3')
  t.equal(relay.stats.peers, 3)
})

t.test('what one member may send', async (t) => {
  const relay = start(t, [{ path: '/packets', password: 'x', packetRate: 5 }, { path: '/bytes', password: 'x', byteRate: 3000 }])
  for (const [path, size, passed] of [['/packets', 8, 5], ['/bytes', 1000, 2]] as const) {
    const [sender, other, receiver] = await Promise.all(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => member(relay, path, 'x', address)))
    sender.send(...Array.from({ length: 8 }, () => forward('10.0.0.1', '10.0.0.3', size)))
    t.equal((await received(sender, receiver))[0].length, passed, path)
    await sender.login('10.0.0.77')
    await sender.login('10.0.0.1')
    sender.send(forward('10.0.0.1', '10.0.0.3', size))
    t.same(await received(sender, receiver), [[]], 'another address is no other member')
    other.send(forward('10.0.0.2', '10.0.0.3', size))
    t.equal((await received(other, receiver))[0].length, 1, 'others have their own')
  }
  t.equal(relay.stats.drops.rate, 3 + 6 + 2)
  t.equal(relay.stats.packetsIn, 20, 'what was dropped has come in')
})

t.test('networks that cannot be', async (t) => {
  for (const networks of [
    [],
    [{ password: 'x' }, { password: 'y' }],
    [{ path: '/a', password: 'x' }, { password: 'y' }],
    [{ path: '/a', password: 'x' }, { path: '/a', password: 'y' }],
    [{ path: '/a/', password: 'x' }],
    [{ path: 'a', password: 'x' }],
    [{ path: '/a b', password: 'x' }],
    [{ path: '/a', password: 'x', dhcp: '10.0.0.0/31' }],
    [{ path: '/a', password: undefined as unknown as string }],
    [{ path: '/a', password: 'x', maxPeers: 0 }],
    [{ path: '/a', password: 'x', packetRate: 0.5 }],
    [{ path: '/a', password: 'x', byteRate: 1499 }]
  ]) t.throws(() => new CandyRelay({ networks }), { code: 'ERR_OPTION' }, JSON.stringify(networks))
})
