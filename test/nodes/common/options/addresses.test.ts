import t from 'tap'
import type { z } from 'zod'
import { formatCidr, parseCidr, type Cidr } from '../../../../src/net/ipv4.ts'
import { addressRange, dialUrl, hostAddress, hostPort, listenEndpoint, listenUrl, listenUrlText, proxyList, serverEndpoint, type ListenUrl } from '../../../../src/nodes/common/options/addresses.ts'

const range = () => addressRange(8, 30).transform((cidr: Cidr) => formatCidr(cidr))
const host24 = () => hostAddress().transform((cidr: Cidr) => formatCidr(cidr))
const listenText = () => listenUrl().transform((url: ListenUrl) => listenUrlText(url))

const good: Array<[field: z.ZodType, input: unknown, output: unknown]> = [
  [range(), '10.77.0.0/24', '10.77.0.0/24'],
  [range(), '10.0.0.0/8', '10.0.0.0/8'],
  [range(), '10.0.0.0/30', '10.0.0.0/30'],
  [host24(), '10.77.0.2/24', '10.77.0.2/24'],
  [host24(), '10.77.0.0/31', '10.77.0.0/31'],
  [host24(), '10.77.0.2/32', '10.77.0.2/32'],
  [listenText(), 'ws://0.0.0.0:8080', 'ws://0.0.0.0:8080'],
  [listenText(), 'WSS://[::1]:0/', 'wss://[::1]:0'],
  [listenText(), 'ws://my-host.example:80', 'ws://my-host.example:80'],
  [dialUrl(), 'ws://h', 'ws://h'],
  [dialUrl(), 'wss://[::1]:443/alice/home', 'wss://[::1]:443/alice/home'],
  [hostPort(), '9100', { host: '127.0.0.1', port: 9100 }],
  [hostPort(), 9100, { host: '127.0.0.1', port: 9100 }],
  [hostPort(), '0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
  [hostPort(), '[::1]:9100', { host: '::1', port: 9100 }],
  [hostPort(), 'localhost:9100', { host: 'localhost', port: 9100 }],
  [hostPort(), { host: '::', port: 0 }, { host: '::', port: 0 }]
]

t.test('what is fine', async (t) => {
  for (const [field, input, output] of good) t.same(field.parse(input), output, String(input))
})

const host = 'a host and its network such as 10.77.0.2/24'
const bad: Array<[field: z.ZodType, input: unknown, message: string]> = [
  [host24(), '10.77.0.2', `not an address ("10.77.0.2"), expected ${host}`],
  [host24(), '10.77.0.02/24', `not an address ("10.77.0.02/24"), expected ${host}`],
  [host24(), '10.77.0.2/0', `not an address ("10.77.0.2/0"), expected ${host}`],
  [host24(), '0.0.0.0/8', `not the address of a host ("0.0.0.0/8"), expected ${host}`],
  [host24(), '127.0.0.1/8', `not the address of a host ("127.0.0.1/8"), expected ${host}`],
  [host24(), '224.0.0.1/8', `not the address of a host ("224.0.0.1/8"), expected ${host}`],
  [host24(), '255.255.255.255/32', `not the address of a host ("255.255.255.255/32"), expected ${host}`],
  [host24(), '10.77.0.0/24', `the network address of its network ("10.77.0.0/24"), expected ${host}`],
  [host24(), '10.77.0.255/24', `the broadcast address of its network ("10.77.0.255/24"), expected ${host}`],
  [dialUrl(), 'http://h/', 'not a WebSocket URL ("http://h/"), expected ws://HOST:PORT/ or wss://HOST:PORT/'],
  [dialUrl(), 'h:80', 'not a WebSocket URL ("h:80"), expected ws://HOST:PORT/ or wss://HOST:PORT/'],
  [dialUrl(), 'ws://h:0/', 'not a WebSocket URL ("ws://h:0/"), expected ws://HOST:PORT/ or wss://HOST:PORT/'],
  [dialUrl(), 'ws://u:s3cret@h/', 'a URL with a user or a password in it, expected ws://HOST:PORT/ or wss://HOST:PORT/'],
  [dialUrl(), 'ws://h/#x', 'a URL with a fragment ("#x"), expected ws://HOST:PORT/ or wss://HOST:PORT/'],
  [listenText(), 'ws://[::1:80', 'not an address to listen on ("ws://[::1:80"), expected ws://HOST:PORT or wss://HOST:PORT'],
  [listenText(), 'ws://0.0.0.0:80/path', 'not an address to listen on ("ws://0.0.0.0:80/path"), expected ws://HOST:PORT or wss://HOST:PORT'],
  [listenText(), 'ws://a b:80', 'not an address to listen on ("ws://a b:80"), expected ws://HOST:PORT or wss://HOST:PORT'],
  [hostPort(), 'x', 'not an address to listen on ("x"), expected HOST:PORT or PORT (then on 127.0.0.1)'],
  [hostPort(), ':80', 'not an address to listen on (":80"), expected HOST:PORT or PORT (then on 127.0.0.1)'],
  [hostPort(), { host: '::', port: 65536 }, 'not an address to listen on (a section), expected HOST:PORT or PORT (then on 127.0.0.1)'],
  [hostPort(), '127.0.0.1:99999', 'not an address to listen on ("127.0.0.1:99999"), expected HOST:PORT or PORT (then on 127.0.0.1)'],
  [range(), 'x'.repeat(100), `not a CIDR ("${'x'.repeat(60)}..."), expected a.b.c.d/8 to /30`]
]

t.test('what is not', async (t) => {
  for (const [field, input, message] of bad) t.equal(field.safeParse(input).error?.issues[0].message, message)
})

t.test('what a check has returned, it takes again', async (t) => {
  for (const [field, input] of [[addressRange(8, 30), '10.0.0.7/24'], [hostAddress(), '10.77.0.2/24'], [listenUrl(), 'wss://[::1]:0'], [listenEndpoint(), 'tls://[::1]:0'], [serverEndpoint(), 'name.example:1']] as const) {
    const value = field.parse(input)
    t.same(field.parse(value), value, input)
  }
  for (const value of [{ host: 'a b', port: 1, isSecure: false }, { host: '::1', port: 65_536, isSecure: false }, { host: '::1', port: 1 }, null, 1]) t.notOk(listenUrl().safeParse(value).success)
  for (const value of [{ address: 1, prefix: 24, network: 1, broadcast: 1 }, { address: 1 }, {}, { address: -1, prefix: 24 }, parseCidr('127.0.0.1/24'), parseCidr('10.77.0.0/24'), { ...parseCidr('10.77.0.2/24'), mask: 0 }]) t.notOk(hostAddress().safeParse(value).success)
  t.notOk(addressRange(8, 30).safeParse(parseCidr('127.0.0.0/24')).success)
  t.same(proxyList().parse([]), [])
})
