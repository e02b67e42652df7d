/** code-server of another client: both ends and a relay (natpass protocol, sections 4.2, 4.3 and 6.6; cases 32 and 33 of section 8). */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join as joinPath } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import { turn, until } from '../../../../helpers/ends.ts'
import { CodeBrowser, installCodeServer, startCodeRule } from '../../../../helpers/natpass/code.ts'
import { portOf } from '../../../../helpers/natpass/peers.ts'
import { isRunning } from '../../../../helpers/natpass/pty.ts'

installCodeServer(t)

const APP = '/forward/ide'

/** What the program says about a request. */
async function told (browser: CodeBrowser, path = `${APP}/request`, init: Parameters<CodeBrowser['get']>[1] = {}): Promise<any> {
  return JSON.parse((await browser.get(path, init)).text)
}

/** A WebSocket of the page, open. */
async function socket (browser: CodeBrowser, path = `${APP}/socket`, protocols: string[] = [], headers: Record<string, string> = {}): Promise<WebSocket> {
  const socket = new WebSocket(browser.url.replace('http', 'ws') + path, protocols, { headers: { cookie: browser.cookie ?? '', ...headers }, perMessageDeflate: false })
  await once(socket, 'open')
  return socket
}

t.test('a page of code-server, and its end', async (t) => {
  const { nas, laptop, browser, codedir } = await startCodeRule(t)
  t.match((await browser.get('/')).text, /<iframe id="code" src="\/forward\/ide\/"/)
  t.equal((await browser.get('/new')).text, 'ide')
  const opened = await browser.open(`${APP}/?folder=/x`)
  t.match(opened, { status: 307, headers: { location: /^\/forward\/ide\/\?folder=\/x&natpass_connection_id=[0-9a-f]{16}$/, 'set-cookie': [/; Path=\/forward\/ide\/; HttpOnly; SameSite=Strict$/] } })
  t.match(await browser.get(opened.headers.location ?? ''), { status: 200, text: 'hello' })
  t.match(await browser.get(`${APP}/?folder=/y`), { status: 200, text: 'hello' }, 'the same link')
  const { pid, arguments: args } = await told(browser)
  const [, , , path, ...folders] = args as string[]
  t.same(folders, ['--user-data-dir', `${codedir}/ide/data`, '--extensions-dir', `${codedir}/ide/extensions`, '--config', `${codedir}/ide/conf`])
  t.ok(isRunning(pid) && existsSync(path))
  t.match([nas.status().links, laptop.status().rules[0].links], [1, 1])
  const id = (browser.cookie ?? '').split('=')[1]
  t.match(JSON.parse((await browser.get(`/info?id=${id}`)).text), { name: 'ide', send_packet: 3, send_bytes: /^\d+$/, recv_packet: /^\d+$/, recv_bytes: /^\d+$/ })
  const second = new CodeBrowser(browser.url)
  await second.open(`${APP}/`)
  t.equal((await told(second)).pid, pid, 'one process for both links')
  await laptop.close()
  await until(() => !isRunning(pid) && nas.status().links === 0 && !existsSync(path))
})

t.test('headers, cookies and redirections', async (t) => {
  const { browser } = await startCodeRule(t)
  await browser.open(`${APP}/`)
  process.env.TUNPIPE_SECRET = 'a secret'
  const { headers, url, method, secret } = await told(browser, `${APP}/request?a=%2Fb%20c`, { method: 'PUT', headers: { 'x-one': '1', connection: 'x-two, keep-alive', 'x-two': '2', te: 'trailers', forwarded: 'host=evil', 'x-forwarded-host': 'evil', cookie: `theirs=1; natpass-80=secret; ${browser.cookie}; also=2` } })
  delete process.env.TUNPIPE_SECRET
  t.match({ url, method, secret }, { url: '/request?a=%2Fb%20c', method: 'PUT', secret: undefined })
  const of = (name: string): string | undefined => headers[(headers as string[]).findIndex((key, i) => i % 2 === 0 && key.toLowerCase() === name) + 1 || -1]
  const host = new URL(browser.url).host
  t.same(['x-one', 'x-two', 'te', 'forwarded', 'x-forwarded-host', 'host', 'cookie'].map(of), ['1', undefined, undefined, undefined, host, host, 'theirs=1; also=2'])
  const answer = async (code: number, headers: object, rest = ''): Promise<any> => await browser.get(`${APP}/answer?code=${code}${rest}&headers=${encodeURIComponent(JSON.stringify(headers))}`)
  t.match(await answer(302, { location: '/login?to=/' }), { status: 302, headers: { location: `${APP}/login?to=/` } })
  for (const [location, passed] of [['./next', './next'], ['http://unix/x', `${APP}/x`], ['https://example.org/', 'https://example.org/'], ['//example.org/', '//example.org/']]) t.equal((await answer(307, { location })).headers.location, passed)
  const set = await answer(200, { 'set-cookie': ['a=1; Path=/; Domain=localhost; HttpOnly', 'b=2; path=/sub', '__NATPASS_CONNECTION_ID__=evil', 'natpass-80=evil', '=natpass-80=evil', ' = __NATPASS_CONNECTION_ID__=evil'], 'x-other': 'y', 'clear-site-data': '"*"', 'service-worker-allowed': '/' })
  t.match(set.headers, { 'x-other': 'y', 'service-worker-allowed': `${APP}/` })
  t.same([set.headers['set-cookie'], set.headers['clear-site-data']], [['a=1; HttpOnly; Path=/forward/ide/', `b=2; Path=${APP}/sub`], undefined])
  for (const scope of ['/sub', '../../', '/../../', browser.url]) t.equal((await answer(200, { 'service-worker-allowed': scope })).headers['service-worker-allowed'], `${APP}/`, 'never that of the page')
  for (const code of [204, 304, 404, 500]) t.equal((await answer(code, {}, '&empty')).status, code)
  t.match(await browser.get(`${APP}/answer`, { method: 'HEAD' }), { status: 200, text: '' })
})

t.test('bodies of any size both ways, one that is not read, and pages that take long', async (t) => {
  const { browser } = await startCodeRule(t)
  await browser.open(`${APP}/`)
  const body = randomBytes(3_000_000)
  t.ok((await browser.get(`${APP}/echo`, { method: 'POST', body })).body.equals(body))
  t.equal((await told(browser, `${APP}/request`, { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } })).size, body.length)
  const stalled = connect(Number(new URL(browser.url).port), '127.0.0.1')
  stalled.write(`GET ${APP}/bytes?count=100000000 HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${browser.cookie}\r\n\r\n`)
  await once(stalled, 'readable')
  t.equal((await browser.get(`${APP}/bytes?count=2000000`)).body.length, 2_000_000, 'another request goes on')
  stalled.destroy()
  while (!(await told(browser)).aborted.includes('/bytes')) await turn()
  const parts = await fetch(`${browser.url}${APP}/parts`, { headers: { cookie: browser.cookie ?? '' } })
  const reader = (parts.body as ReadableStream<Uint8Array>).getReader()
  t.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'one ', 'a part before the rest is there')
  await browser.get(`${APP}/release`)
  t.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'two')
  await t.rejects(browser.get(`${APP}/breaks`), { code: 'ECONNRESET' }, 'an answer that breaks off is not whole')
})

t.test('WebSockets', async (t) => {
  const { browser } = await startCodeRule(t)
  await browser.open(`${APP}/`)
  const one = await socket(browser)
  const bytes = randomBytes(1_000_000)
  for (const [sent, binary] of [['text: é', false], [bytes, true], ['', false], [Buffer.alloc(0), true], ['é'.repeat(50_000), false]] as const) {
    one.send(sent, { binary })
    const [heard, isBinary] = await once(one, 'message')
    t.ok(Buffer.from(sent).equals(heard) && isBinary === binary, 'whole, and of its kind')
  }
  const heard: string[] = []
  one.on('message', (data) => { heard.push((data as Buffer).toString()) })
  for (let i = 0; i < 100; i++) one.send(String(i))
  one.send('bye')
  t.match(await once(one, 'close'), [1000, Buffer.from('as you like')])
  t.same(heard, Array.from({ length: 100 }, (_, i) => String(i)))
  const own = await socket(browser, `${APP}/socket`, [], { origin: browser.url })
  own.send('headers')
  const [headers] = await once(own, 'message')
  t.match(JSON.parse(headers.toString()).join('\n'), new RegExp(`(?=.*^origin\n${browser.url}$)(?=.*^host\n${new URL(browser.url).host}$)`, 'ims'))
  own.terminate()
  const firefox = request(`${browser.url}${APP}/socket`, { headers: { cookie: browser.cookie ?? '', connection: 'keep-alive, Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') } }).end()
  const [accepted, stream] = await once(firefox, 'upgrade')
  t.equal(accepted.statusCode, 101)
  stream.destroy()
  const chosen = await socket(browser, `${APP}/socket`, ['first', 'second'])
  t.equal(chosen.protocol, 'second')
  chosen.terminate()
  const refused = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
    const [err] = await once(new WebSocket(browser.url.replace('http', 'ws') + path, { headers: { cookie: browser.cookie ?? '', ...headers } }), 'error')
    return err.message
  }
  t.match(await refused(`${APP}/refuses`), /502/)
  t.match(await refused(`${APP}/socket`, { origin: 'http://evil.example' }), /403/)
  t.match(await refused(`${APP}/socket`, { cookie: '__NATPASS_CONNECTION_ID__=00' }), /404/)
  t.match(await refused(`${APP}/socket`, { cookie: '' }), /400/)
})

t.test('what is not there is refused (case 32)', async (t) => {
  const { browser, laptop } = await startCodeRule(t)
  const status = async (path: string, init: Parameters<CodeBrowser['get']>[1] = {}): Promise<number> => (await browser.get(path, init)).status
  const cookie = '__NATPASS_CONNECTION_ID__=0123456789abcdef'
  t.same(await Promise.all(['/forward/ide', '/forward/x', '/forward/x/', '/forward/%zz/', '/ws/none', '/info?id=x', `${APP}/file`, `${APP}/?natpass_connection_id=00`].map((path) => status(path))), [404, 404, 404, 404, 404, 404, 400, 400])
  t.match(await browser.get(`${APP}/file`, { headers: { cookie } }), { status: 404, text: /href="\/forward\/ide\/">Connect again/ })
  t.equal(await status(`${APP}/`, { headers: { origin: 'http://evil.example' } }), 403)
  t.equal(await status(`${APP}/`, { headers: { host: 'evil.example' } }), 403)
  t.equal(laptop.status().rules[0].opened, 0)
})

t.test('names stay in the folder (case 33)', async (t) => {
  for (const [name, folder] of [['..', '_..'], ['a/../b', 'a_.._b'], ['\\x', '_x'], ['.hidden', '_.hidden']]) {
    const { browser, codedir } = await startCodeRule(t, [name])
    const [, path] = /<iframe id="code" src="([^"]+)"/.exec((await browser.get('/')).text) ?? []
    t.equal((await browser.open(path)).status, 307, name)
    t.equal((await browser.get(path)).text, 'hello')
    t.same(readdirSync(joinPath(codedir, '..')), ['code'])
    t.same(readdirSync(codedir), [folder])
  }
})

t.test('a program that is not there, one that ends, and one that hangs', async (t) => {
  const gone = await startCodeRule(t, ['dies'])
  t.match(await gone.browser.open('/forward/dies/'), { status: 502, text: /^code-server has ended by code 3: no room left$/m })
  const ide = await startCodeRule(t)
  await ide.browser.open(`${APP}/`)
  const { pid } = await told(ide.browser)
  const other = await socket(ide.browser)
  const closed = once(other, 'close')
  t.equal((await ide.browser.get(`${APP}/dies`)).status, 502)
  await closed
  await until(() => ide.nas.status().links === 0 && ide.laptop.status().rules[0].links === 0)
  t.match(await ide.browser.get(`${APP}/file`), { status: 404 })
  ide.browser.cookie = undefined
  t.equal((await ide.browser.open(`${APP}/`)).status, 307, 'another one is started')
  t.not((await told(ide.browser)).pid, pid)
  const { PATH } = process.env
  process.env.PATH = '/nowhere'
  const none = await startCodeRule(t)
  t.match(await none.browser.open(`${APP}/`), { status: 502, text: /^code-server is not installed/ })
  process.env.PATH = PATH
  const refused = await startCodeRule(t, ['ide'], { allow: ['shell'] })
  t.match(await refused.browser.open(`${APP}/`), { status: 502, text: /^code is not allowed here/ })
})

t.test('a program that does not end by SIGTERM ends nevertheless', async (t) => {
  const { browser, laptop } = await startCodeRule(t, ['stays'])
  await browser.open('/forward/stays/')
  const { pid } = await told(browser, '/forward/stays/request')
  await laptop.close()
  await until(() => !isRunning(pid))
  t.notOk(isRunning(pid))
})

t.test('a program that never listens holds up no other link, and ends when nobody waits for it', async (t) => {
  const { browser, laptop, nas, codedir } = await startCodeRule(t, ['hangs', 'ide'])
  const user = connect(portOf(laptop), '127.0.0.1')
  user.write('GET /forward/hangs/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  const file = joinPath(codedir, 'hangs/pid')
  await until(() => existsSync(file) && readFileSync(file, 'utf8') !== '')
  const pid = Number(readFileSync(file, 'utf8'))
  const other = new CodeBrowser(laptop.status().rules[1].url ?? '')
  t.equal((await other.open(`${APP}/`)).status, 307)
  t.ok(isRunning(pid))
  user.destroy()
  await until(() => !isRunning(pid))
  t.equal(nas.status().links, 1)
  const waiting = browser.open('/forward/hangs/')
  await until(() => Number(readFileSync(file, 'utf8')) !== pid && readFileSync(file, 'utf8') !== '')
  const second = Number(readFileSync(file, 'utf8'))
  await nas.close()
  t.equal(isRunning(second), false, 'an end that is closed leaves nothing')
  t.equal((await waiting).status, 502)
})
