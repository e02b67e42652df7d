import t, { type Test } from 'tap'
import { batches, bytes, drain, failureOf, hear, hearText, idle, texts } from '../../../../helpers/ends.ts'
import { SimulatedNetwork, type Conditions, type NatInit, type SimulatedHost, type SimulatedLink, type SimulatedTransport } from '../../../../../src/transports/memory/index.ts'
import type { Link, Listener } from '../../../../../src/types.ts'

interface Pair {
  network: SimulatedNetwork
  client: SimulatedHost
  server: SimulatedHost
  dialler: SimulatedTransport
  listener: SimulatedTransport
}

const SERVER = '198.51.100.1'
const PORT = 7000

/** Two hosts in one subnet. */
function pair (conditions: Conditions = {}, seed = 1): Pair {
  const network = new SimulatedNetwork({ seed, trace: 0 })
  const subnet = network.subnet('198.51.100.0/24', { delay: 10, ...conditions })
  const server = network.host({ on: subnet, address: SERVER, name: 'server' })
  const client = network.host({ on: subnet, address: '198.51.100.2', name: 'client' })
  return { network, client, server, dialler: client.transport(), listener: server.transport() }
}

/** The two ends of a connection. */
async function connected (network: SimulatedNetwork, dialler: SimulatedTransport, listener: Listener<SimulatedLink>, to = { host: SERVER, port: PORT }): Promise<[SimulatedLink, SimulatedLink]> {
  const incoming = listener[Symbol.asyncIterator]().next()
  const client = await network.clock.until(dialler.dial(to), { within: 200_000 })
  const { value } = await network.clock.until(incoming) as { value: SimulatedLink }
  return [client, value]
}

/** Sends something each way. */
async function talk (network: SimulatedNetwork, one: Link, other: Link): Promise<[string, string]> {
  const heard = Promise.all([hearText(other.source), hearText(one.source), one.sink(batches(texts('ping'))), other.sink(batches(texts('pong')))])
  const [there, here] = await network.clock.until(heard)
  return [there, here]
}

const codeOf = async (network: SimulatedNetwork, promise: Promise<unknown>): Promise<string | undefined> => (await network.clock.until(failureOf(promise), { within: 2e6 })).code

t.test('both ends know the addresses', async (t) => {
  const { network, dialler, listener } = pair()
  const [client, server] = await connected(network, dialler, listener.listen({ host: '', port: PORT }))
  t.same(client.remote, { host: SERVER, port: PORT })
  t.same(server.local, client.remote)
  t.same(server.remote, client.local)
  t.same(await talk(network, client, server), ['ping', 'pong'])
})

t.test('a dial fails as one of the system does', async (t) => {
  const { network, client, server, dialler } = pair()
  const other = network.subnet('10.0.0.0/8')
  network.host({ on: other, address: '10.0.0.1' })
  t.equal(await codeOf(network, dialler.dial({ host: SERVER, port: PORT })), 'ECONNREFUSED')
  t.equal(await codeOf(network, dialler.dial({ host: '198.51.100.77', port: PORT })), 'EHOSTUNREACH')
  t.equal(await codeOf(network, dialler.dial({ host: '10.0.0.1', port: PORT })), 'ENETUNREACH')
  t.equal(await codeOf(network, dialler.dial({ host: 'no.such.name', port: PORT })), 'ENOTFOUND')
  t.equal(await codeOf(network, dialler.dial({ host: SERVER, port: PORT, localHost: '198.51.100.3' })), 'EADDRNOTAVAIL')
  t.equal(await codeOf(network, dialler.dial({ host: SERVER, port: PORT, localPort: -1 })), 'ERR_OPTION')
  const heal = network.partition([client], [server])
  const start = network.clock.now()
  t.equal(await codeOf(network, dialler.dial({ host: SERVER, port: PORT })), 'ETIMEDOUT')
  t.equal(network.clock.now() - start, 127_000)
  t.equal(await codeOf(network, dialler.dial({ host: SERVER, port: PORT, timeout: 3000 })), 'ERR_DIAL_TIMEOUT')
  const controller = new AbortController()
  const dialling = dialler.dial({ host: SERVER, port: PORT, localPort: 5000, signal: controller.signal })
  const reason = new Error('no more')
  controller.abort(reason)
  t.equal(await failureOf(dialling), reason)
  heal()
  t.equal(await codeOf(network, dialler.dial({ host: SERVER, port: PORT, localPort: 5000 })), 'ECONNREFUSED', 'the local port is free')
})

t.test('options that cannot be', async (t) => {
  const { server } = pair()
  for (const init of [{ sendBuffer: 0 }, { receiveBuffer: 2 ** 31 }, { retries: -1 }, { synRetries: 1.5 }, { timeWait: 0 }, { keepAlive: 0 }]) {
    t.throws(() => server.transport(init), { code: 'ERR_OPTION' }, JSON.stringify(init))
  }
  t.throws(() => server.transport().listen({ host: '', port: 65_536 }), { code: 'ERR_OPTION' })
})

t.test('listeners by address', async (t) => {
  const { network, client, dialler, listener } = pair()
  const any = listener.listen({ host: '0.0.0.0', port: PORT })
  t.equal(await codeOf(network, listener.listen({ host: SERVER, port: PORT }).port()), 'EADDRINUSE')
  t.equal(await codeOf(network, listener.listen({ host: '192.0.2.1', port: PORT }).port()), 'EADDRNOTAVAIL')
  const loopback = client.transport().listen({ host: '127.0.0.1', port: PORT })
  t.equal(await codeOf(network, listener.dial({ host: '198.51.100.2', port: PORT })), 'ECONNREFUSED', 'the loopback is not reached from elsewhere')
  const [one, other] = await connected(network, dialler, loopback, { host: 'localhost', port: PORT })
  t.same(await talk(network, one, other), ['ping', 'pong'])
  any.close()
  const again = listener.listen({ host: SERVER, port: PORT })
  t.equal(await again.port(), PORT)
})

t.test('IPv6, written in any way', async (t) => {
  const network = new SimulatedNetwork({ trace: 0 })
  const subnet = network.subnet(['2001:db8::/64', '192.0.2.0/24'])
  const server = network.host({ on: subnet, address: ['2001:db8::1', '192.0.2.1'] }).transport()
  const client = network.host({ on: subnet, address: '2001:db8::2' }).transport()
  const listening = server.listen({ host: '::', port: PORT })
  const [one, other] = await connected(network, client, listening, { host: '2001:DB8:0::1', port: PORT })
  t.same(one.remote, { host: '2001:db8::1', port: PORT })
  const heard = hear(other.source)
  await network.clock.until(Promise.all([heard, one.sink(batches([bytes(100_000, 1)]))]))
  t.equal(Buffer.concat(await heard).length, 100_000)
  t.equal(network.counts.tooLarge, 0)
  t.equal(await codeOf(network, client.dial({ host: '192.0.2.1', port: PORT })), 'ENETUNREACH', 'it has no address of IPv4')
})

t.test('a local address is of the family of the remote one', async (t) => {
  const network = new SimulatedNetwork({ trace: 0 })
  const subnet = network.subnet(['2001:db8::/64', '192.0.2.0/24'])
  const server = network.host({ on: subnet, address: ['2001:db8::1', '192.0.2.1'] }).transport()
  const client = network.host({ on: subnet, address: ['2001:db8::2', '192.0.2.2'] }).transport()
  const listening = server.listen({ host: '::', port: PORT })
  for (const [host, localHost] of [['2001:db8::1', '192.0.2.2'], ['192.0.2.1', '2001:db8::2'], ['2001:db8::1', '0.0.0.0'], ['::1', '127.0.0.1']]) {
    t.match(await network.clock.until(failureOf(client.dial({ host, port: PORT, localHost }))), { code: 'EINVAL', syscall: 'bind' }, `${host} from ${localHost}`)
  }
  for (const [host, localHost] of [['2001:db8::1', '2001:DB8:0::2'], ['192.0.2.1', '192.0.2.2'], ['2001:db8::1', '::'], ['192.0.2.1', '::'], ['192.0.2.1', '0.0.0.0']]) {
    const incoming = listening[Symbol.asyncIterator]().next()
    const link = await network.clock.until(client.dial({ host, port: PORT, localHost }))
    t.equal(link.local.host, host === '192.0.2.1' ? '192.0.2.2' : '2001:db8::2', `${host} from ${localHost}`)
    await network.clock.until(incoming)
  }
})

t.test('a host that moves to another network: its connections break, and it connects anew', async (t) => {
  const { network, client, dialler, listener } = pair()
  const listening = listener.listen({ host: '', port: PORT })
  const [one] = await connected(network, dialler, listening)
  const office = network.subnet('10.1.0.0/16')
  network.nat({ inside: office, outside: network.subnet('198.51.0.0/16'), address: '198.51.7.7' })
  client.leave(client.interfaces[0])
  client.join({ on: office, address: '10.1.0.2' })
  one.port.send([bytes(10)])
  t.equal((await network.clock.until(drain(one.source), { within: 2e6 }) as NodeJS.ErrnoException).code, 'ETIMEDOUT')
  t.equal(await codeOf(network, dialler.dial({ host: '198.51.9.9', port: PORT })), 'EHOSTUNREACH')
})

t.test('many bytes through a bad network arrive as they were sent', async (t) => {
  for (const seed of [1, 2, 3]) {
    const { network, dialler, listener } = pair({ loss: 0.05, duplicate: 0.02, reorder: 0.05, jitter: 20, rate: 50e6 }, seed)
    const [client, server] = await connected(network, dialler, listener.listen({ host: '', port: PORT }))
    const sent = Buffer.concat(Array.from({ length: 40 }, (_, i) => bytes(10_000, i)))
    const heard = Promise.all([hear(server.source), hear(client.source), client.sink(batches([sent])), server.sink(batches([sent]))])
    const [there, here] = await network.clock.until(heard, { within: 600_000 })
    t.ok(Buffer.concat(there).equals(sent))
    t.ok(Buffer.concat(here).equals(sent))
  }
})

t.test('a bounded rate is used well, although its queue is short', async (t) => {
  const { network, dialler, listener } = pair({ delay: 20, rate: 20e6, queue: 65_536 })
  const [client, server] = await connected(network, dialler, listener.listen({ host: '', port: PORT }))
  const size = 5_000_000
  const start = network.clock.now()
  const heard = hear(server.source)
  await network.clock.until(Promise.all([heard, client.sink(batches([bytes(size, 1)]))]))
  const rate = size * 8000 / (network.clock.now() - start)
  t.ok(rate > 14e6, `${Math.round(rate / 1e6)} Mbit/s of 20`)
  t.ok(network.counts.queueFull > 0, 'although it was full')
})

t.test('a way with smaller packets than both ends know of', async (t) => {
  const network = new SimulatedNetwork({ trace: 0 })
  const internet = network.subnet('0.0.0.0/0')
  const home = network.subnet('192.168.0.0/24')
  network.nat({ inside: home, outside: internet, address: '203.0.113.7', up: { mtu: 600 } })
  const client = network.host({ on: home, address: '192.168.0.2' }).transport()
  const server = network.host({ on: internet, address: SERVER }).transport()
  const [one, other] = await connected(network, client, server.listen({ host: '', port: PORT }))
  const heard = hear(other.source)
  await network.clock.until(Promise.all([heard, one.sink(batches([bytes(100_000, 1)]))]))
  t.equal(Buffer.concat(await heard).length, 100_000)
  t.ok(network.counts.tooLarge > 0)
})

t.test('the smallest packets that a network may have, on all ways or on that of one host', async (t) => {
  for (const host of [SERVER, '2001:db8::1']) {
    for (const smallOnes of ['subnet', 'client', 'server']) {
      const small = (where: string): Conditions => where === smallOnes ? { mtu: 68 } : {}
      const network = new SimulatedNetwork({ trace: 0, seed: 1 })
      const both = (where: string): { up: Conditions, down: Conditions } => ({ up: small(where), down: small(where) })
      const subnet = network.subnet(['198.51.100.0/24', '2001:db8::/64'], { loss: 0.02, ...small('subnet') })
      const server = network.host({ on: subnet, address: [SERVER, '2001:db8::1'], ...both('server') }).transport()
      const client = network.host({ on: subnet, address: ['198.51.100.2', '2001:db8::2'], ...both('client') }).transport()
      const [one, other] = await connected(network, client, server.listen({ host: '::', port: PORT }), { host, port: PORT })
      const sent = Buffer.from(bytes(10_000, 1))
      const heard = Promise.all([hear(other.source), hear(one.source), one.sink(batches([sent])), other.sink(batches([sent]))])
      const [there, here] = await network.clock.until(heard, { within: 2e6 })
      t.ok(Buffer.concat(there).equals(sent) && Buffer.concat(here).equals(sent), `${smallOnes}, ${host}`)
      t.equal(network.counts.tooLarge, 0, 'each side has said what it takes')
    }
  }
})

t.test('a partition of 20 s delays, one that stays ends the connection for the side that sends', async (t) => {
  const { network, client, server, dialler, listener } = pair()
  const [one, other] = await connected(network, dialler, listener.listen({ host: '', port: PORT }))
  const heal = network.partition([client], [server])
  const heard = hear(other.source)
  const written = one.sink(batches([bytes(200_000, 1)]))
  await network.clock.pass(20_000)
  heal()
  await network.clock.until(heard)
  await written
  t.equal(Buffer.concat(await heard).length, 200_000)
  network.partition([client], [server])
  const { source } = idle()
  const writing = other.sink(source)
  source.push(bytes(1000))
  t.equal(await codeOf(network, writing), 'ETIMEDOUT')
})

/** Two hosts behind NATs of the same kind. */
function behindNats (init: Omit<NatInit, 'inside' | 'outside' | 'address'>): { network: SimulatedNetwork, hosts: [SimulatedTransport, SimulatedTransport], server: SimulatedTransport } {
  const network = new SimulatedNetwork({ seed: 3, trace: 0 })
  const internet = network.subnet('0.0.0.0/0', { delay: 20 })
  const hosts = ['203.0.113.1', '203.0.113.2'].map((address, i) => {
    const home = network.subnet(`192.168.${i}.0/24`)
    network.nat({ inside: home, outside: internet, address, ...init })
    return network.host({ on: home, address: `192.168.${i}.2` }).transport()
  })
  return { network, hosts: [hosts[0], hosts[1]], server: network.host({ on: internet, address: SERVER }).transport() }
}

/** Each side learns from the server where the other one is, and dials it from the port that it has used for the server. */
async function punch (t: Test, init: Omit<NatInit, 'inside' | 'outside' | 'address'>): Promise<[SimulatedLink, SimulatedLink] | undefined> {
  const { network, hosts, server } = behindNats(init)
  const listener = server.listen({ host: '', port: PORT })
  const localPort = 4000
  const seen: SimulatedLink[] = []
  for (const host of hosts) {
    const listening = host.listen({ host: '', port: localPort, sharesPort: true })
    t.equal(await listening.port(), localPort)
    const incoming = listener[Symbol.asyncIterator]().next()
    await network.clock.until(host.dial({ host: SERVER, port: PORT, localPort, sharesPort: true }))
    seen.push((await network.clock.until(incoming)).value as SimulatedLink)
  }
  const dials = hosts.map((host, i) => host.dial({ ...seen[1 - i].remote, localPort, sharesPort: true, timeout: 10_000 }))
  const [one, other] = await network.clock.until(Promise.allSettled(dials))
  if (one.status !== 'fulfilled' || other.status !== 'fulfilled') return undefined
  t.same(await talk(network, one.value, other.value), ['ping', 'pong'])
  return [one.value, other.value]
}

t.test('two hosts behind NATs connect to each other, from the port that both listen on', async (t) => {
  const links = await punch(t, { kind: 'port-restricted-cone' })
  t.match(links?.[0].local, { host: '192.168.0.2', port: 4000 })
  t.match(links?.[0].remote.host, '203.0.113.2')
  t.equal(await punch(t, { kind: 'symmetric' }), undefined, 'symmetric NATs do not let them')
})

t.test('a port is shared only by those who say so', async (t) => {
  const { network, dialler, listener } = pair()
  listener.listen({ host: '', port: PORT })
  const listening = dialler.listen({ host: '', port: 5000, sharesPort: true })
  await listening.port()
  const from = { host: SERVER, port: PORT, localPort: 5000 }
  t.equal(await codeOf(network, dialler.dial(from)), 'EADDRINUSE')
  const first = await network.clock.until(dialler.dial({ ...from, sharesPort: true }))
  t.equal(await codeOf(network, dialler.dial({ ...from, sharesPort: true })), 'EADDRINUSE', 'not for the same connection')
  t.equal(await codeOf(network, dialler.listen({ host: '', port: 5000, sharesPort: true }).port()), 'EADDRINUSE', 'and not for two listeners')
  first.abort(new Error('enough'))
  const second = await network.clock.until(dialler.dial({ ...from, sharesPort: true }))
  t.equal(second.local.port, 5000)
})

t.test('the same addresses again, right after the end', async (t) => {
  const { network, dialler, listener } = pair()
  const listening = listener.listen({ host: '', port: PORT })
  for (let i = 0; i < 10; i++) {
    const incoming = listening[Symbol.asyncIterator]().next()
    const client = await network.clock.until(dialler.dial({ host: SERVER, port: PORT, localPort: 5000 }))
    const { value: server } = await network.clock.until(incoming) as { value: SimulatedLink }
    const [first, second] = i % 2 === 0 ? [client, server] : [server, client]
    await network.clock.until(Promise.all([first.sink(batches(texts('bye'))), hearText(second.source)]))
    await network.clock.until(Promise.all([second.sink(batches(texts('bye'))), hearText(first.source)]))
    await network.clock.pass(100)
  }
  t.pass('each time')
})

t.test('what is left of ended connections is bounded, and goes', async (t) => {
  const { network, client, server, dialler, listener } = pair()
  const listening = listener.listen({ host: '', port: PORT })
  void (async () => { for await (const link of listening) void link.sink(link.source).catch(() => {}) })()
  const dialAll = Array.from({ length: 200 }, async () => {
    const link = await dialler.dial({ host: SERVER, port: PORT })
    await Promise.all([link.sink(batches(texts('hello'))), drain(link.source)])
  })
  await network.clock.until(Promise.all(dialAll))
  await network.clock.pass(1000)
  t.same([client.connections, server.connections], [200, 0], 'the side that has ended first remembers them')
  await network.clock.pass(5000)
  t.same([client.connections, server.connections], [0, 0])
})

t.test('clients that never complete their handshake take no more than a bound, and go', async (t) => {
  const { network, client, server, listener } = pair()
  listener.listen({ host: '', port: PORT })
  client.setConditions({ down: { loss: 1 } }) // no answer gets there
  const dialler = client.transport({ synRetries: 0 })
  for (let i = 0; i < 1500; i++) dialler.dial({ host: SERVER, port: PORT }).catch(() => {})
  await network.clock.pass(100)
  t.equal(server.connections, 1024)
  await network.clock.pass(200_000)
  t.equal(server.connections, 0)
})
