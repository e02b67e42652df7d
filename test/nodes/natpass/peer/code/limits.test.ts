/** Bounds of code-server, in time and number (natpass protocol, sections 4.2, 4.3 and 6.6). */
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { basename, join as joinPath } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { ManualClock } from '../../../../helpers/clock.ts'
import { failureOf, turn, until } from '../../../../helpers/ends.ts'
import { join, type NatpassClient } from '../../../../helpers/natpass/client.ts'
import { installCodeServer } from '../../../../helpers/natpass/code.ts'
import { testCodePage } from '../../../../helpers/natpass/code-page.ts'
import { ended, isType } from '../../../../helpers/natpass/messages.ts'
import { startPeer } from '../../../../helpers/natpass/peers.ts'
import { isRunning } from '../../../../helpers/natpass/pty.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import { newHome } from '../../../../helpers/programs/homes.ts'
import { folderName, startCodeServer } from '../../../../../src/nodes/natpass/peer/code/code-server.ts'
import type { NatpassPeer } from '../../../../../src/nodes/natpass/peer/peer.ts'
import { systemClock } from '../../../../../src/streams/clock.ts'
import { LINK_TYPES, MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import type { Message, MessageInit } from '../../../../../src/nodes/natpass/protocol/messages.ts'

installCodeServer(t)

const MINUTE = 60_000

/** A program that is being started, and never listens. */
async function hanging (name: string) {
  const [clock, folder, over] = [new ManualClock(), joinPath(newHome(), 'code'), new AbortController()]
  const failed = failureOf(startCodeServer({ folder, name, clock, signal: over.signal }))
  const file = joinPath(folder, name, 'pid')
  await until(() => existsSync(file) && readFileSync(file, 'utf8') !== '')
  return { clock, over, failed, pid: Number(readFileSync(file, 'utf8')) }
}

t.test('a program that does not listen in a minute is ended', async (t) => {
  const { clock, failed, pid } = await hanging('hangs')
  await clock.whenSet(MINUTE)
  clock.advance(MINUTE - 1)
  for (let i = 0; i < 20; i++) await turn()
  t.ok(isRunning(pid))
  t.notOk(clock.waiting.includes(500), 'nobody ends it yet')
  clock.advance(1)
  t.match(await failed, { code: 'ERR_CODE_SERVER', message: 'code-server does not listen after 60 seconds' })
  t.notOk(isRunning(pid))
  t.same(clock.waiting, [])
})

t.test('one that does not end by SIGTERM either is killed after half a second', async (t) => {
  const { clock, over, failed, pid } = await hanging('hangs-and-stays')
  over.abort(new Error('nobody waits'))
  await clock.whenSet(500)
  clock.advance(499)
  for (let i = 0; i < 20; i++) await turn()
  t.ok(isRunning(pid))
  clock.advance(1)
  t.match(await failed, { message: 'nobody waits' })
  t.notOk(isRunning(pid))
})

t.test('a start that nobody waits for, or that has no place for its socket, leaves nothing behind', async (t) => {
  const { TMPDIR } = process.env
  const temporary = joinPath(newHome(), 'tmp')
  const long = joinPath(temporary, 'x'.repeat(80))
  mkdirSync(long, { recursive: true })
  t.teardown(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  })
  const start = (signal: AbortSignal): Promise<unknown> => startCodeServer({ folder: joinPath(newHome(), 'code'), name: 'ide', clock: new ManualClock(), signal })
  process.env.TMPDIR = temporary
  await t.rejects(start(AbortSignal.abort(new Error('nobody waits'))), { message: 'nobody waits' })
  process.env.TMPDIR = long
  await t.rejects(start(new AbortController().signal), { code: 'ERR_CODE_SERVER', message: /too long.*: set TMPDIR/ })
  t.same([readdirSync(temporary), readdirSync(long)], [[basename(long)], []])
  process.env.TMPDIR = temporary
  const server = await startCodeServer({ folder: joinPath(newHome(), 'code'), name: 'ide', clock: systemClock, signal: new AbortController().signal })
  t.match(readdirSync(temporary), [/^tunpipe-code-/, basename(long)])
  await server.end()
  t.same(readdirSync(temporary), [basename(long)], 'also when the process ends at once')
})

t.test('names of folders', async (t) => {
  t.equal(folderName('é'.repeat(64)), 'é'.repeat(64))
  for (const name of ['é'.repeat(64) + 'x', 'a\nb', '\0', 'x'.repeat(129)]) t.throws(() => folderName(name), { code: 'ERR_CODE_SERVER' })
})

t.test('a link that nobody uses ends after five minutes', async (t) => {
  t.test('requests', async (t) => {
    const { ask, open, opened, clock } = await testCodePage(t)
    const cookie = await open()
    const [end] = opened
    clock.advance(5 * MINUTE - 1)
    const asked = ask('GET', '/forward/ide/file', { cookie })
    const { csreq } = await end.hear('codeRequest')
    clock.advance(20 * MINUTE)
    end.send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: csreq?.request_id, code: 200 } })
    end.send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: csreq?.request_id, mask: 3, body: Buffer.from('late') } })
    t.match(await asked, { status: 200, body: 'late' }, 'one that is not answered yet uses it')
    clock.advance(5 * MINUTE - 1)
    t.equal((await ask('GET', `/info?id=${cookie.split('=')[1]}`)).status, 200)
    clock.advance(1)
    t.match(await end.aborted, { message: 'nobody uses it' })
    await until(() => clock.waiting.length === 0)
    t.equal((await ask('GET', '/forward/ide/file', { cookie })).status, 404)
  })

  t.test('a WebSocket', async (t) => {
    const { page, open, opened, clock } = await testCodePage(t)
    const cookie = await open()
    const socket = new WebSocket(`${page.url.replace('http', 'ws')}/forward/ide/socket`, { headers: { cookie } })
    const { csconn } = await opened[0].hear('codeConnect')
    opened[0].send({ _type: MessageType.codeConnectResponse, csconn_rep: { request_id: csconn?.request_id, ok: true } })
    await once(socket, 'open')
    for (let half = 0; half < 24; half++) {
      const pinged = once(socket, 'ping')
      clock.advance(MINUTE / 2)
      await pinged
      socket.send('behind the pong')
      await opened[0].hear('codeData')
    }
    t.equal(socket.readyState, WebSocket.OPEN)
    socket.close()
    await opened[0].hear('codeData')
    clock.advance(5 * MINUTE)
    t.match(await opened[0].aborted, { message: 'nobody uses it' })
  })
})

t.test('links of a page: eight, those that are being opened included', async (t) => {
  const waiting: Array<(err: Error) => void> = []
  const page = await testCodePage(t)
  for (let i = 0; i < 8; i++) await page.open()
  t.equal((await page.ask('GET', '/forward/ide/')).status, 503)
  page.opened[3].end()
  await page.opened[3].aborted
  t.equal((await page.ask('GET', '/forward/ide/')).status, 307)
  t.equal((await page.ask('GET', '/forward/ide/')).status, 503)
  const slow = await testCodePage(t, { openCode: () => new Promise((_resolve, reject) => { waiting.push(reject) }) })
  const asked = Array.from({ length: 8 }, () => slow.ask('GET', '/forward/ide/'))
  await until(() => waiting.length === 8)
  t.equal((await slow.ask('GET', '/forward/ide/')).status, 503)
  for (const refuse of waiting) refuse(new Error('no'))
  t.same((await Promise.all(asked)).map(({ status }) => status), Array(8).fill(502))
})

t.test('headers of a request', async (t) => {
  const { ask, open, opened } = await testCodePage(t)
  const cookie = await open()
  const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`x${i}`, '']))
  t.equal((await ask('GET', '/forward/ide/file', { cookie, ...many })).status, 431)
  t.same(opened[0].heard, [])
})

t.test('a body that comes slowly: of code-server it may, of the page itself not', async (t) => {
  const { page, open, opened, ask, clock } = await testCodePage(t, { password: 'secret' })
  const { headers: { 'set-cookie': [session] = [''] } } = await ask('POST', '/login', {}, 'password=secret')
  const cookie = `${session.split(';')[0]}; ${await open({ cookie: session.split(';')[0] })}`
  const post = (path: string): Socket => {
    const browser = connect(Number(new URL(page.url).port), '127.0.0.1').on('error', () => {})
    t.teardown(() => { browser.destroy() })
    browser.write(`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${cookie}\r\nContent-Length: 100\r\n\r\npassword=`)
    return browser
  }
  const upload = post('/forward/ide/file')
  await opened[0].hear('codeRequest')
  const login = post('/login')
  await clock.whenSet(10_000)
  clock.advance(10_000)
  await once(login.resume(), 'close')
  upload.write('late')
  t.match((await opened[0].hear('codeRequestBody')).csreq_body, { body: Buffer.from('password=') })
  t.match((await opened[0].hear('codeRequestBody')).csreq_body, { body: Buffer.from('late') })
})

t.test('a link that ends while a body is read: the request is answered', async (t) => {
  const { page, open, opened } = await testCodePage(t, { halfClose: false })
  const cookie = await open()
  const browser = connect(Number(new URL(page.url).port), '127.0.0.1')
  t.teardown(() => { browser.destroy() })
  browser.write(`POST /forward/ide/file HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${cookie}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`)
  t.match(String(await once(browser, 'data')), /100 Continue/, 'it waits for the body')
  opened[0].end()
  await opened[0].aborted
  browser.write('body')
  t.match(String(await once(browser, 'data')), /^HTTP\/1.1 502 /)
})

t.test('an answer with two lengths, or one that is none', async (t) => {
  const { open, opened, ask } = await testCodePage(t)
  const cookie = await open()
  for (const values of [['6', '60'], ['6', '6'], ['0x6'], ['6, 6'], ['-1'], ['']]) {
    const asked = ask('GET', '/forward/ide/file', { cookie })
    const { csreq } = await opened[0].hear('codeRequest')
    opened[0].send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: csreq?.request_id, code: 200, header: { 'content-length': { values } } } })
    t.match(await asked, { status: 502, body: /a length that is none/ }, values.join(' and '))
  }
})

t.test('an answer of an end that gives no credit, and a browser that does not read', async (t) => {
  const { page, open, opened, ask } = await testCodePage(t, { halfClose: false })
  const cookie = await open()
  const browser = connect(Number(new URL(page.url).port), '127.0.0.1')
  t.teardown(() => { browser.destroy() })
  browser.write(`GET /forward/ide/bytes HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${cookie}\r\n\r\n`)
  const [end] = opened
  const { csreq } = await end.hear('codeRequest')
  end.send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: csreq?.request_id, code: 200 } })
  const pieces = 2048 // 64 MiB
  for (let index = 0; index <= pieces; index++) {
    end.send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: csreq?.request_id, index, mask: index === pieces ? 3 : 1, body: Buffer.alloc(32 << 10) } })
    if (end.waiting > 8) await until(() => end.waiting === 0)
  }
  let received = 0
  browser.on('error', () => {}).on('data', ({ length }) => { received += length })
  await once(browser, 'close')
  t.ok(received < 48 << 20, `${received} bytes: what the system had taken`)
  const next = ask('GET', '/forward/ide/next', { cookie })
  const { csreq: second } = await end.hear('codeRequest')
  end.send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: second?.request_id, code: 204 } }, { _type: MessageType.codeResponseBody, csrep_body: { request_id: second?.request_id, mask: 3 } })
  t.equal((await next).status, 204, 'the link goes on')
})

t.test('all answers of such an end: those that are read least are ended, small ones arrive', async (t) => {
  const { page, open, opened, ask } = await testCodePage(t, { halfClose: false })
  const cookie = await open()
  const [end] = opened
  let ended = 0
  const browsers: Socket[] = []
  const pieces = 480 // 15 MiB: each of them may wait alone
  for (let i = 0; i < 8; i++) {
    const browser = connect(Number(new URL(page.url).port), '127.0.0.1').on('error', () => {}).pause()
    t.teardown(() => { browser.destroy() })
    browsers.push(browser)
    browser.write(`GET /forward/ide/bytes HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${cookie}\r\n\r\n`)
    const { csreq } = await end.hear('codeRequest')
    end.send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: csreq?.request_id, code: 200 } })
    for (let index = 0; index <= pieces; index++) {
      end.send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: csreq?.request_id, index, mask: 1, body: Buffer.alloc(32 << 10) } })
      if (end.waiting > 8) await until(() => end.waiting === 0)
    }
    browser.once('close', () => { ended++ })
  }
  const next = ask('GET', '/forward/ide/next', { cookie })
  const { csreq } = await end.hear('codeRequest')
  end.send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: csreq?.request_id, code: 200 } }, { _type: MessageType.codeResponseBody, csrep_body: { request_id: csreq?.request_id, mask: 3, body: Buffer.from('small') } })
  t.equal((await next).body, 'small')
  for (const browser of browsers) browser.resume()
  await until(() => ended >= 2)
})

interface Controlled {
  port: number
  nas: NatpassPeer
  client: NatpassClient
  /** Asks for a link. Returns why it is refused, or an empty text. */
  ask (link: string, name: string): Promise<string>
  send (link: string, message: MessageInit): void
  next (link: string, type: keyof typeof MessageType): Promise<Message>
}

async function controlled (t: Test): Promise<Controlled> {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['code'], codedir: joinPath(newHome(), 'code') })
  return { port, nas, ...await asking(t, port, 'laptop') }
}

/** Another client of it. */
async function asking (t: Test, port: number, id: string): Promise<Omit<Controlled, 'port' | 'nas'>> {
  const client = await join(t, port, id)
  const send: Controlled['send'] = (link, message) => { client.send({ to: 'nas', link_id: link, ...message }) }
  const next: Controlled['next'] = (link, type) => client.next((message) => message.link_id === link && isType(type)(message))
  return {
    client,
    send,
    next,
    async ask (link, name) {
      send(link, { _type: MessageType.connectReq, creq: { name, _type: LINK_TYPES.indexOf('code') } })
      const { crep } = await next(link, 'connectRep')
      return crep?.ok === true ? '' : crep?.msg ?? 'refused'
    }
  }
}

t.test('programs of a controlled end: eight, of which a client has four, also when they do not listen yet', async (t) => {
  const { ask, client, nas, port } = await controlled(t)
  const [phone, tablet] = [await asking(t, port, 'phone'), await asking(t, port, 'tablet')]
  const waiting = Array.from({ length: 4 }, (_, i) => ask(`hangs${i}`, `hangs${i}`))
  t.match(await ask('fifth', 'ide'), /^4 code-servers of this client run here already$/)
  waiting.push(...Array.from({ length: 4 }, (_, i) => phone.ask(`phone${i}`, `hangs${i}`)))
  t.match(await phone.ask('phone', 'ide'), /^(8 code-servers|4 code-servers of this client) run here already$/)
  t.match(await tablet.ask('ninth', 'ide'), /^8 code-servers run here already$/)
  client.send(ended('nas', 'hangs3'))
  let refused: string
  for (let i = 0; (refused = await ask(`again${i}`, 'ide')) !== '';) { // the former one is ending
    t.match(refused, /run here already/)
    i++
  }
  t.match(await ask('tenth', 'other'), /run here already/)
  await nas.close()
  t.equal(waiting.length, 8)
})

t.test('links to one program: sixteen', async (t) => {
  const { ask, client } = await controlled(t)
  for (let i = 0; i < 16; i++) t.equal(await ask(`link${i}`, 'ide'), '')
  t.match(await ask('more', 'ide'), /^too many links of this rule are open here$/)
  client.send(ended('nas', 'link5'))
  await client.settled()
  t.equal(await ask('again', 'ide'), '')
})

t.test('requests and WebSockets of one link: 256', async (t) => {
  const { ask, send, next } = await controlled(t)
  await ask('busy', 'ide')
  await ask('other', 'ide')
  const get = (link: string, id: number, uri: string): void => { send(link, { _type: MessageType.codeRequest, csreq: { request_id: id, method: 'GET', uri } }) }
  for (let id = 1; id <= 256; id++) get('busy', id, '/waits')
  get('busy', 257, '/')
  t.match(await next('busy', 'codeResponseHeader'), { csrep_hdr: { request_id: { low: 257 }, code: 503 } })
  t.equal(Buffer.from((await next('busy', 'codeResponseBody')).csrep_body?.body ?? []).toString().trim(), 'too many requests at once')
  send('busy', { _type: MessageType.codeConnect, csconn: { request_id: 258, uri: '/socket' } })
  t.match(await next('busy', 'codeConnectResponse'), { csconn_rep: { request_id: { low: 258 }, ok: false, msg: 'too many requests at once' } })
  get('other', 1, '/')
  t.match(await next('other', 'codeResponseHeader'), { csrep_hdr: { code: 200 } }, 'another link is not concerned')
  const over = { is: false }
  const reading = (async () => {
    for (let i = 0; i < 256; i++) await next('busy', 'codeResponseHeader')
    over.is = true
  })()
  for (let id = 2; !over.is; id++) {
    get('other', id, '/release') // those that have arrived by now
    await next('other', 'codeResponseHeader')
  }
  await reading
  get('busy', 259, '/')
  t.match(await next('busy', 'codeResponseHeader'), { csrep_hdr: { request_id: { low: 259 }, code: 200 } }, 'and there is room again')
})

t.test('requests of all links of a client: 512; other clients are not concerned', async (t) => {
  const { ask, send, next, client, port } = await controlled(t)
  const get = (link: string, id: number, uri: string): void => { send(link, { _type: MessageType.codeRequest, csreq: { request_id: id, method: 'GET', uri } }) }
  for (const link of ['one', 'two', 'three']) await ask(link, 'ide')
  for (const link of ['one', 'two']) for (let id = 1; id <= 256; id++) get(link, id, '/waits')
  get('three', 1, '/')
  t.match(await next('three', 'codeResponseHeader'), { csrep_hdr: { code: 503 } })
  const phone = await asking(t, port, 'phone')
  await phone.ask('phone', 'ide')
  phone.send('phone', { _type: MessageType.codeRequest, csreq: { request_id: 1, method: 'GET', uri: '/' } })
  t.match(await phone.next('phone', 'codeResponseHeader'), { csrep_hdr: { code: 200 } })
  client.send(ended('nas', 'one'))
  await client.settled()
  for (let id = 2; ; id++) { // until the end of that link has arrived
    get('three', id, '/')
    if ((await next('three', 'codeResponseHeader')).csrep_hdr?.code === 200) break
  }
  t.pass('there is room again')
})
