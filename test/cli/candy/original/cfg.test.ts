/** The configuration file of the original program, as it is. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAddress, parseCidr } from '../../../../src/net/ipv4.ts'
import { listenUrlText } from '../../../../src/nodes/common/options/addresses.ts'
import type { Flags } from '../../../../src/cli/config/settings.ts'
import { isCandyCfg } from '../../../../src/cli/candy/original/cfg.ts'
import { complaint } from '../../../helpers/cli/complaint.ts'
import { peerOf as loadPeer, relayOf as loadRelay } from '../../../helpers/cli/loaded.ts'

/** Like the sample that comes with the original. */
const SERVER = `# mode: server or client
mode = "server"

# where to listen
websocket = "ws://0.0.0.0:26816"
password = "this is; the = password" ;
dhcp = "192.168.202.0/24"
sdwan = "192.168.202.1/32,172.17.0.0/16,192.168.202.2;192.168.202.2/32,172.16.0.0/16,192.168.202.1"

# of the client
name = "candy"
stun = "stun://stun.example.org"
discovery = 300
mtu = 1400
`

const CLIENT = `mode = "client"
websocket = "wss://vpn.example.org/alice"
password = 'single'
name = "laptop"
tun = "192.168.202.7/24"
mtu = 1300
stun = "stun://stun.example.org"
discovery = 300
route = 5
port = 0
localhost = ""
debug = true
colour = red
a line without a sign
`

function write (t: { testdir (): string }, text: string, name = 'candy.cfg'): string {
  const file = join(t.testdir(), name)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

const flags = (config: string): Flags => ({ config, protocol: undefined, source: { values: {}, name: (path) => `--${path[path.length - 1]}` } })

t.test('a file of a server', async (t) => {
  const { candy, settings, warnings } = loadRelay(flags(write(t, SERVER)))
  t.equal(listenUrlText(candy.listen), 'ws://0.0.0.0:26816')
  t.match(candy, { password: 'this is; the = password', dhcp: parseCidr('192.168.202.0/24'), sdwan: [{ device: parseCidr('192.168.202.1/32') }, { nexthop: parseAddress('192.168.202.1') }] })
  t.equal(settings['log-level'], 'info')
  t.same(warnings, [], 'keys of the client are no matter of the server')
})

t.test('where a server listens has a path, a query, capital letters or no port, as the original takes it', async (t) => {
  for (const [websocket, listen] of [
    ['"ws://127.0.0.1:8080/ws"', 'ws://127.0.0.1:8080'],
    ['ws://127.0.0.1:8080/a/b?c=d#e ;', 'ws://127.0.0.1:8080'],
    ['ws://127.0.0.1:8080/', 'ws://127.0.0.1:8080'],
    ['ws://127.0.0.1:8080?x', 'ws://127.0.0.1:8080'],
    ['ws://127.0.0.1/ws', 'ws://127.0.0.1:80'],
    ['ws://127.0.0.1:/ws', 'ws://127.0.0.1:80'],
    ['WS://127.0.0.1:8080/ws', 'ws://127.0.0.1:8080'],
    ['ws://[::1]:8080/ws', 'ws://[::1]:8080'],
    ['ws://[::1]/ws', 'ws://[::1]:80']
  ]) {
    const { candy } = loadRelay(flags(write(t, `mode = server\nwebsocket = ${websocket}\npassword = x`)))
    t.equal(listenUrlText(candy.listen), listen, websocket)
  }
  for (const websocket of ['ws://127.0.0.1:99999/ws', 'http://127.0.0.1:80/ws', 'ws://user:secret@127.0.0.1:80/ws', 'ws:///ws']) {
    const file = write(t, `mode = server\nwebsocket = ${websocket}\npassword = x`)
    t.throws(() => loadRelay(flags(file)), /candy\.cfg:2: websocket: /, websocket)
  }
})

t.test('a file of a client', async (t) => {
  const file = write(t, CLIENT)
  const { candy, settings, warnings } = loadPeer(flags(file))
  t.match(candy, { url: 'wss://vpn.example.org/alice', name: 'laptop', address: parseCidr('192.168.202.7/24'), mtu: 1300, tun: undefined, stun: [{ host: 'stun.example.org', port: 3478 }], discovery: 300, route: 5, port: 0, localhost: undefined })
  t.equal(candy.password, "'single'", 'only double quotes are taken off')
  t.equal(settings['log-level'], 'debug')
  t.same(warnings, [`${file}:13: unknown key, it is ignored`])
})

t.test('it is recognised by what is in it, under any name', async (t) => {
  t.match(loadRelay(flags(write(t, SERVER.replaceAll('\n', '\r\n'), 'relay.yaml'))).candy.listen, { host: '0.0.0.0', port: 26_816 })
  t.ok(isCandyCfg('  # a comment that is none to the original\nmode = "server"\n'))
  for (const text of ['', '# only\n', 'candy:\n  password: a = b\n', '{candy: {password: a=b}}\n', '---\na: b\n']) t.notOk(isCandyCfg(text), text)
})

t.test('what the original takes for granted', async (t) => {
  for (const [websocket, listen] of [['ws://0.0.0.0', 'ws://0.0.0.0:80'], ['ws://0.0.0.0/', 'ws://0.0.0.0:80'], ['ws://[::]', 'ws://[::]:80'], ['ws://127.0.0.1:9/', 'ws://127.0.0.1:9']]) {
    t.equal(listenUrlText(loadRelay(flags(write(t, `websocket = ${websocket}\npassword = x\n`))).candy.listen), listen, websocket)
  }
  t.match(loadPeer(flags(write(t, 'websocket = "ws://h"\npassword = "x"\ntun = ""\nname = ""\n'))).candy, { url: 'ws://h', address: undefined, name: undefined })
})

t.test('what is wrong is told by its own names', async (t) => {
  const relay = (text: string): string => complaint(t, () => loadRelay(flags(write(t, text)))).replace(/^.*\/candy\.cfg/, 'candy.cfg')
  t.equal(relay(CLIENT), 'candy.cfg:1: mode: this is a file for peer, expected server')
  t.equal(relay('mode = "both"\n'), 'candy.cfg:1: mode: unknown, expected server')
  t.equal(relay('mode = server\nwebsocket = "http://h"\n'), 'candy.cfg:2: websocket: not an address to listen on ("http://h"), expected ws://HOST:PORT or wss://HOST:PORT')
  t.equal(relay('mode = server\npassword = x\n'), 'candy.cfg: websocket: missing, expected ws://HOST:PORT or wss://HOST:PORT')
  t.match(relay('websocket = ws://h:1\npassword = ""\n'), /^candy\.cfg: password: missing, expected a password/)
  t.match(relay('websocket = ws://h:1\npassword = x\n\nsdwan = "a"\n'), /^candy\.cfg:4: sdwan: rule 1 /)
  const peer = complaint(t, () => loadPeer(flags(write(t, 'websocket = ws://h\npassword = x\ntun = "10.0.0.0/24"\n'))))
  t.match(peer, /candy\.cfg:3: tun: the network address of its network/)
  t.match(complaint(t, () => loadPeer(flags(write(t, SERVER)))), /candy\.cfg:2: mode: this is a file for relay, expected client/)
})
