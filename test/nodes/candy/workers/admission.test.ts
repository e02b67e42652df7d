/** Who comes in, and who goes, where several workers have the connections. */
import t from 'tap'
import { Secret } from '../../../../src/nodes/candy/protocol/hashes.ts'
import { encodeAuth, encodeDhcp } from '../../../../src/nodes/candy/protocol/handshake.ts'
import type { CandyNetworkInit } from '../../../../src/nodes/candy/index.ts'
import { CloseCode } from '../../../../src/transforms/websocket-frames/index.ts'
import { parseCidr, type Cidr } from '../../../../src/net/ipv4.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { addr, forward, PASSWORD, seconds, secret } from '../../../helpers/candy/client.ts'
import { until } from '../../../helpers/ends.ts'
import { heard, numbered, numberOf, serve, take, type Located } from '../../../helpers/candy/crew.ts'

const ALL = '255.255.255.255'
const network = (path: string, more: Partial<CandyNetworkInit> = {}): CandyNetworkInit => ({ path, password: PASSWORD, dhcp: '10.77.0.0/24', ...more })
const networks = [network('/entry'), network('/takeover'), network('/taps'), network('/settings'), network('/password'), network('/removed'), network('/counts')]
const listen = 'ws://127.0.0.1:0'
const crew = await serve(t, { listen, networks })
const { relay } = crew.server

t.test('what is written in one piece takes effect in order', async (t) => {
  const { client: other } = await crew.join('10.77.0.50', '/entry')
  for (let i = 1; i <= 8; i++) { // on both workers, one may suppose
    const address = `10.77.0.${i}`
    const client = await crew.connect('/entry')
    const dhcp = encodeDhcp({ secret, cidr: parseCidr(`${address}/24`) as Cidr, timestamp: seconds() })
    const auth = encodeAuth({ secret, address: addr(address), timestamp: seconds() })
    client.send(dhcp, auth, numbered(address, address, 1), numbered(address, '10.77.0.50', 2), auth, numbered(address, address, 3))
    const [reply, ...own] = await take(client, 3)
    t.equal(reply[0], 2, 'the answer to DHCP comes first')
    t.same(own.map(numberOf), [1, 3])
    t.equal(numberOf(await other.next()), 2)
  }
  t.match(crew.stats('/entry'), { peers: 9 })
})

t.test('a pong says that what came before it was taken', async (t) => {
  for (let i = 100; i < 108; i++) {
    const { client } = await crew.join(`10.77.0.${i}`, '/entry')
    t.ok([...relay.networks][0].get(addr(`10.77.0.${i}`)) !== undefined)
    t.same(client.inbox, [])
  }
})

t.test('an address is taken over from a connection of another worker, and of the same one', async (t) => {
  const [here, there, beside] = await crew.spread('/takeover')
  const watcher = await crew.join('10.77.0.200', '/takeover')
  for (const victim of [there, beside]) {
    const next: Located = { ...(await crew.join(victim.address, '/takeover')) }
    t.match(await victim.client.closed, { code: CloseCode.POLICY_VIOLATION, reason: 'address taken over by a newer connection' })
    for (const from of [here, watcher]) {
      from.client.send(numbered(from.address, victim.address, 5))
      t.equal(numberOf(await next.client.next()), 5)
    }
    next.client.send(numbered(victim.address, here.address, 6))
    t.equal(numberOf(await here.client.next()), 6)
  }
})

t.test('one that logs in again with another address has the new one only', async (t) => {
  const [here, there, beside] = await crew.spread('/takeover')
  await there.client.login('10.77.0.210')
  here.client.send(numbered(here.address, there.address, 1), numbered(here.address, '10.77.0.210', 2))
  t.equal(numberOf(await there.client.next()), 2)
  beside.client.send(numbered(beside.address, '10.77.0.210', 3))
  t.equal(numberOf(await there.client.next()), 3)
  there.client.send(numbered(there.address, here.address, 4))
  t.equal((await heard(beside, here)).length, 0, 'it may not speak for the old one')
})

t.test('a tap sees what is sent once, and in order', async (t) => {
  const [a, b] = await crew.spread('/taps')
  const seen: string[] = []
  const stop = relay.tap({ network: '/taps', address: addr(a.address) }, (messages, direction) => { for (const message of messages) seen.push(`${direction} ${toHex(message)}`) })
  const auth = encodeAuth({ secret, address: addr(a.address), timestamp: seconds() })
  const sent = [numbered(a.address, b.address, 1), auth, numbered(a.address, a.address, 2), numbered(a.address, b.address, 3)]
  await a.client.settled() // the order to copy has come before the answer to something that is decided upon
  a.client.vmac('aaaaaaaaaaaaaaaa')
  await a.client.settled()
  await until(() => seen.length > 0)
  seen.length = 0
  a.client.send(...sent)
  t.equal(numberOf(await a.client.next()), 2)
  t.same((await take(b.client, 2)).map(numberOf), [1, 3])
  b.client.send(numbered(b.address, a.address, 9))
  t.equal(numberOf(await a.client.next()), 9)
  await until(() => seen.some((line) => line.startsWith('out') && line.endsWith(toHex(numbered(b.address, a.address, 9)))))
  t.same(seen.filter((line) => line.startsWith('in')), sent.map((message) => `in ${toHex(message)}`))
  t.same(seen.filter((line) => line.startsWith('out')), [numbered(a.address, a.address, 2), numbered(b.address, a.address, 9)].map((message) => `out ${toHex(message)}`))
  stop()
  const count = seen.length
  a.client.send(numbered(a.address, b.address, 4))
  await b.client.next()
  a.client.vmac('aaaaaaaaaaaaaaaa')
  await a.client.settled()
  t.equal(seen.length, count, 'nothing after its end')
})

t.test('refusals', async (t) => {
  const codes: Record<string, (client: Located) => void> = {
    unauthenticated: ({ client }) => { client.send(forward('10.77.0.1', '10.77.0.2')) },
    password: ({ client }) => { client.send(encodeAuth({ secret: new Secret('wrong'), address: 1, timestamp: seconds() })) },
    clock: ({ client }) => { client.send(encodeAuth({ secret, address: addr('10.77.0.1'), timestamp: seconds() - 1000 })) },
    malformed: ({ client }) => { client.send(new Uint8Array([1, 2, 3])) }
  }
  for (const [why, act] of Object.entries(codes)) {
    const client = await crew.connect('/entry')
    const before = crew.stats('/entry').refused[why as 'password']
    act({ client } as Located)
    t.match(await client.closed, { code: why === 'malformed' ? CloseCode.PROTOCOL_ERROR : CloseCode.POLICY_VIOLATION }, why)
    await until(() => crew.stats('/entry').refused[why as 'password'] === before + 1)
  }
  t.match(await (await crew.connect('/none')).closed, { code: CloseCode.POLICY_VIOLATION, reason: 'unknown network' })
  const large = await crew.connect('/entry')
  large.send(new Uint8Array(1501))
  t.match(await large.closed, { code: CloseCode.TOO_BIG }, 'what the layer below refuses is told as well')
  await until(() => crew.stats('/entry').refused.malformed === 2)
})

t.test('settings that hold at once', async (t) => {
  const [a, b] = await crew.spread('/settings')
  const configure = async (more: Partial<CandyNetworkInit>): Promise<void> => {
    await crew.server.configure({ listen, networks: networks.map((init) => init.path === '/settings' ? { ...init, ...more } : init) })
    a.client.vmac('aaaaaaaaaaaaaaaa') // orders that came before its answer have been obeyed
    await a.client.settled()
  }
  const own = numbered(a.address, a.address, 77)
  /** Whether a message of one gets to the other; another worker may take its time with it, its sender's counts what it drops. */
  const comes = async (message: Uint8Array): Promise<boolean> => {
    const before = crew.stats('/settings')
    a.client.send(message, own)
    t.equal(numberOf(await a.client.next()), 77)
    await until(() => crew.stats('/settings').packetsIn === before.packetsIn + 2)
    const { drops } = crew.stats('/settings')
    if (Object.entries(drops).some(([why, count]) => count > before.drops[why as 'source'])) return false
    await b.client.next()
    return true
  }
  t.ok(await comes(forward(a.address, ALL)))
  await configure({ broadcast: false })
  t.notOk(await comes(forward(a.address, ALL)))
  await configure({ isolate: true })
  t.notOk(await comes(forward(a.address, b.address)))
  await configure({})
  t.notOk(await comes(forward('9.9.9.9', b.address)))
  await configure({ sourceCheck: 'off' })
  t.ok(await comes(forward('9.9.9.9', b.address)))
})

t.test('another password ends those who came in with the old one; a network that is no more ends with what it has counted', async (t) => {
  const [a] = await crew.spread('/password')
  const [gone, other] = await crew.spread('/removed')
  const { packetsIn } = relay.stats
  const sent = 200
  gone.client.send(...Array.from({ length: sent }, (_, i) => numbered(gone.address, other.address, i)))
  await take(other.client, sent)
  const kept = networks.filter(({ path }) => path !== '/removed').map((init) => init.path === '/password' ? { ...init, password: 'another' } : init)
  t.match(await crew.server.configure({ listen, networks: [...kept, network('/new')] }), { added: ['/new'], removed: ['/removed'] })
  t.match(await a.client.closed, { code: CloseCode.SERVICE_RESTART, reason: 'the network has changed' })
  t.match(await gone.client.closed, { code: CloseCode.SERVICE_RESTART, reason: 'the network is no more' })
  await until(() => relay.stats.packetsIn === packetsIn + sent)
  t.ok((await crew.join('10.77.0.1', '/new')).client.inbox.length === 0)
  const old = await crew.connect('/password')
  await old.login('10.77.0.1')
  t.match(await old.closed, { reason: 'wrong password' })
  const next = await crew.connect('/password', {}, 'another')
  t.equal(await next.join('bbbbbbbbbbbbbbbb'), '10.77.0.1/24')
})

t.test('what is left when everybody has left', async (t) => {
  const before = relay.stats.connections
  const members = await crew.populate(3, '/counts')
  for (const { client, address } of members) client.send(...members.map((to) => numbered(address, to.address, 1)))
  for (const { client } of members) await take(client, members.length)
  for (const [i, { client }] of members.entries()) {
    if (i % 2 === 0) client.link.close()
    else client.link.abort(new Error('it is gone'))
  }
  await until(() => relay.stats.connections === before)
  const all = members.length ** 2
  await until(() => crew.stats('/counts').packetsOut === all)
  t.match(crew.stats('/counts'), { peers: 0, packetsIn: all, packetsOut: all, drops: { queue: 0, destination: 0 } })
  await until(() => relay.stats.halfOpen === 0)
})

t.test('the end says goodbye to all', async (t) => {
  const members = await crew.populate(2, '/counts')
  const { connections } = relay.stats
  const open = await crew.connect('/counts')
  await until(() => relay.stats.connections > connections) // it has been accepted
  await Promise.all([crew.server.close(), crew.server.close()])
  for (const client of [open, ...members.map(({ client }) => client)]) t.same(await client.closed, { code: 1000, reason: '' })
  t.match(relay.stats, { connections: 0, peers: 0 })
})
