/** One grammar for hosts, addresses with a port and URLs, in whatever option they stand. */
import t from 'tap'
import { dialUrl, hostPort, listenEndpoint, listenUrl, localAddress, proxyList, serverEndpoint } from '../../src/nodes/common/options/addresses.ts'
import { peerOptions } from '../../src/nodes/gotunnel/peer/options.ts'
import { endpointText, readEndpoint, readUrl } from '../../src/net/endpoint.ts'
import { serveCandy } from '../../src/nodes/candy/index.ts'
import { serveGotunnel } from '../../src/nodes/gotunnel/index.ts'
import { dialWebSocket } from '../../src/transports/index.ts'
import { failureOf } from '../helpers/ends.ts'

const HOSTS = ['192.0.2.1', '[2001:db8::1]', '[::]', '[fe80::1%lo]', '[fe80::1%br-lan.7]', 'name.example', 'name.example.', 'a_b', 'localhost']
const NO_HOSTS = ['', '192.0.2', '192.0.2.256', '010.0.0.1', '2001:db8::1', '::1', '[::1', '::1]', '[192.0.2.1]', '[name]', '[fe80::1%]', '[fe80::1%a b]', 'a b', '-a', 'a..b', 'a@b', 'a/b', `${'a.'.repeat(127)}`]
const NO_PORTS = ['', '65536', '-1', '1.5', 'x', '000080']

const takes = (field: { safeParse (input: unknown): { success: boolean } }, input: unknown): boolean => field.safeParse(input).success

/** Every option that takes a host with a port. */
const options: Record<string, (place: string) => boolean> = {
  endpoint: (place) => readEndpoint(place) !== undefined,
  metrics: (place) => takes(hostPort(), place),
  'listen of candy': (place) => takes(listenUrl(), `ws://${place}`),
  'listen of gotunnel': (place) => takes(listenEndpoint(), place),
  'listen of gotunnel with a scheme': (place) => takes(listenEndpoint(), `tcp://${place}`),
  server: (place) => takes(serverEndpoint(), place),
  map: (place) => takes(peerOptions.maps.check, [`10022:${place}`])
}

t.test('what is a host with a port in one option is one in all', async (t) => {
  for (const [name, isTaken] of Object.entries(options)) {
    for (const host of HOSTS) t.ok(isTaken(`${host}:17001`), `${name}: ${host}`)
    for (const host of NO_HOSTS) if (name !== 'map' || host !== '') t.notOk(isTaken(`${host}:17001`), `${name}: ${host}`)
    for (const port of NO_PORTS) t.notOk(isTaken(`localhost:${port}`), `${name}: ${port}`)
  }
  t.same(readEndpoint('[fe80::1%lo]:17001'), { host: 'fe80::1%lo', port: 17001 })
  t.equal(endpointText({ host: 'fe80::1%lo', port: 17001 }), '[fe80::1%lo]:17001')
})

t.test('a URL to connect to has a zone as well', async (t) => {
  for (const zone of ['%lo', '%25lo']) {
    const text = `ws://[fe80::1${zone}]:17001/alice`
    const read = readUrl(text)
    t.match(read, { host: 'fe80::1%lo', port: 17001 })
    t.equal(read?.url.href, 'ws://[fe80::1]:17001/alice', 'of which the other side is not told')
    t.ok(takes(dialUrl(), text))
  }
  t.match(readUrl('wss://[fe80::1%lo]'), { host: 'fe80::1%lo', port: 443 })
  for (const text of ['ws://[fe80::1%]:1/', 'ws://[fe80::1%a b]:1/', 'ws://192.0.2.1%lo/', 'ws://[::1', 'nothing']) t.notOk(takes(dialUrl(), text), text)
  t.ok(takes(dialUrl(), 'ws://name.example/a%25b'), 'a % elsewhere is no zone')
  // A zone that is no interface: no other interface takes its place, and no name with brackets is looked up.
  t.match(await failureOf(dialWebSocket('ws://[fe80::1%25none0]:9/')), { message: 'connect EINVAL fe80::1%none0:9', code: 'EINVAL', syscall: 'connect', address: 'fe80::1%none0', port: 9 })
})

t.test('addresses alone, and networks', async (t) => {
  for (const address of ['192.0.2.1', '::', 'fe80::1%lo', '[fe80::1%lo]']) t.ok(takes(localAddress(), address), address)
  for (const address of ['name', '192.0.2', '[192.0.2.1]', 'fe80::1%']) t.notOk(takes(localAddress(), address), address)
  for (const networks of ['10.0.0.0/8,2001:db8::/32', '192.0.2.1']) t.ok(takes(proxyList(), networks), networks)
  // The nodes would refuse these without the file, the line and the key.
  for (const networks of ['fe80::1%lo', 'fe80::%lo/64', '10', '0x7f.1', '10.0.0.0/08', '::/129']) t.notOk(takes(proxyList(), networks), networks)
})

t.test('what an option takes, the nodes take', async (t) => {
  for (const host of HOSTS) {
    const listen = `${host}:0`
    for (const serve of [
      () => serveCandy({ listen: `ws://${listen}`, password: 'secret' }),
      () => serveGotunnel({ listen, identities: [{ name: 'a', token: 'secret' }] })
    ]) {
      const err = await serve().then(async (server) => { await server.close() }, (err) => err)
      t.not(err?.code, 'ERR_OPTION', `${host}: ${err?.message ?? 'listens'}`)
    }
  }
})
