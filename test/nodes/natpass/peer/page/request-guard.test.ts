/** Which requests are answered (natpass protocol, section 8, case 32). */
import t from 'tap'
import { refusalOf } from '../../../../../src/nodes/natpass/peer/page/request-guard.ts'

const LOOPBACK = { host: '127.0.0.1', local: '127.0.0.1' }

t.test('Host', async (t) => {
  const taken = (host: string, address = LOOPBACK): boolean => refusalOf('GET', { host }, address) === undefined
  for (const host of ['127.0.0.1', '127.0.0.1:8080', 'localhost', 'LocalHost:1', '[::1]', '[::1]:8080', '127.9.9.9:80']) t.ok(taken(host), host)
  for (const host of ['', 'evil.example', 'evil.example:8080', '127.0.0.1.evil.example', 'localhost.evil.example', '192.0.2.1', '192.0.2.1:8080', '[2001:db8::1]', '0.0.0.0', '127.0.0.1:', '127.0.0.1:99999', 'a@127.0.0.1', '127.0.0.1/x', '2130706433', '127.1']) {
    t.notOk(taken(host), host)
  }
  const named = { host: 'shell.example', local: '192.0.2.7' }
  t.ok(taken('shell.example:8080', named), 'the name that it listens on')
  t.ok(taken('SHELL.example', named))
  t.ok(taken('192.0.2.7:8080', named), 'the address that the client has connected to')
  t.notOk(taken('192.0.2.8:8080', named))
  t.ok(taken('192.0.2.7', { host: '::', local: '::ffff:192.0.2.7' }), 'mapped')
  t.ok(taken('[2001:db8::7]:80', { host: '::', local: '2001:DB8:0::7' }))
  t.notOk(taken('evil.example', { host: '0.0.0.0', local: '127.0.0.1' }), 'also where it listens on all addresses')
})

t.test('Origin', async (t) => {
  const taken = (origin: string, host = '127.0.0.1:8080'): boolean => refusalOf('POST', { host, origin }, LOOPBACK) === undefined
  t.ok(taken('http://127.0.0.1:8080'))
  t.ok(taken('https://127.0.0.1:8080'), 'a proxy in front speaks TLS')
  t.ok(taken('http://localhost', 'LOCALHOST'))
  for (const origin of ['', 'null', 'http://127.0.0.1', 'http://127.0.0.1:8081', 'http://localhost:8080', 'http://evil.example', 'http://127.0.0.1:8080.evil.example', 'http://evil.example/127.0.0.1:8080', 'ftp://127.0.0.1:8080', '127.0.0.1:8080']) {
    t.notOk(taken(origin), origin)
  }
})

t.test('Sec-Fetch-Site', async (t) => {
  const taken = (method: string, site: string, mode = 'cors', dest = 'empty'): boolean =>
    refusalOf(method, { host: 'localhost', 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest }, LOOPBACK) === undefined
  t.ok(taken('POST', 'same-origin'))
  t.ok(taken('GET', 'none', 'navigate', 'document'))
  t.ok(taken('GET', 'same-site', 'navigate', 'document'), 'a link on another page of this machine')
  t.notOk(taken('GET', 'same-site', 'navigate', 'iframe'))
  t.notOk(taken('POST', 'same-site', 'navigate', 'document'))
  t.notOk(taken('GET', 'same-site'))
  for (const method of ['GET', 'POST']) {
    t.notOk(taken(method, 'cross-site'))
    t.notOk(taken(method, 'cross-site', 'navigate', 'document'))
    t.notOk(taken(method, 'anything'))
  }
})
