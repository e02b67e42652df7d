/** Hosts, ways between subnets, partitions, the trace, and bounds. */
import t from 'tap'
import { failureOf } from '../../../helpers/ends.ts'
import { endpoint, talker, text, told, type Talker } from '../../../helpers/transports/simulation.ts'
import { formatEvent, SimulatedNetwork, type HostInit, type SimulatedHost, type SimulatedNetworkInit, type Subnet } from '../../../../src/transports/memory/index.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'

/** Hosts of one subnet, each with a socket. */
async function hosts (count: number, init: SimulatedNetworkInit = {}): Promise<{ network: SimulatedNetwork, subnet: Subnet, all: SimulatedHost[], talkers: Talker[] }> {
  const network = new SimulatedNetwork(init)
  const subnet = network.subnet('192.0.2.0/24')
  const all = Array.from({ length: count }, (_value, i) => network.host({ on: subnet, address: `192.0.2.${i + 1}` }))
  return { network, subnet, all, talkers: await Promise.all(all.map((host) => talker(host))) }
}

t.test('sockets: ports of their own, free ones, those in use, and any address', async (t) => {
  const { network, subnet, all: [a, b] } = await hosts(2)
  const [first, second] = [await a.bindUdp(), await a.bindUdp()]
  t.not(first.local.port, second.local.port)
  t.match(await failureOf(a.bindUdp({ port: first.local.port })), { code: 'EADDRINUSE' })
  t.ok(await b.bindUdp({ port: first.local.port }), 'that of another host')
  first.close()
  t.equal((await a.bindUdp({ port: first.local.port })).local.port, first.local.port)
  t.match(await failureOf(a.bindUdp({ host: '192.0.2.2' })), { code: 'EADDRNOTAVAIL' })
  t.match(await failureOf(a.bindUdp({ host: 'name.example' })), { code: 'EADDRNOTAVAIL' })
  for (const port of [-1, 65_536, 1.5]) t.match(await failureOf(a.bindUdp({ port })), { code: 'ERR_OPTION' })
  for (const limit of [0, NaN]) for (const name of ['sendLimit', 'receiveLimit']) t.match(await failureOf(a.bindUdp({ [name]: limit })), { code: 'ERR_OPTION' })
  b.join({ on: network.subnet('10.0.0.0/8'), address: '10.0.0.1' })
  const any = await talker(network.host({ on: subnet, address: ['192.0.2.8', '192.0.2.9'] }), 9, {})
  t.equal(any.local.host, '192.0.2.8')
  const all9 = await b.bindUdp({ host: '0.0.0.0', port: 9 })
  t.same(all9.local, { host: '0.0.0.0', port: 9 })
  all9.port.send([{ data: Buffer.from('x'), ...any.local }])
  await network.clock.pass(10)
  t.same(any.heard, [['x', '192.0.2.2:9']], 'from the address that leads there')
})

t.test('sockets: an address that stands for others shares no port with those', async (t) => {
  const network = new SimulatedNetwork()
  const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::1']
  const host = network.host({ on: network.subnet(['192.0.2.0/24', '2001:db8::/64']), address: addresses })
  const all = [...addresses, '0.0.0.0', '::', '127.0.0.1', '::1']
  for (const [i, one] of all.entries()) {
    for (const [j, other] of all.entries()) {
      const port = 1000 + i * all.length + j
      const first = await host.bindUdp({ host: one, port })
      const isAny = (any: string): boolean => one === any || other === any
      const meet = one === other || isAny('::') || (isAny('0.0.0.0') && !one.includes(':') && !other.includes(':'))
      const second = host.bindUdp({ host: other, port })
      if (!meet) (await second).close()
      else t.match(await failureOf(second), { code: 'EADDRINUSE' }, `${one} and ${other}`)
      first.close()
      ;(await host.bindUdp({ host: other, port })).close()
    }
  }
  const free = await host.bindUdp({ host: '0.0.0.0' })
  t.not((await host.bindUdp({ host: '::' })).local.port, free.local.port)
  t.pass()
})

t.test('a host reaches itself, by its address and by loopback', async (t) => {
  const { network, all: [a] } = await hosts(1)
  const [one, other] = [await talker(a), await talker(a)]
  t.equal(await told(network, one, other), text(one.local))
  const local = await a.bindUdp({ host: '127.0.0.1', port: 53 })
  local.port.send([{ data: Buffer.from('x'), host: '127.0.0.1', port: 53 }, { data: Buffer.from('y'), host: '127.0.0.1', port: 54 }])
  const { value } = await network.clock.until(local.source[Symbol.asyncIterator]().next())
  t.match(value, [{ host: '127.0.0.1', port: 53 }])
  await network.clock.pass(10)
  t.equal(local.errors.unreachable, 1, 'nobody at the port')
})

t.test('nobody at the port, no such host, no way, and what none can have', async (t) => {
  const { network, all: [, b], talkers: [a] } = await hosts(2)
  const { errors } = a.socket
  a.say({ host: b.addresses[0], port: 1 })
  await network.clock.pass(10)
  t.same([errors.unreachable, network.counts.noPort], [1, 1])
  a.say({ host: '192.0.2.77', port: 1 })
  await network.clock.pass(10)
  t.same([errors.unreachable, network.counts.noHost], [2, 1])
  a.say({ host: '198.51.100.1', port: 1 })
  t.same([errors.unreachable, network.counts.noRoute], [3, 1], 'known at once')
  for (const [host, port] of [['name.example', 1], ['192.0.2', 1], ['192.0.2.2', 0], ['192.0.2.2', 65_536], ['2001:db8::1', 1]] as const) a.say({ host, port })
  t.match(errors, { unreachable: 3, other: 5 })
  t.equal(network.counts.sent, 4, 'two, and as many answers of ICMP')
})

t.test('IPv6, both families at once, and all addresses', async (t) => {
  const network = new SimulatedNetwork()
  const both = network.subnet(['192.0.2.0/24', '2001:db8::/64'])
  const [a, b] = [network.host({ on: both, address: ['192.0.2.1', '2001:DB8:0:0::1'] }), network.host({ on: both, address: ['192.0.2.2', '2001:db8::2'] })]
  t.same(a.addresses, ['192.0.2.1', '2001:db8::1'])
  const service = await b.bindUdp({ host: '::', port: 7 })
  const [v4, v6] = [await a.bindUdp({ host: '192.0.2.1' }), await a.bindUdp({ host: '2001:db8::1' })]
  v4.port.send([{ data: Buffer.from('4'), host: '192.0.2.2', port: 7 }])
  v6.port.send([{ data: Buffer.from('6'), host: '2001:db8:0::2', port: 7 }])
  await network.clock.pass(10)
  const { value } = await service.source[Symbol.asyncIterator]().next()
  t.match(value, [{ host: '192.0.2.1' }, { host: '2001:db8::1' }])
  service.port.send([{ data: Buffer.from('x'), host: '192.0.2.1', port: v4.local.port }, { data: Buffer.from('y'), host: '2001:db8::1', port: v6.local.port }])
  await network.clock.pass(10)
  t.match((await v4.source[Symbol.asyncIterator]().next()).value, [{ host: '192.0.2.2', port: 7 }])
  t.match((await v6.source[Symbol.asyncIterator]().next()).value, [{ host: '2001:db8::2', port: 7 }])
})

t.test('a firewall: no translation, and only what was asked for', async (t) => {
  for (const [filtering, byServer, byOther] of [[undefined, true, false], ['address-and-port-dependent', true, false], ['endpoint-independent', true, true], ['none', true, true]] as const) {
    const network = new SimulatedNetwork()
    const [internet, home] = [network.subnet('::/0'), network.subnet('2001:db8:1::/64')]
    network.firewall({ inside: home, outside: internet, filtering, timeout: 30_000 })
    const alice = await talker(network.host({ on: home, address: '2001:db8:1::2' }))
    const [server, other] = [await talker(network.host({ on: internet, address: '2001:db8:2::1' })), await talker(network.host({ on: internet, address: '2001:db8:2::2' }))]
    t.equal(await told(network, other, alice), filtering === 'none' ? text(other.local) : undefined)
    t.equal(await told(network, alice, server), text(alice.local))
    t.equal(await told(network, server, alice), byServer ? text(server.local) : undefined)
    t.equal(await told(network, other, alice), byOther ? text(other.local) : undefined, String(filtering))
    await network.clock.pass(30_000)
    t.equal(await told(network, server, alice), filtering === 'none' ? text(server.local) : undefined, 'the time is over')
  }
})

t.test('a firewall of IPv6 beside a NAT of IPv4; a router of IPv4', async (t) => {
  const network = new SimulatedNetwork()
  const internet = network.subnet(['0.0.0.0/0', '::/0'])
  const home = network.subnet(['192.168.1.0/24', '2001:db8:1::/64'])
  const office = network.subnet('10.1.0.0/16')
  network.nat({ inside: home, outside: internet, address: '203.0.113.7' })
  network.firewall({ inside: home, outside: internet })
  network.firewall({ inside: office, outside: internet, family: 'ipv4', filtering: 'none' })
  const alice = network.host({ on: home, address: ['192.168.1.2', '2001:db8:1::2'] })
  const server = network.host({ on: internet, address: ['198.51.100.1', '2001:db8:2::1'] })
  const clerk = await talker(network.host({ on: office, address: '10.1.0.1' }))
  const service = await server.bindUdp({ host: '::', port: 7 })
  const socket = await alice.bindUdp({ host: '::' })
  const data = Buffer.from('x')
  socket.port.send([{ data, host: '198.51.100.1', port: 7 }, { data, host: '2001:db8:2::1', port: 7 }, { data, ...clerk.local }])
  await network.clock.pass(10)
  t.same((await service.source[Symbol.asyncIterator]().next()).value.map(({ host }: { host: string }) => host), ['203.0.113.7', '2001:db8:1::2'])
  t.equal(endpoint(clerk.heard[0]?.[1]).host, '203.0.113.7')
  t.throws(() => network.firewall({ inside: home, outside: internet }), { code: 'ERR_OPTION' })
  t.throws(() => network.firewall({ inside: office, outside: internet }), { code: 'ERR_OPTION' }, 'it has no network of IPv6')
  t.throws(() => network.firewall({ inside: network.subnet('::/0'), outside: internet, filtering: 'open' as 'none' }), { code: 'ERR_OPTION' })
})

t.test('gateways that send to each other: a packet ends somewhere', async (t) => {
  const network = new SimulatedNetwork()
  const [one, two] = [network.subnet('10.1.0.0/16'), network.subnet('10.2.0.0/16')]
  network.firewall({ inside: one, outside: two, family: 'ipv4', filtering: 'none' })
  network.firewall({ inside: two, outside: one, family: 'ipv4', filtering: 'none' })
  const a = await talker(network.host({ on: one, address: '10.1.0.1' }))
  a.say({ host: '10.3.0.1', port: 1 })
  await network.clock.pass(1000)
  t.equal(network.counts.hopsExceeded, 1)
})

t.test('a device moves to another network: its sockets stay, its address does not', async (t) => {
  const { network, subnet, all: [a], talkers: [here, there] } = await hosts(2)
  const mobile = network.subnet('10.0.0.0/8')
  network.nat({ inside: mobile, outside: subnet, address: '192.0.2.200' })
  const roaming = await a.bindUdp({ host: '0.0.0.0' })
  there.say(here.local)
  a.leave(a.interfaces[0])
  await network.clock.pass(10)
  t.same(here.heard, [], 'what was on its way is lost')
  a.join({ on: mobile, address: '10.0.0.5' })
  roaming.port.send([{ data: Buffer.from('moved'), ...there.local }])
  await network.clock.pass(10)
  t.match(there.heard, [['moved', /^192\.0\.2\.200:/]])
  here.say(there.local)
  t.equal(here.socket.errors.unreachable, 1, 'a socket that is bound to the old address')
  network.host({ on: subnet, address: '192.0.2.1' })
})

t.test('partitions: between groups, from all others, one at a time, and with packets on their way', async (t) => {
  const { network, all: [a, b, c], talkers: [atA, atB, atC] } = await hosts(3)
  const reach = async (from: Talker, to: Talker): Promise<boolean> => await told(network, from, to) !== undefined
  const end = network.partition([a], [b])
  t.same([await reach(atA, atB), await reach(atB, atA), await reach(atA, atC), await reach(atB, atC)], [false, false, true, true])
  network.partition([a])
  t.same([await reach(atA, atC), await reach(atC, atA), await reach(atC, atB)], [false, false, true])
  t.equal(await reach(atA, atA), true)
  end()
  t.equal(await reach(atA, atB), false, 'the other one is still there')
  network.heal()
  t.same([await reach(atA, atB), await reach(atA, atC)], [true, true])
  const before = atB.heard.length
  atA.say(atB.local)
  network.partition([a, c], [b])
  await network.clock.pass(10)
  t.equal(atB.heard.length, before)
  t.equal(network.counts.partitioned, 6)
})

t.test('a partition stops what is on its way from the subnet to a device, also through gateways', async (t) => {
  const network = new SimulatedNetwork()
  const [internet, home] = [network.subnet('0.0.0.0/0'), network.subnet('192.168.1.0/24')]
  const nat = network.nat({ inside: home, outside: internet, address: '203.0.113.7', kind: 'full-cone', down: { delay: 100 } })
  const [hostA, hostB, hostS] = [network.host({ on: home, address: '192.168.1.2' }), network.host({ on: internet, address: '198.51.100.2', down: { delay: 100 } }), network.host({ on: internet, address: '198.51.100.1' })]
  const [a, b, server] = [await talker(hostA), await talker(hostB), await talker(hostS)]
  const outside = endpoint(await told(network, a, server))
  for (const [from, to, say, heardBy] of [[hostS, hostB, () => { server.say(b.local) }, b], [hostA, hostB, () => { a.say(b.local) }, b], [nat, hostB, () => { a.say(b.local) }, b], [hostS, nat, () => { server.say(outside) }, a]] as const) {
    const before = network.counts.partitioned
    say()
    await network.clock.pass(50)
    network.partition([from], [to])
    await network.clock.pass(200)
    t.same([heardBy.heard.length, network.counts.partitioned], [0, before + 1])
    network.heal()
  }
  server.say(b.local)
  await network.clock.pass(50)
  network.partition([hostS], [hostB])()
  await network.clock.pass(100)
  t.equal(b.heard.length, 1, 'one that has ended by then does not count')
})

t.test('each packet on its way counts for more than its bytes', async (t) => {
  const { network, talkers: [a, b] } = await hosts(2, { inFlight: 100_000 })
  for (let i = 0; i < 1000; i++) a.say(b.local, '')
  await network.clock.pass(10)
  t.ok(b.heard.length > 100 && b.heard.length < 200, `${b.heard.length}`)
  t.equal(b.heard.length + network.counts.networkFull, 1000)
})

t.test('a partition from a server counts behind a NAT, and one around the NAT as well', async (t) => {
  const network = new SimulatedNetwork()
  const [internet, home] = [network.subnet('0.0.0.0/0'), network.subnet('192.168.1.0/24')]
  const nat = network.nat({ inside: home, outside: internet, address: '203.0.113.7' })
  const [hostA, hostB, hostS] = [network.host({ on: home, address: '192.168.1.2' }), network.host({ on: home, address: '192.168.1.3' }), network.host({ on: internet, address: '198.51.100.1' })]
  const [a, b, server] = [await talker(hostA), await talker(hostB), await talker(hostS)]
  network.partition([hostA], [hostS])
  t.equal(await told(network, a, server), undefined)
  t.ok(await told(network, b, server))
  network.heal()
  network.partition([nat], [hostS])
  t.equal(await told(network, b, server), undefined)
  t.ok(await told(network, a, b))
})

/** A network in which all that can happen does. */
async function scenario (seed: number): Promise<SimulatedNetwork> {
  const network = new SimulatedNetwork({ seed })
  const internet = network.subnet('0.0.0.0/0', { delay: 20, jitter: 5, loss: 0.05, duplicate: 0.05, reorder: 0.05, rate: 1_000_000, queue: 5000 })
  const home = network.subnet('192.168.1.0/24')
  network.nat({ inside: home, outside: internet, address: '203.0.113.7', kind: 'symmetric', hairpin: true })
  const [a, b] = [network.host({ on: home, address: '192.168.1.2', name: 'a' }), network.host({ on: internet, address: '198.51.100.1', name: 'b' })]
  const [client, server] = [await talker(a), await talker(b, 7)]
  for (let i = 0; i < 200; i++) {
    client.say(server.local, 'x'.repeat(i * 5))
    if (i % 10 === 0) client.say({ host: '198.51.100.1', port: 8 })
    const [, from] = server.heard.at(-1) ?? []
    if (from !== undefined) server.say(endpoint(from), 'answer')
    await network.clock.pass(3)
  }
  await network.clock.pass(1000)
  return network
}

t.test('the same seed gives the same trace, another one another', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const [first, again, other] = [await scenario(seed), await scenario(seed), await scenario(seed + 100)]
    t.equal(String(first.trace), String(again.trace))
    t.same(first.counts, again.counts)
    t.not(String(first.trace), String(other.trace))
    t.not(String(first.trace), String((await scenario(seed + 2 ** 32)).trace), 'all of a seed counts')
    t.ok(first.counts.lost > 0 && first.counts.duplicated > 0 && first.counts.heldBack > 0 && first.counts.noPort > 0 && first.counts.translated > 0)
  }
})

t.test('each packet has an end: sent and doubled ones are as many as those of which the trace tells it', async (t) => {
  const { counts } = await scenario(3)
  const { sent, duplicated, translated, heldBack, ...ends } = counts
  t.equal(Object.values(ends).reduce((sum, count) => sum + count, 0), sent + duplicated)
  t.ok(translated > 0 && heldBack > 0)
})

t.test('the trace is readable, and keeps the last events', async (t) => {
  const { network, talkers: [a, b] } = await hosts(2, { trace: 3 })
  for (let i = 0; i < 2; i++) a.say(b.local, 'xy')
  a.say({ host: '192.0.2.2', port: 1 })
  await network.clock.pass(10)
  t.equal(network.trace.total, 8)
  t.equal(network.trace.length, 3)
  const lines = String(network.trace).split('\n')
  t.equal(lines.length, 4)
  t.equal(lines[0], '... 5 events before these')
  t.match(lines[1], /^ {7}1\.000 ms {2}host-2 .* dropped: nobody at the port {2}udp 192\.0\.2\.1:49152 > 192\.0\.2\.2:1 {2}29 bytes {2}#3$/)
  t.match(lines[3], /^ {7}2\.000 ms {2}host-1 .* delivered .* icmp 192\.0\.2\.2 > 192\.0\.2\.1 \(portUnreachable: udp 192\.0\.2\.1:49152 > 192\.0\.2\.2:1\) {2}56 bytes {2}#4$/)
  t.same([...network.trace].map(formatEvent), lines.slice(1))
  const none = await hosts(2, { trace: 0 })
  none.talkers[0].say(none.talkers[1].local)
  t.equal(String(none.network.trace), '')
  t.equal(none.network.counts.sent, 1)
})

t.test('each event is told as it happens, with its time', async (t) => {
  const events: string[] = []
  const { network, talkers: [a, b] } = await hosts(2, { onPacket: ({ time, what, where }) => { events.push(`${time} ${where} ${what}`) }, clock: new VirtualClock({ now: 1000 }) })
  a.say(b.local)
  network.clock.advance(10)
  t.same(events, ['1000 host-1 sent', '1001 host-2 delivered'])
})

t.test('a flood leaves nothing behind, however long it takes', async (t) => {
  const network = new SimulatedNetwork({ trace: 100, inFlight: 1 << 20 })
  const internet = network.subnet('0.0.0.0/0', { delay: 1000 })
  const home = network.subnet('192.168.1.0/24', { delay: 0 })
  const nat = network.nat({ inside: home, outside: internet, address: '203.0.113.7', kind: 'symmetric', maxEntries: 150, remapsAfterUnsolicited: true })
  const a = await talker(network.host({ on: home, address: '192.168.1.2' }), 0, { sendLimit: 1 << 24 })
  const reader = network.host({ on: internet, address: '198.51.100.1' })
  const idle = await reader.bindUdp({ port: 7, receiveLimit: 10_000 })
  const attacker = await talker(network.host({ on: internet, address: '198.51.100.2' }))
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 20; i++) a.say(idle.local, 'x'.repeat(1000))
    for (let i = 0; i < 200; i++) a.say({ host: '198.51.100.9', port: 1 + round * 200 + i })
    for (let i = 0; i < 1000; i++) {
      a.say({ host: '198.51.100.1', port: 1 + i % 10 }, 'x'.repeat(1000))
      attacker.say({ host: '203.0.113.7', port: 1 + (round * 1000 + i) % 65_535 })
    }
    await network.clock.pass(100)
  }
  const { counts } = network
  t.ok(counts.networkFull > 1000 && counts.tableFull > 0 && counts.readerFull > 0, JSON.stringify(counts))
  t.equal(nat.mappings('udp'), 150)
  t.equal(network.trace.length, 100)
  t.equal(idle.dropped, counts.readerFull)
  await network.clock.pass(10_000)
  const { sent, duplicated, translated, heldBack, ...ends } = counts
  t.equal(Object.values(ends).reduce((sum, count) => sum + count, 0), sent + duplicated, 'nothing is on its way any more')
  t.equal(a.socket.port.queued + attacker.socket.port.queued, 0)
  t.ok(translated > 0 && heldBack === 0)
  await network.clock.pass(120_000)
  attacker.say(a.local)
  a.say(idle.local)
  await network.clock.pass(2000)
  t.equal(nat.mappings('udp'), 1)
})

t.test('options that cannot work are refused', async (t) => {
  const bad: object[] = [{ seed: 1.5 }, { seed: '7' }, { seed: NaN }, { trace: -1 }, { trace: 1.5 }, { inFlight: 0 }]
  for (const init of bad) t.throws(() => new SimulatedNetwork(init), { code: 'ERR_OPTION' }, JSON.stringify(init))
  const network = new SimulatedNetwork()
  for (const cidr of ['here', '192.0.2.0/33', '', []]) t.throws(() => network.subnet(cidr), { code: 'ERR_OPTION' }, String(cidr))
  const on = network.subnet('192.0.2.0/24')
  network.host({ on, address: '192.0.2.1' })
  for (const address of ['192.0.2.1', '192.0.3.1', 'name', '192.0.2', [], ['192.0.2.2', '192.0.2.1']]) t.throws(() => network.host({ on, address }), { code: 'ERR_OPTION' }, String(address))
  t.throws(() => network.host({ on, address: ['192.0.2.3', '192.0.2.3'] }), { code: 'ERR_OPTION' }, 'the same one twice')
  const all = network.subnet(['0.0.0.0/0', '::/0'])
  for (const address of ['0.0.0.0', '127.0.0.1', '127.1.2.3', '224.0.0.1', '239.1.1.1', '255.255.255.255', '::', '::1', 'ff02::1']) t.throws(() => network.host({ on: all, address }), { code: 'ERR_OPTION' }, address)
  t.throws(() => network.host({ on, address: '192.0.2.2', loss: 1 } as HostInit), { code: 'ERR_OPTION' })
  t.ok(network.host({ on, address: '192.0.2.2' }), 'what was refused has left nothing behind')
})
