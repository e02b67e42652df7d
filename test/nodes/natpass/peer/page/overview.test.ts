/** The page of all rules, what it counts, and ports that are in use (natpass protocol, section 5). */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { until } from '../../../../helpers/ends.ts'
import { join } from '../../../../helpers/natpass/client.ts'
import { portOf, startPeer } from '../../../../helpers/natpass/peers.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import { NatpassPeer } from '../../../../../src/nodes/natpass/peer/peer.ts'
import { LINK_TYPES, MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'

const init = { server: '127.0.0.1:1', secret: 'x', id: 'laptop' }

async function echo (t: Test): Promise<number> {
  const server = createServer((socket) => { socket.on('error', () => {}).pipe(socket) }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const pageOf = (peer: NatpassPeer): string => peer.status().page?.url ?? ''

async function read (peer: NatpassPeer, path: string): Promise<unknown> {
  const answer = await fetch(`${pageOf(peer)}${path}`)
  return answer.headers.get('content-type') === 'application/json' ? await answer.json() : `${answer.status}`
}

t.test('rules and links, with what they have carried', async (t) => {
  const { port } = await serve(t)
  await startPeer(t, port, { allow: ['tcp', 'bench'] })
  const laptop = await startPeer(t, port, {
    id: 'laptop',
    page: '0',
    rules: [{ name: 'echo', target: 'nas', type: 'tcp', remotePort: await echo(t) }, { name: 'way', target: 'nas', type: 'bench' }]
  })
  const [echoPort, wayPort] = [portOf(laptop, 0), portOf(laptop, 1)]
  t.same(await read(laptop, '/api/info'), { rules: 2, virtual_links: 0, sessions: 0 })
  t.same(await read(laptop, '/api/rules'), [
    { name: 'echo', remote: 'nas', port: echoPort, type: 'tcp', links: null },
    { name: 'way', port: wayPort, type: 'bench', links: null }
  ])
  const user = connect(echoPort, '127.0.0.1')
  user.write('hello, nas')
  await once(user, 'data')
  t.same(await read(laptop, '/api/info'), { rules: 2, virtual_links: 1, sessions: 0 })
  const [{ links: [{ id, ...counts }] }] = await read(laptop, '/api/rules') as [{ links: [Record<string, unknown>] }]
  t.match(id, /^[0-9a-f]{16}$/)
  t.same(counts, { send_bytes: 10, send_packet: 1, recv_bytes: 10, recv_packet: 1 })
  user.end()
  await until(() => laptop.status().rules[0].links === 0)
  t.match(await read(laptop, '/api/status'), { id: 'laptop', rules: [{ opened: 1, open: [], bytesIn: 10, packetsIn: 1, bytesOut: 10, packetsOut: 1 }, { name: 'way' }] })
})

t.test('links that others have open here are those of rules as well, in the form of the original', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['tcp', 'bench'], page: '0', rules: [{ name: 'own', target: 'laptop', type: 'bench' }] })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [{ name: 'echo', target: 'nas', type: 'tcp', remotePort: await echo(t) }, { name: 'way', target: 'nas', type: 'bench' }] })
  t.equal((await fetch(laptop.status().rules[1].url as string)).status, 200, 'a measurement leaves no link')
  const users = [connect(portOf(laptop), '127.0.0.1'), connect(portOf(laptop), '127.0.0.1')]
  for (const [i, user] of users.entries()) {
    user.write('a'.repeat(i + 1))
    await once(user, 'data')
  }
  t.same(await read(nas, '/api/info'), { rules: 1, virtual_links: 2, sessions: 0 })
  const ids = laptop.status().rules[0].open.map(({ id }) => id)
  const counts = (count: number): object => ({ send_bytes: count, send_packet: 1, recv_bytes: count, recv_packet: 1 })
  t.same(await read(nas, '/api/rules'), [
    { name: 'own', port: portOf(nas), type: 'bench', links: null },
    { name: 'echo', remote: 'laptop', port: 0, type: 'tcp', links: [{ id: ids[0], ...counts(1) }, { id: ids[1], ...counts(2) }] }
  ])
  t.match(nas.status().served, [{ client: 'laptop', rule: 'echo', type: 'tcp', bytesIn: 1 }, { id: ids[1], bytesOut: 2 }])
  for (const user of users) user.destroy()
  await until(() => nas.status().served.length === 0)
  t.same(await read(nas, '/api/info'), { rules: 1, virtual_links: 0, sessions: 0 })
})

t.test('names of rules that others choose are shown short and without control characters', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['tcp'], page: '0' })
  const laptop = await join(t, port, 'laptop')
  const remote = await echo(t)
  const open = async (link: string, name: string): Promise<void> => {
    laptop.send({ _type: MessageType.connectReq, to: 'nas', link_id: link, creq: { name, _type: LINK_TYPES.indexOf('tcp'), caddr: { addr: '127.0.0.1', port: remote } } })
    t.equal((await laptop.next(({ link_id: id }) => id === link)).crep?.ok, true)
  }
  await open('1', `\u202e\n${'x'.repeat(50_000)}`)
  await open('2', '')
  const rules = await read(nas, '/api/rules') as Array<{ name: string, links: object[] }>
  t.match(rules[0].name, /^\\u202e\\x0ax{113}\.\.\.$/)
  t.match(rules[1], { name: '', remote: 'laptop', type: 'tcp', links: [{ id: '2', send_bytes: 0 }] })
})

t.test('the page is for its own site, and has no other paths', async (t) => {
  const peer = new NatpassPeer({ ...init, page: '127.0.0.1:0' })
  t.teardown(() => peer.close())
  await peer.start()
  t.equal(await read(peer, '/api/rules'), null, 'no rules')
  for (const headers of [['origin', 'http://evil.example'], ['sec-fetch-site', 'cross-site']] as Array<[string, string]>) t.equal((await fetch(`${pageOf(peer)}/api/rules`, { headers: [headers] })).status, 403)
  t.equal(await read(peer, '/debug/pprof/'), '404')
  t.equal((await fetch(`${pageOf(peer)}/api/rules`, { method: 'POST' })).status, 405)
  const html = await (await fetch(pageOf(peer))).text()
  t.match(html, '<title>laptop</title>')
  t.notMatch(html, /<script[^>]*>[^<]|<style| on\w+=|javascript:/, 'nothing inline')
})

t.test('a password', async (t) => {
  t.throws(() => new NatpassPeer({ ...init, page: '0.0.0.0:0' }), { message: /needs a page-password/ })
  const peer = new NatpassPeer({ ...init, page: '0.0.0.0:0', pagePassword: 'open sesame' })
  t.teardown(() => peer.close())
  await peer.start()
  const url = pageOf(peer).replace('0.0.0.0', '127.0.0.1')
  for (const path of ['info', 'rules', 'status']) t.equal((await fetch(`${url}/api/${path}`)).status, 401, path)
  t.match(await (await fetch(url)).text(), 'type="password"')
  const logIn = (password: string): Promise<Response> => fetch(`${url}/login`, { method: 'POST', body: new URLSearchParams({ password }), redirect: 'manual' })
  t.equal((await logIn('wrong')).status, 403)
  const { status, headers } = await logIn('open sesame')
  t.equal(status, 303)
  const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
  t.equal((await fetch(`${url}/api/info`, { headers: { cookie } })).status, 200)
})

t.test('a port in use is told, and the rest runs', async (t) => {
  const taken = await echo(t)
  const lines: object[] = []
  const warn = (fields: object): void => { lines.push(fields) }
  const peer = new NatpassPeer({
    ...init,
    page: String(taken),
    rules: [
      { name: 'taken', target: 'nas', type: 'tcp', localPort: taken, remotePort: 80 },
      { name: 'page', target: 'nas', type: 'bench', localPort: taken },
      { name: 'free', target: 'nas', type: 'tcp', remotePort: 80 }
    ],
    log: { debug () {}, info () {}, warn, error () {} }
  })
  t.teardown(() => peer.close())
  const told: string[] = []
  peer.on('rule', (name) => { told.push(name) })
  await peer.start()
  t.same(told, ['free'])
  const { rules, page } = peer.status()
  t.match(rules, [{ url: undefined, problem: /^cannot listen: .*EADDRINUSE/ }, { url: undefined, problem: /EADDRINUSE/ }, { url: /^tcp:/, problem: undefined }])
  t.match(page, { url: undefined, problem: /EADDRINUSE/ })
  t.match(lines.slice(0, 3), [{ rule: 'taken' }, { rule: 'page' }, { page: `127.0.0.1:${taken}` }])
})
