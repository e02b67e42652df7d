/** Networks behind a peer: the relay pushes routes, clients install them, and a gateway passes on what comes. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Lab, UPLINK, type Namespace } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { CLIENT, GATEWAY, LISTEN, sdwan, startMember, via } from '../helpers/network/routing.ts'
import { Agent, answers, eventually, ping } from '../helpers/network/traffic.ts'

/** Where the relay is reached through a recorder. */
const RECORDED = 8081
const RECORDED_URL = `ws://192.0.2.1:${RECORDED}/`

/** The host behind the gateway, and the gateway as it sees it. */
const INSIDE = '172.16.1.2'
const ROUTER = '172.16.1.1'

const METRICS = '127.0.0.1:9101'
const TRANSFER_BYTES = 1024 * 1024

/** With all headers an interface of 1400 carries 1372; what the network sends in one piece beyond that is lost once, until it knows. */
const DATAGRAM_SIZES = [0, 1, 1000, 1372, 4000]

const digits = (address: string): string => Buffer.from(address.split('.').map(Number)).toString('hex')

/** A FORWARD behind the outer header from the client to the gateway, up to the first byte of the packet in it; in hexadecimal digits, like all messages here. */
const ROUTED = `01${'00'.repeat(9)}040000${digits(CLIENT)}${digits(GATEWAY)}45`

/** From where to where a packet goes, which begins at this byte of a message. */
const ends = (message: string, at: number): string => message.slice(2 * (at + 12), 2 * (at + 20))

interface Site {
  relayHost: Namespace
  client: Namespace
  gateway: Namespace
  inside: Namespace
}

/** A relay, a client and a gateway on one bridge, and a host behind the gateway. */
async function site (lab: Lab): Promise<Site> {
  const relayHost = await lab.host('relay', '192.0.2.1/24')
  const client = await lab.host('client', '192.0.2.11/24')
  const gateway = await lab.host('gateway', '192.0.2.12/24')
  const inside = await lab.namespace('inside')
  await lab.wire(gateway, 'lan', inside, UPLINK)
  await gateway.ip('addr', 'add', `${ROUTER}/24`, 'dev', 'lan')
  await inside.ip('addr', 'add', `${INSIDE}/24`, 'dev', UPLINK)
  await gateway.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  return { relayHost, client, gateway, inside }
}

if (await canRun(t, ['nft'])) {
  await t.test('a network behind a gateway', { timeout: 110_000 }, async (t) => {
    const { relayHost, client, gateway, inside } = await site(new Lab(t))
    const states = t.testdir()
    const [atRelay, atClient, atInside] = [relayHost, client, inside].map((host) => new Agent(host))
    await atRelay.call('record', RECORDED, 8080)
    let relay = await startRelay(relayHost, LISTEN, '--sdwan', sdwan('172.16.0.0/16', '192.168.50.0/24'))
    const gatewayPeer = startMember(gateway, join(states, 'gateway'), GATEWAY, { url: RECORDED_URL })
    await joined(gatewayPeer)
    let clientPeer = startMember(client, join(states, 'client'), CLIENT, { url: RECORDED_URL, args: ['--metrics', METRICS] })
    await joined(clientPeer)

    const metric = async (name: string): Promise<number> => {
      const metrics = await atClient.call('get', `http://${METRICS}/metrics`)
      return Number(metrics.split('\n').find((line) => line.startsWith(`tunpipe_candy_${name} `))?.split(' ')[1])
    }

    /** Pings, datagrams and a connection from the client to the network, and what comes back. */
    const works = async (t: Test): Promise<void> => {
      t.equal(await ping(client, INSIDE), 3)
      const echo = await atInside.call('serveEcho')
      t.same(await atClient.call('askEcho', INSIDE, echo, DATAGRAM_SIZES), [], 'datagrams come back as they were')
      const port = await atInside.call('serveExchange', TRANSFER_BYTES)
      const there = await atClient.call('exchange', INSIDE, port, TRANSFER_BYTES)
      const here = await atInside.call('exchanged', port)
      t.same([there.received, here?.received], [here?.sent, there.sent], 'a connection carries both ways what was sent')
    }

    await t.test('the client has the routes, and the gateway has not', async (t) => {
      t.same(await client.routes(), via('172.16.0.0/16', '192.168.50.0/24'))
      const [first] = JSON.parse(await client.ip('-j', 'route', 'show', '172.16.0.0/16'))
      t.strictSame(first, { dst: '172.16.0.0/16', gateway: GATEWAY, dev: DEVICE, protocol: '202', metric: 50_000, flags: ['onlink'] })
      t.same(await gateway.routes(), [])
      t.equal(await gateway.wayTo(INSIDE), 'lan')
      t.equal(await metric('routes'), 2)
    })

    await t.test('without masquerading, the network has a way back and is the source of its answers', async (t) => {
      t.notOk(await answers(client, INSIDE, 1), 'not without that')
      await inside.ip('route', 'add', '10.77.0.0/24', 'via', ROUTER)
      await works(t)
      t.equal(await ping(inside, CLIENT), 3, 'it can begin as well')

      const forwards = await atRelay.call('forwards')
      const routed = forwards.filter((message) => message.startsWith(ROUTED))
      const plain = forwards.filter((message) => message.startsWith('0145')).map((message) => ends(message, 1))
      t.ok(routed.length > 0 && routed.every((message) => ends(message, 21) === digits(CLIENT) + digits(INSIDE)), 'what the client sends is behind the outer header')
      t.ok(plain.includes(digits(INSIDE) + digits(CLIENT)), 'what the network sends is not')
      t.notOk(plain.some((both) => both.endsWith(digits(INSIDE))), 'and nothing goes to the network without it')
      t.equal(routed.length + plain.length, forwards.length)
      await inside.ip('route', 'del', '10.77.0.0/24')
    })

    await t.test('with masquerading, the network needs to know nothing', async (t) => {
      t.notOk(await answers(client, INSIDE, 1))
      await gateway.filter(`table ip nat {
        chain out { type nat hook postrouting priority 100; ip saddr 10.77.0.0/24 oifname "lan" masquerade; }
      }`)
      await works(t)
    })

    await t.test('while the relay is away the routes stay', async (t) => {
      await relay.stop('SIGKILL')
      await clientPeer.event('offline')
      t.same(await client.routes(), via('172.16.0.0/16', '192.168.50.0/24'))
      t.equal(await client.wayTo(INSIDE), DEVICE)
      t.equal(await metric('routes'), 2)
      t.notOk(await answers(client, INSIDE, 1))
      t.ok(await eventually(async () => await metric('drops_total{reason="offline"}') > 0), 'what would leave is dropped')
    })

    await t.test('a relay with other rules: the routes follow', async (t) => {
      relay = await startRelay(relayHost, LISTEN, '--sdwan', sdwan('172.16.1.0/24', '192.168.50.0/24'))
      await Promise.all([joined(clientPeer), joined(gatewayPeer)])
      t.same(await client.routes(), via('172.16.1.0/24', '192.168.50.0/24'))
      t.equal(await metric('routes'), 2)
      t.equal(await ping(client, INSIDE), 3)
      t.equal(clientPeer.events.filter(({ event }) => event === 'ready').length, 2, 'in the same process: metrics and the first connection')
    })

    await t.test('SIGTERM leaves no routes', async (t) => {
      t.equal(await clientPeer.stop('SIGTERM'), 0)
      t.same(await client.routes(), [])
      t.equal(await client.interface(DEVICE), undefined)
    })

    await t.test('nor does SIGKILL', async (t) => {
      clientPeer = startMember(client, join(states, 'client'), CLIENT)
      await joined(clientPeer)
      t.same(await client.routes(), via('172.16.1.0/24', '192.168.50.0/24'))
      await clientPeer.stop('SIGKILL')
      t.ok(await eventually(async () => (await client.routes()).length === 0))
    })
  })
}
