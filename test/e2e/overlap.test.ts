/** A server that gives an address or routes of the network that the client is in: nothing of that network may go into the tunnel. */
import { join } from 'node:path'
import t from 'tap'
import { executable } from '../helpers/programs/executables.ts'
import { Lab, UPLINK, type Namespace } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, startPeer, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { CLIENT, GATEWAY, LISTEN, sdwan, startMember, via } from '../helpers/network/routing.ts'
import { Agent, answers, eventually } from '../helpers/network/traffic.ts'

/** The relay is behind the router, which here is the same machine. */
const RELAY = '203.0.113.1'
const URL = `ws://${RELAY}:8080/`
const ROUTER = '192.168.1.1'
const LAN = '192.168.1.0/24'
const METRICS = '127.0.0.1:9101'

/** A client in a network with a router, and the relay behind that. */
async function site (lab: Lab): Promise<{ router: Namespace, client: Namespace }> {
  const router = await lab.host('router', `${ROUTER}/24`)
  const client = await lab.host('client', '192.168.1.10/24')
  await router.ip('addr', 'add', `${RELAY}/32`, 'dev', UPLINK)
  await client.ip('route', 'add', 'default', 'via', ROUTER)
  return { router, client }
}

const metricsOf = async (agent: Agent): Promise<string> => await agent.call('get', `http://${METRICS}/metrics`)

if (await canRun(t)) {
  await t.test('a virtual network that equals the LAN: the peer stays up and offline, and the LAN works', { timeout: 110_000 }, async (t) => {
    const { router, client } = await site(new Lab(t))
    const folder = t.testdir()
    await startRelay(router, LISTEN, '--dhcp', LAN)
    const control = join(folder, 'control')
    const peer = startPeer(client, { url: URL, stateDir: join(folder, 'state'), args: ['--metrics', METRICS, '--control', control] })
    const reason = /^the server gives the address 192\.168\.1\.\d+\/24, which is not taken: its network overlaps 192\.168\.1\.0\/24 of eth0 \(taken with routes: private,192\.168\.1\.0\/24\)$/
    t.match(await peer.event('offline'), { reason })
    t.match(await peer.logged('offline'), { reason, wait: 30_000 })
    t.match(await metricsOf(new Agent(client)), /^tunpipe_candy_overlap\{network="192\.168\.1\.0\/24",interface="eth0"\} 1$/m)
    const status = await client.run(process.execPath, executable('peer'), 'status', '--control', control)
    t.match(status, /^not taken: address 192\.168\.1\.\d+\/24 overlaps 192\.168\.1\.0\/24 of eth0$/m)
    t.same((await client.interface(DEVICE))?.addresses, [], 'the interface has no address')
    t.same(await Promise.all([ROUTER, '192.168.1.77', RELAY].map((address) => client.wayTo(address))), [UPLINK, UPLINK, UPLINK])
    t.ok(await answers(client, ROUTER, 5), 'the router is the router')
    t.equal(peer.child.exitCode, null)
    t.equal(await peer.stop(), 0)
  })

  await t.test('the same network, asked for by its name', { timeout: 110_000 }, async (t) => {
    const { router, client } = await site(new Lab(t))
    await startRelay(router, LISTEN, '--dhcp', '192.168.1.128/25')
    const peer = startPeer(client, { url: URL, stateDir: t.testdir(), args: ['--routes', 'private,192.168.1.128/25'] })
    const address = await joined(peer)
    t.same((await client.interface(DEVICE))?.addresses, [`${address}/25`])
  })

  await t.test('routes that would take the router and a name server, with --routes private', { timeout: 110_000 }, async (t) => {
    const { router, client } = await site(new Lab(t))
    const folder = t.testdir()
    // right behind the interface, as some clouds have it: a next hop that is in no network of the machine
    await client.ip('route', 'add', '172.31.1.1', 'dev', UPLINK)
    await client.ip('route', 'add', '198.51.100.0/24', 'via', '172.31.1.1')
    const refused = ['192.168.1.0/25', `${ROUTER}/32`, '172.31.1.1/32', '172.31.0.0/16', LAN]
    await startRelay(router, LISTEN, '--sdwan', sdwan(...refused, '172.16.0.0/16'))
    const peer = startMember(client, join(folder, 'client'), CLIENT, { url: URL, args: ['--metrics', METRICS] })
    await joined(peer)
    t.same(await client.routes(), via('172.16.0.0/16'))
    for (const route of refused) {
      const overlaps = route.startsWith('172.31') ? '172.31.1.1/32' : LAN
      t.match(await peer.logged('route not taken'), { route: `${route} via ${GATEWAY}`, reason: `it overlaps ${overlaps} of eth0` })
    }
    t.same(await Promise.all([ROUTER, '192.168.1.77', '172.31.1.1'].map((address) => client.wayTo(address))), [UPLINK, UPLINK, UPLINK])
    t.match(await metricsOf(new Agent(client)), /^tunpipe_candy_overlap\{network="192\.168\.1\.0\/24",interface="eth0"\} 3$/m)
  })

  await t.test('a pushed network that contains the name server of resolv.conf, as a route and as the network of the address', { timeout: 110_000 }, async (t) => {
    const { router, client } = await site(new Lab(t))
    const nameServer = '10.53.0.53' // behind the router, in no network of the machine
    const folder = t.testdir({ 'resolv.conf': `nameserver ${nameServer}\nnameserver 2001:db8::53\n` })
    const resolvConf = join(folder, 'resolv.conf')
    const refused = ['10.53.0.0/16', `${nameServer}/32`]
    const relay = await startRelay(router, LISTEN, '--sdwan', sdwan(...refused, '172.16.0.0/16'))
    const peer = startMember(client, join(folder, 'client'), CLIENT, { url: URL, resolvConf, args: ['--metrics', METRICS] })
    await joined(peer)
    for (const route of refused) {
      t.match(await peer.logged('route not taken'), { route: `${route} via ${GATEWAY}`, reason: `it overlaps ${nameServer}/32 of /etc/resolv.conf` })
    }
    t.same(await client.routes(), via('172.16.0.0/16'))
    t.equal(await client.wayTo(nameServer), UPLINK)
    t.match(await metricsOf(new Agent(client)), /^tunpipe_candy_overlap\{network="10\.53\.0\.53\/32",interface="\/etc\/resolv\.conf"\} 2$/m)
    t.equal(await peer.stop(), 0)
    await relay.stop()

    await startRelay(router, LISTEN, '--dhcp', '10.53.0.0/24')
    const other = startPeer(client, { url: URL, stateDir: join(folder, 'other'), resolvConf })
    t.match(await other.event('offline'), { reason: /^the server gives the address 10\.53\.0\.\d+\/24, which is not taken: its network overlaps 10\.53\.0\.53\/32 of \/etc\/resolv\.conf \(/ })
    t.same((await client.interface(DEVICE))?.addresses, [])
    t.equal(await client.wayTo(nameServer), UPLINK)
  })

  await t.test('interfaces that appear while the peer is online: a route is given back, then the address, and the peer is offline', { timeout: 110_000 }, async (t) => {
    const { router, client } = await site(new Lab(t))
    const folder = t.testdir()
    const control = join(folder, 'control')
    await startRelay(router, LISTEN, '--sdwan', sdwan('172.16.0.0/16', '172.17.0.0/16'))
    const peer = startPeer(client, { url: URL, stateDir: join(folder, 'state'), args: ['--control', control] })
    const address = await joined(peer)
    t.same(await client.routes(), via('172.16.0.0/16', '172.17.0.0/16'))

    await client.ip('link', 'add', 'lan1', 'type', 'veth', 'peer', 'name', 'lan2')
    await client.ip('link', 'set', 'lan1', 'up')
    await client.ip('link', 'set', 'lan2', 'up')
    await client.ip('addr', 'add', '172.17.0.1/24', 'dev', 'lan1') // as a container engine does
    t.match(await peer.logged('route not taken'), { route: `172.17.0.0/16 via ${GATEWAY}`, reason: 'it overlaps 172.17.0.0/24 of lan1' })
    t.ok(await eventually(async () => (await client.routes()).join() === via('172.16.0.0/16').join()), 'only that route is gone')
    t.equal((await client.interface(DEVICE))?.addresses[0], `${address}/24`)
    t.notOk(peer.events.some(({ event }) => event === 'offline'), 'the connection has stayed')

    await client.ip('addr', 'add', '10.77.0.200/25', 'dev', 'lan1')
    t.match(await peer.logged('address removed from the interface'), { address: `${address}/24`, reason: 'overlaps 10.77.0.128/25 of lan1' })
    t.match(await peer.event('offline'), { reason: `the server gives the address ${address}/24, which is not taken: its network overlaps 10.77.0.128/25 of lan1 (taken with routes: private,10.77.0.0/24)` })
    t.match(await peer.logged('offline'), { wait: 30_000 })
    t.same([(await client.interface(DEVICE))?.addresses, await client.routes()], [[], []])
    t.equal(await client.wayTo('10.77.0.130'), 'lan1')
    const status = await client.run(process.execPath, executable('peer'), 'status', '--control', control)
    t.ok(status.includes(`not taken: address ${address}/24 overlaps 10.77.0.128/25 of lan1`), status)
    t.equal(await peer.stop(), 0)
  })

  await t.test('a client that comes into a LAN equal to the virtual network of its interface, while offline', { timeout: 110_000 }, async (t) => {
    const { router, client } = await site(new Lab(t))
    const relay = await startRelay(router, LISTEN, '--sdwan', sdwan('172.16.0.0/16'))
    const peer = startPeer(client, { url: URL, stateDir: t.testdir() })
    const address = await joined(peer)
    t.same([(await client.interface(DEVICE))?.addresses, await client.routes()], [[`${address}/24`], via('172.16.0.0/16')])
    await relay.stop('SIGKILL')
    await peer.event('offline')
    // the laptop is carried elsewhere: the same range, and the way to the relay leads through it
    await client.ip('addr', 'flush', 'dev', UPLINK)
    await client.ip('addr', 'add', '10.77.0.200/24', 'dev', UPLINK)
    await client.ip('route', 'add', 'default', 'via', '10.77.0.254', 'dev', UPLINK)
    await router.ip('addr', 'add', '10.77.0.254/24', 'dev', UPLINK)
    t.match(await peer.logged('address removed from the interface'), { address: `${address}/24`, reason: 'overlaps 10.77.0.0/24 of eth0' })
    t.ok(await eventually(async () => (await client.interface(DEVICE))?.addresses.length === 0))
    t.same(await client.routes(), [])
    t.equal(await client.wayTo('10.77.0.254'), UPLINK)
    await startRelay(router, LISTEN)
    for (let line = await peer.event('offline'); !/overlaps 10\.77\.0\.0\/24 of eth0/.test(String(line.reason)); line = await peer.event('offline'));
    t.ok(await answers(client, RELAY, 5))
    t.equal(await peer.stop(), 0)
  })
}
