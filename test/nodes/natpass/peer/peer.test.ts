/** Two peers and a relay: ports and shells (natpass protocol, section 4; cases 21 to 28, 31 and 35 of section 8; defects 1, 5, 8, 10, 11 and 14 of section 7). */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { ManualClock } from '../../../helpers/clock.ts'
import { standstill, until } from '../../../helpers/ends.ts'
import { join, SECRET, type NatpassClient } from '../../../helpers/natpass/client.ts'
import { answer, contentOf, data, ended, isType, LINK, request } from '../../../helpers/natpass/messages.ts'
import { portOf, startPeer } from '../../../helpers/natpass/peers.ts'
import { isRunning, skipWithoutPty } from '../../../helpers/natpass/pty.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { NatpassPeer } from '../../../../src/nodes/natpass/peer/peer.ts'
import { Session } from '../../../../src/nodes/natpass/peer/session.ts'
import { frames } from '../../../../src/nodes/natpass/protocol/frames.ts'
import { decodeMessage } from '../../../../src/nodes/natpass/protocol/messages.ts'
import { serveNatpass } from '../../../../src/nodes/natpass/relay/server.ts'
import { over } from '../../../../src/layer.ts'
import { silent as mute } from '../../../../src/log.ts'
import { systemClock } from '../../../../src/streams/clock.ts'
import { wrapLink } from '../../../../src/streams/wrap-link.ts'
import { memoryPair } from '../../../../src/transports/memory/index.ts'
import { listenTcp } from '../../../../src/transports/tcp.ts'
import type { Batch } from '../../../../src/types.ts'

/** A service that answers each user. */
async function service (t: Test, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => { serve(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

const echo = (socket: Socket): void => { socket.pipe(socket) }

async function all (socket: Socket): Promise<Buffer> {
  const heard: Buffer[] = []
  for await (const read of socket) heard.push(read)
  return Buffer.concat(heard)
}

t.test('a port, with half-close both ways, for many users at once', async (t) => {
  const { server, port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['tcp@laptop'] })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [{ name: 'echo', target: 'nas', type: 'tcp', remotePort: await service(t, echo) }] })
  const content = Buffer.alloc(3_000_000, 'natpass ')
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const user = connect({ port: portOf(laptop), host: '127.0.0.1', allowHalfOpen: true })
    const sent = content.subarray(i * 100_000)
    user.end(sent)
    t.ok((await all(user)).equals(sent), `user ${i}`)
  }))
  await until(() => server.status().links.tcp + nas.status().links + laptop.status().rules[0].links === 0)
  t.match(nas.status(), { accepted: 20, refused: 0 })
  t.match(laptop.status(), { rules: [{ opened: 20 }] })
})

t.test('a service that ends first, one that resets, and one that is not there', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['tcp'] })
  const [greeting, resetting] = [await service(t, (socket) => { socket.end('hello') }), await service(t, (socket) => { socket.once('data', () => { socket.resetAndDestroy() }) })]
  const rules = [greeting, resetting, 1].map((remotePort, i) => ({ name: String(i), target: 'nas', type: 'tcp' as const, remotePort }))
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [...rules, { name: 'far', target: 'nas', type: 'tcp', remoteAddr: '192.0.2.1', remotePort: 80 }, { name: 'nobody', target: 'nobody', type: 'tcp', remotePort: 1 }] })
  const user = (i: number): Socket => connect({ port: portOf(laptop, i), host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
  const first = user(0)
  t.equal((await all(first)).toString(), 'hello')
  first.end('late')
  const second = user(1)
  second.write('x')
  await new Promise((resolve) => { second.once('close', resolve).resume() })
  for (const i of [2, 3, 4]) await new Promise((resolve) => { connect(portOf(laptop, i), '127.0.0.1').on('error', () => {}).once('close', resolve).resume() })
  const problems = laptop.status().rules.map(({ problem }) => problem)
  t.match(problems.slice(2), [/ECONNREFUSED/, /^tcp to 192\.0\.2\.1:80 is not allowed here$/, /nobody is not connected/])
  t.equal(nas.status().refused, 2)
})

t.test('nothing is allowed that is not said', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['shell@laptop', 'bench'] })
  const [laptop, other] = [await join(t, port, 'laptop'), await join(t, port, 'other')]
  const refused = async (client: NatpassClient, link: string, type: Parameters<typeof request>[2], msg: RegExp): Promise<void> => {
    client.send(request('nas', link, type))
    t.match(await client.next(isType('connectRep')), { from: 'nas', link_id: link, crep: { ok: false, msg } })
  }
  await refused(other, '1', 'shell', /^shell is not allowed here$/)
  await refused(laptop, '2', 'tcp', /^tcp is not allowed here$/)
  await refused(laptop, '3', 77, /^this type is unknown here$/)
  await refused(laptop, '4', 'vnc', /^vnc is not allowed here$/)
  await refused(laptop, '6', 'udp', /^udp is not allowed here$/)
  other.send(request('nas', '5', 'bench'))
  t.match(await other.next(isType('connectRep')), { link_id: '5', crep: { ok: true } })
  t.match(nas.status(), { refused: 5, accepted: 1, links: 0 })
})

t.test('measurements', async (t) => {
  const { server, port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['bench@laptop'] })
  const silent = await join(t, port, 'silent')
  const clock = new ManualClock({ date: Date.now() })
  const warned: object[] = []
  const laptop = await startPeer(t, port, { id: 'laptop', clock, log: { ...mute, warn: (fields) => { warned.push(fields) } }, rules: ['nas', 'nobody', 'silent'].map((target) => ({ name: target, target, type: 'bench' })) })
  const [url, lost, unanswered] = laptop.status().rules.map(({ url }) => url ?? '')
  const measure = async (url: string, init: RequestInit = {}): Promise<[status: number, text: string]> => {
    const response = await fetch(url, init)
    return [response.status, await response.text()]
  }
  for (const [path, method] of [['', 'GET'], ['/any?path', 'POST']]) t.match(await measure(url + path, { method }), [200, /^[0-9a-f]{16}$/])
  await until(() => server.status().links.bench + nas.status().links + laptop.status().rules[0].links === 0)
  t.match([nas.status(), laptop.status().rules[0]], [{ accepted: 2 }, { opened: 2 }])
  t.match(await measure(lost), [502, /^nobody is not connected/])
  t.match(await measure(url, { headers: { origin: 'http://evil.example' } }), [403, /another site/])
  t.match(warned.at(-1), { page: url, remote: '127.0.0.1', reason: 'a request of another site', count: 1 })
  const waiting = Array.from({ length: 16 }, () => measure(unanswered))
  for (let i = 0; i < waiting.length; i++) t.match(await silent.next(isType('connectReq')), { from: 'laptop', creq: { name: 'silent', _type: 4 } })
  t.match(await measure(unanswered), [503, /^16 measurements are running already/])
  clock.advance(20_000)
  for (const answer of waiting) t.same(await answer, [502, 'the other end does not answer'])
  t.equal(laptop.status().rules[2].links, 0)
})

t.test('a shell without a page', { skip: skipWithoutPty }, async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['shell'] })
  const laptop = new NatpassPeer({ server: `127.0.0.1:${port}`, secret: SECRET, id: 'laptop', rules: [{ name: 'sh', target: 'nas', type: 'shell', exec: 'sh', env: ['A=1'] }, { name: 'web', target: 'nas', type: 'tcp', remotePort: 1 }] })
  t.teardown(() => laptop.close())
  await t.rejects(laptop.openShell('sh'), { code: 'ERR_LINK_CLOSED' }, 'not online')
  const online = once(laptop, 'online')
  await laptop.start({ listen: false })
  await online
  t.match(laptop.status().rules, [{ url: undefined }, { url: undefined }])
  for (const name of ['web', 'x']) await t.rejects(laptop.openShell(name), { code: 'ERR_OPTION' })
  const shell = await laptop.openShell('sh')
  shell.resize(33, 101)
  await shell.link.sink((async function * () { yield [Buffer.from('echo "<$A>"; stty size; exit\n')] })())
  let heard = ''
  for await (const batch of shell.link.source) heard += Buffer.concat(batch).toString()
  t.match(heard, /<1>\r\n33 101\r\n/)
  await shell.exited
  await until(() => nas.status().links === 0)
})

t.test('a shell for a client of the original', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['shell'] })
  const laptop = await join(t, port, 'laptop')
  const shell = (exec: string, link = LINK): void => { laptop.send({ _type: 3, to: 'nas', link_id: link, creq: { name: 'sh', _type: 2, cshell: { exec, env: ['PS1=$ ', 'WORD=some word', 'TERM=dumb'] } } }) }
  let heard = '' // bytes, a character each
  const says = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(heard)) heard += Buffer.from((await laptop.next(isType('shellData'))).sdata?.data ?? []).toString('latin1')
  }
  shell('/bin/sh')
  t.match(await laptop.next(isType('connectRep')), { from: 'nas', crep: { ok: true } })
  laptop.send({ _type: 10, to: 'nas', link_id: LINK, sresize: { rows: 33, cols: 101 } })
  laptop.send(data('nas', 'stty size; echo "<$WORD>"; printf "\\303\\251|\\344|\\377\\376."\n'))
  await says(/33 101\r\n<some word>\r\n\xc3\xa9\|\xe4\|\xff\xfe\./)
  laptop.send({ _type: 10, to: 'nas', link_id: LINK, sresize: { rows: 70_000, cols: 1 } })
  laptop.send(data('nas', 'sleep 1000 & echo pid=$!.\n'))
  await says(/pid=(\d+)\./)
  const pid = Number(/pid=(\d+)\./.exec(heard)?.[1])
  t.equal(process.kill(pid, 0), true)
  laptop.send(ended('nas'), ended('nas'))
  await until(() => !isRunning(pid))
  await until(() => nas.status().links === 0)

  shell('/nonexistent', 'none')
  t.match(await laptop.next(isType('connectRep')), { link_id: 'none', crep: { ok: false, msg: /nonexistent/ } })
  t.equal(nas.status().links, 0)
  shell('/bin/true', 'true')
  t.match(await laptop.next(isType('connectRep')), { link_id: 'true', crep: { ok: true } })
  t.match(await laptop.next(isType('disconnect')), { from: 'nas', link_id: 'true' })

  laptop.send({ _type: 3, to: 'nas', link_id: 'desk', creq: { name: 'sh', _type: 3, cvnc: {} } })
  t.match(await laptop.next(isType('connectRep')), { link_id: 'desk', crep: { ok: false, msg: 'vnc is not allowed here' } }, 'the name of a rule says nothing')
  shell('', 'usual')
  t.match(await laptop.next(isType('connectRep')), { link_id: 'usual', crep: { ok: true } })
  laptop.send(data('nas', 'echo "usual: $WORD."\n', 'usual')) // not after the prompt, which the files of a user's shell change
  await says(/usual: some word\./)
})

t.test('a user that does not read: its link waits, others go on, and nothing is lost', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['tcp'] })
  const content = Buffer.alloc(20_000_000, 'natpass ')
  const [big, quick] = [await service(t, (socket) => { socket.end(content) }), await service(t, echo)]
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [big, quick].map((remotePort, i) => ({ name: String(i), target: 'nas', type: 'tcp' as const, remotePort })) })
  const slow = connect({ port: portOf(laptop), host: '127.0.0.1', allowHalfOpen: true }).pause()
  await until(() => nas.stats.bytesOut > 256 << 10)
  await standstill(() => nas.stats.bytesOut)
  t.ok(nas.stats.bytesOut < 15_000_000, `${nas.stats.bytesOut} bytes were sent`)
  const user = connect({ port: portOf(laptop, 1), host: '127.0.0.1', allowHalfOpen: true })
  user.end('quick')
  t.equal((await all(user)).toString(), 'quick')
  t.ok((await all(slow)).equals(content))
  slow.end()
})

t.test('the page of a shell of the original', async (t) => {
  const { port } = await serve(t)
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [{ name: 'sh', target: 'nas', type: 'shell', exec: 'sh', env: ['A=1'] }] })
  const nas = await join(t, port, 'nas')
  const url = laptop.status().rules[0].url ?? ''
  const opening = fetch(`${url}/new`, { method: 'POST' })
  const asked = await nas.next(isType('connectReq'))
  t.match(asked, { from: 'laptop', creq: { name: 'sh', _type: 2, cshell: { exec: 'sh', env: ['A=1'] }, link: { version: 1 } } })
  const link = asked.link_id
  nas.send(answer('laptop', link))
  t.equal(await (await opening).text(), link)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/${link}`)
  await once(socket, 'open')
  const paste = 'p'.repeat(70_000)
  socket.send(paste)
  let got = ''
  while (got.length < paste.length) {
    const piece = contentOf(await nas.next(isType('shellData')))
    t.ok(piece.length <= 65_000)
    got += piece
  }
  t.equal(got, paste, 'of any size, in several messages')
  t.equal(await (await fetch(`${url}/resize`, { method: 'POST', body: new URLSearchParams({ id: link, rows: '33', cols: '101' }) })).text(), 'ok')
  t.match(await nas.next(isType('shellResize')), { link_id: link, sresize: { rows: 33, cols: 101 } })
  nas.send(data('laptop', 'text', link), ended('laptop', link))
  const [message] = await once(socket, 'message')
  t.equal(String(message), 'text')
  await once(socket, 'close')
  const refusedOpening = fetch(`${url}/new`, { method: 'POST' })
  nas.send(answer('laptop', (await nas.next(isType('connectReq'))).link_id, false))
  t.match(await refusedOpening, { status: 502 })
})

t.test('of the sizes of a terminal that wait to be written the newest one is sent', async (t) => {
  const [lower, wire] = memoryPair()
  let release = (): void => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  const held = wrapLink(lower, { sink: async (source: AsyncIterable<Batch>) => { await released; await lower.sink(source) } })
  const session = new Session({ link: held, settings: { id: 'laptop', secret: SECRET, legacyMd5: undefined }, clock: systemClock, onOpen () {}, onResize () {}, onExit () {}, onOnline () {} })
  t.teardown(() => { session.mux.abort(new Error('the test is over')) })
  for (let rows = 1; rows <= 1000; rows++) for (const link of ['a', 'b']) session.resize('nas', link, rows, 80)
  release()
  const sizes: Array<[string, unknown]> = []
  for await (const batch of over(wire, frames).source) {
    for (const { link_id: link, sresize } of batch.map(decodeMessage)) if (sresize != null) sizes.push([link, sresize.rows])
    if (sizes.some(([link]) => link === 'b')) break
  }
  t.same(sizes, [['a', 1000], ['b', 1000]])
})

t.test('a server that restarts, and one that does not know the secret', async (t) => {
  const first = await serveNatpass({ listen: '127.0.0.1:0', secret: SECRET })
  const port = Number(new URL(first.url).port)
  const nas = await startPeer(t, port, { allow: ['tcp'] })
  const [offline, online] = [once(nas, 'offline'), once(nas, 'online')]
  await first.close()
  await offline
  t.equal(nas.isOnline, false)
  const second = await serveNatpass({ listen: `127.0.0.1:${port}`, secret: SECRET })
  await online
  t.match(second.status(), { members: [{ id: 'nas' }] })
  await second.close()
  const third = await serveNatpass({ listen: `127.0.0.1:${port}`, secret: 'another' })
  t.teardown(() => third.close())
  await until(() => nas.status().reason?.includes('without a word') === true)
  t.match(nas.status().reason, /perhaps the secret or the clock of this machine is wrong/)
})

t.test('two peers with one id', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['tcp'] })
  const offline = once(nas, 'offline')
  await startPeer(t, port, { allow: ['tcp'] })
  t.match(await offline, [{ message: /^the server has ended the connection: perhaps .* another peer has the id nas$/ }])
})

t.test('a server that says nothing any more', async (t) => {
  const listener = listenTcp({ port: 0, host: '127.0.0.1' })
  const port = await listener.port()
  const accepted = listener[Symbol.asyncIterator]().next()
  const clock = new ManualClock()
  const peer = new NatpassPeer({ server: `127.0.0.1:${port}`, secret: SECRET, id: 'nas', allow: ['tcp'], clock })
  t.teardown(() => peer.close())
  await peer.start()
  await accepted
  const offline = once(peer, 'offline')
  for (let i = 0; i < 70; i++) await clock.pass(1000)
  t.match(await offline, [{ message: /nothing was heard of the server for 60 seconds/ }])
  listener.close()
})
