/** Reverse TCP ports through a real NAT: users outside, a service inside, and whatever goes wrong on the way. */
import t, { type Test } from 'tap'
import { Lab, UPLINK, type Namespace } from '../helpers/network/namespaces.ts'
import { Program } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent } from '../helpers/network/traffic.ts'
import { sample } from '../helpers/sample.ts'

const SERVER = '192.0.2.1'
const CONTROL = 17_000
const PORT = 28_001
const MIB = 1024 ** 2

/** What strict mode carries each way; the other mode an eighth of it. */
const LOAD = sample('MiB each way', { short: 256, long: 1024 }) * MIB

interface World {
  relayHost: Namespace
  inside: Namespace
  router: Namespace
  /** An agent among the users, and one beside the service. */
  user: Agent
  service: Agent
}

/** A server and users outside, a router that masquerades, a service behind it. */
async function world (t: Test): Promise<World> {
  const lab = new Lab(t)
  const relayHost = await lab.host('relay', `${SERVER}/24`)
  const outside = await lab.host('user', '192.0.2.20/24')
  const router = await lab.host('router', '192.0.2.50/24')
  const inside = await lab.namespace('inside')
  await lab.wire(router, 'lan', inside, UPLINK)
  await router.ip('addr', 'add', '198.51.100.1/24', 'dev', 'lan')
  await inside.ip('addr', 'add', '198.51.100.2/24', 'dev', UPLINK)
  await inside.ip('route', 'add', 'default', 'via', '198.51.100.1')
  await router.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  await router.filter(`table ip nat {
    chain translate { type nat hook postrouting priority 100; oifname "${UPLINK}" masquerade; }
  }`)
  return { relayHost, router, inside, user: new Agent(outside), service: new Agent(inside) }
}

async function startRelay (host: Namespace, ...args: string[]): Promise<Program> {
  const relay = new Program(host, 'relay', ['--listen', `0.0.0.0:${CONTROL}`, ...args], { protocol: 'gotunnel' })
  await relay.event('ready')
  return relay
}

function startPeer (host: Namespace, local: number, ...args: string[]): Program {
  return new Program(host, 'peer', ['--server', `${SERVER}:${CONTROL}`, '--name', 'inside', '--map', `${PORT}:${local}`, ...args], { protocol: 'gotunnel' })
}

/** Each port has a connection of its own. */
async function bothOnline (peer: Program): Promise<void> {
  await peer.event('online')
  await peer.event('online')
}

if (await canRun(t, ['nft'])) {
  for (const mode of ['strict', 'compatible']) {
    await t.test(`a service behind NAT, ${mode} mode`, { timeout: 110_000 }, async (t) => {
      const { relayHost, inside, user, service } = await world(t)
      const bytes = mode === 'strict' ? LOAD : LOAD / 8
      const local = await service.call('serveExchange', bytes)
      const enquiries = await service.call('serveEnquiries', '!')
      let relay = await startRelay(relayHost)
      let peer = startPeer(inside, local, '--mode', mode, '--probe-interval', '0', '--map', `${PORT + 1}:${enquiries}`)
      t.match(await peer.event('online'), { mode })
      t.match(await peer.event('online'), { mode })
      t.match(await relay.logged('client registered'), { remote: { host: '192.0.2.50' }, mode }, 'the relay sees the router')

      await t.test(`${bytes / MIB} MiB each way`, async (t) => {
        const [there, here] = await Promise.all([user.call('exchange', SERVER, PORT, bytes), service.call('exchanged', local)])
        t.equal(here?.received, there.sent)
        t.equal(there.received, here?.sent)
      })

      await t.test('a question, its end, and the whole answer', async (t) => {
        t.equal(await user.call('enquire', SERVER, PORT + 1, 'who is there'), 'who is there!')
      })

      await t.test('the relay is killed and comes back: so does the port', async (t) => {
        await relay.stop('SIGKILL')
        t.match(await peer.event('offline'), { reason: /./ })
        relay = await startRelay(relayHost)
        await bothOnline(peer)
        t.equal(await user.call('enquire', SERVER, PORT + 1, 'again'), 'again!')
      })

      await t.test('the peer is killed and comes back: so does the port', async (t) => {
        await peer.stop('SIGKILL')
        await relay.logged('client gone')
        await relay.logged('client gone')
        t.equal(await user.call('enquire', SERVER, PORT + 1, 'nobody'), 'ECONNREFUSED')
        peer = startPeer(inside, local, '--mode', mode, '--probe-interval', '0', '--map', `${PORT + 1}:${enquiries}`)
        await bothOnline(peer)
        t.equal(await user.call('enquire', SERVER, PORT + 1, 'once more'), 'once more!')
      })

      await t.test('both end cleanly', async (t) => {
        t.equal(await peer.stop(), 0)
        t.equal(await relay.stop(), 0)
      })
    })
  }

  await t.test('the path of data is dead, that of the control connection is not', { timeout: 110_000 }, async (t) => {
    const { relayHost, router, inside, user, service } = await world(t)
    const enquiries = await service.call('serveEnquiries', '!')
    const relay = await startRelay(relayHost)
    const peer = startPeer(inside, enquiries)
    await peer.event('online')
    await router.filter(`table ip broken {
      chain pass { type filter hook forward priority 0; tcp dport ${CONTROL} ct state new drop; }
    }`)
    const answers = Promise.all(['one', 'two'].map((question) => user.call('enquire', SERVER, PORT, question)))
    t.match(await peer.event('offline'), { reason: /data connections cannot be made/ }, 'the peer has noticed')
    t.notMatch(await answers, [/!/], 'those users were not served, and were let go')
    await relay.logged('client gone')
    t.equal(await user.call('enquire', SERVER, PORT, 'anybody'), 'ECONNREFUSED', 'and nobody else has to wait for nothing')
    await router.filter('delete table ip broken')
    await peer.event('online')
    t.equal(await user.call('enquire', SERVER, PORT, 'now'), 'now!')
    t.equal(await peer.stop(), 0)
  })

  await t.test('a peer that hangs, and another in its place', { timeout: 110_000 }, async (t) => {
    const { relayHost, inside, user, service } = await world(t)
    const enquiries = await service.call('serveEnquiries', '!')
    const relay = await startRelay(relayHost)
    const peer = startPeer(inside, enquiries)
    await peer.event('online')
    peer.signal('SIGSTOP')
    const again = startPeer(inside, enquiries)
    t.match(await again.event('online'), { mode: 'strict' }, 'it takes over at once, though the relay has not missed the first one yet')
    t.equal(await user.call('enquire', SERVER, PORT, 'who'), 'who!')
    t.match(await relay.logged('client gone'), { reason: 'replaced' })
    t.equal(await user.call('enquire', SERVER, PORT, 'still'), 'still!')
    peer.signal('SIGCONT')
    t.match(await peer.event('refused'), { reason: 'replaced by another client with this token' }, 'the first one leaves it the port for minutes')
    t.equal(await user.call('enquire', SERVER, PORT, 'yet'), 'yet!')
    t.equal(await peer.stop(), 0)
  })
}
