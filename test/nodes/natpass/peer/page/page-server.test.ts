/** The pages of a shell rule, without a browser (natpass protocol, sections 4.2 and 8, case 32). */
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { first, texts, until } from '../../../../helpers/ends.ts'
import { playedShell, testPage } from '../../../../helpers/natpass/page.ts'

const FOREIGN = { origin: 'http://evil.example' }

t.test('the page and its files', async (t) => {
  const { ask, page } = await testPage(t)
  const { status, headers, body } = await ask('GET', '/')
  t.equal(status, 200)
  t.match(body, '<title>my &lt;shell&gt;</title>')
  t.notMatch(body, /<script[^>]*>[^<]|<style| on\w+=|javascript:/, 'nothing inline')
  t.match(headers, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': /^default-src 'self'; /,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cache-control': 'no-store',
    'referrer-policy': 'same-origin'
  })
  t.notMatch(headers['content-security-policy'], /script-src|unsafe-eval/)
  const paths = [...body.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path]) => path)
  t.match(paths, [/^\/assets\/xterm-6\.0\.0\.css$/, /^\/assets\/page-[0-9a-f]{16}\.css$/, /^\/assets\/xterm-6\.0\.0\.js$/, /^\/assets\/addon-fit-0\.11\.0\.js$/, /^\/assets\/page-[0-9a-f]{16}\.js$/])
  for (const path of paths) {
    const file = await ask('GET', path)
    t.match(file, { status: 200, headers: { 'content-type': /^text\/(css|javascript)/, 'cache-control': 'public, max-age=31536000, immutable' } }, path)
    t.ok(file.body.length > 500)
    t.match(await ask('HEAD', path), { status: 200, body: '', headers: { 'content-length': String(Buffer.byteLength(file.body)) } })
  }
  t.match(page.url, /^http:\/\/127\.0\.0\.1:\d+$/)
})

t.test('what is not there', async (t) => {
  const { ask } = await testPage(t)
  for (const path of ['/x', '/index.html', '/new/', '/ws/id0', '/login', '/assets/', '/assets/page.js', '/assets/../page-server.ts', '/assets/%2e%2e/page-server.ts', '/..%2f..%2fpackage.json', '//', '/assets/xterm-6.0.0.js.map', '/__proto__', '/constructor']) {
    t.equal((await ask('GET', path)).status, 404, path)
  }
  for (const [method, path, allow] of [['POST', '/', 'GET, HEAD'], ['GET', '/new', 'POST'], ['DELETE', '/new', 'POST'], ['PUT', '/resize', 'POST'], ['GET', '/resize', 'POST'], ['OPTIONS', '/', 'GET, HEAD']]) {
    t.match(await ask(method, path), { status: 405, headers: { allow } }, `${method} ${path}`)
  }
})

t.test('a shell', async (t) => {
  const { ask, attach, opened, page, signals } = await testPage(t)
  t.match(await ask('POST', '/new'), { status: 200, body: /^id0$/, headers: { 'content-type': 'text/plain; charset=utf-8' } })
  t.equal(page.shells, 1)
  const [shell] = opened
  t.notOk(signals[0].aborted, 'an open shell is not ended with its request')
  t.match(await ask('POST', '/resize', {}, 'id=id0&rows=33&cols=0x65'), { status: 200, body: /^ok$/ })
  t.same(shell.sizes, ['33x101'])
  for (const size of ['rows=0&cols=1', 'rows=70000&cols=1', 'rows=x&cols=1', '']) t.equal((await ask('POST', '/resize', {}, `id=id0&${size}`)).status, 400, size)
  const socket = await attach('/ws/id0')
  socket.raw.send('text é')
  t.equal((await first(shell.end.source)).toString(), 'text é')
  socket.raw.send(Uint8Array.of(0xff, 0))
  t.same([...await first(shell.end.source)], [0xff, 0], 'binary messages as well')
  shell.end.port.send(texts('€ and more'))
  await socket.until(() => socket.output === '€ and more')
  t.same(socket.told, [{ type: 'attached', position: 0, replay: 0, lost: 0 }])
  await shell.end.sink((async function * () { yield texts('bye') })())
  shell.exit({ code: 3, signal: undefined })
  t.equal(await socket.closed, 1000)
  t.equal(socket.output, '€ and morebye')
  t.same(socket.told.at(-1), { type: 'exit', code: 3 })
})

t.test('shells that do not come', async (t) => {
  const late = playedShell('late')
  let answerLate: () => void = () => {}
  let calls = 0
  const signals: AbortSignal[] = []
  const { ask, clock, page } = await testPage(t, {
    openTimeout: 1000,
    async openShell (signal) {
      signals.push(signal)
      calls++
      if (calls === 1) throw new Error('no\nwith \x1b[31mtext')
      if (calls === 2) await new Promise<void>((resolve) => { answerLate = resolve })
      return late
    }
  })
  t.match(await ask('POST', '/new'), { status: 502, body: 'no with \\x1b[31mtext' })
  const asked = ask('POST', '/new')
  await clock.whenSet(1000)
  clock.advance(1000)
  t.match(await asked, { status: 502, body: /^timeout$/ })
  t.ok(signals[1].aborted)
  answerLate()
  await t.rejects(first(late.end.source), 'a shell that comes later is ended')
  t.equal(page.shells, 0)
})

t.test('a client that does not wait', async (t) => {
  let signal: AbortSignal | undefined
  const shell = playedShell('x')
  let answer: () => void = () => {}
  const { page } = await testPage(t, {
    async openShell (given) {
      signal = given
      await new Promise<void>((resolve) => { answer = resolve })
      return shell
    }
  })
  const { port } = new URL(page.url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.write('POST /new HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n')
  await until(() => signal !== undefined)
  socket.destroy()
  await once(signal as AbortSignal, 'abort')
  answer()
  await t.rejects(first(shell.end.source))
  t.equal(page.shells, 0)
})

t.test('bounds', async (t) => {
  const { ask, attach, opened, page } = await testPage(t, { maxShells: 2 })
  for (const status of [200, 200, 503]) t.equal((await ask('POST', '/new')).status, status)
  for (const path of ['/new', '/resize']) {
    t.equal((await ask('POST', path, {}, 'x'.repeat(4097))).status, 413, path)
    t.equal((await ask('POST', path, { 'content-length': '99999999999' }, 'x')).status, 413, path)
    t.equal((await ask('POST', path, { 'transfer-encoding': 'chunked' }, 'x'.repeat(100_000))).status, 413, path)
  }
  t.equal((await ask('GET', '/', { x: 'x'.repeat(10_000) })).status, 431)
  const socket = await attach('/ws/id0')
  socket.raw.send(new Uint8Array((1 << 20) + 1))
  t.equal(await socket.closed, 1009)
  t.equal(opened.length, 2)
  t.equal(page.shells, 2, 'the shell stays')
})

t.test('a shell that has ended makes room for another one', async (t) => {
  const { ask, attach, opened, page } = await testPage(t, { maxShells: 1 })
  t.equal((await ask('POST', '/new')).status, 200)
  t.equal((await ask('POST', '/new')).status, 503)
  opened[0].exit({ code: 0, signal: undefined })
  await opened[0].end.sink((async function * () {})())
  await (await attach('/ws/id0')).closed
  t.equal(page.shells, 1, 'what it has said is kept')
  t.match(await ask('POST', '/new'), { status: 200, body: /^id1$/ })
  t.equal(page.shells, 1)
})

t.test('requests of other sites', async (t) => {
  const warned: object[] = []
  const { ask, refused, opened, page, clock } = await testPage(t, { log: { log: (_level, fields) => { warned.push(fields) } } })
  t.equal((await ask('POST', '/new')).status, 200)
  const foreign: Array<Record<string, string>> = [FOREIGN, { origin: 'null' }, { host: 'evil.example' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]
  for (const headers of foreign) {
    for (const [method, path] of [['GET', '/'], ['POST', '/new'], ['POST', '/resize'], ['GET', '/nothing'], ['GET', '/assets/xterm-6.0.0.js']]) {
      t.equal((await ask(method, path, headers, method === 'POST' ? 'id=id0&rows=1&cols=1' : '')).status, 403, `${method} ${path} ${JSON.stringify(headers)}`)
    }
    t.equal(await refused('/ws/id0', { headers }), 403)
    t.equal(await refused('/ws/none', { headers }), 403)
  }
  t.equal(opened.length, 1)
  t.same(opened[0].sizes, [])
  t.equal(page.shells, 1)
  clock.advance(1000)
  t.match(warned, [{ page: page.url, remote: '127.0.0.1', reason: 'a request of another site', count: 1 }, { count: 34 }], 'logged, but not each of them')
})

t.test('unknown ids', async (t) => {
  const { ask, refused } = await testPage(t)
  t.equal((await ask('POST', '/resize', {}, 'id=none&rows=1&cols=1')).status, 404)
  t.equal((await ask('POST', '/resize')).status, 404)
  for (const path of ['/ws/none', '/ws/', '/ws', '/', '/ws/id0/x', '/ws/__proto__', '/new']) t.equal(await refused(path), 404, path)
})

t.test('a login', async (t) => {
  const warned: object[] = []
  const { ask, attach, refused, clock, page } = await testPage(t, { password: 'secret', log: { log: (_level, fields) => { warned.push(fields) } } })
  const form = await ask('GET', '/')
  t.match(form, { status: 200, body: /type="password"/ })
  t.notMatch(form.body, /<script/)
  for (const path of ['/new', '/resize']) t.equal((await ask('POST', path)).status, 401)
  t.equal(await refused('/ws/id0'), 401)
  t.equal((await ask('GET', '/login')).status, 405)
  t.equal((await ask('POST', '/login', FOREIGN, 'password=secret')).status, 403)
  t.equal((await ask('POST', '/login', {}, `password=${'x'.repeat(5000)}`)).status, 413)
  t.match(await ask('POST', '/login', {}, 'password=wrong'), { status: 403, body: /not the password/ })
  clock.advance(1000)
  t.match(warned, [{ reason: 'a request of another site' }, { page: page.url, remote: '127.0.0.1', reason: 'wrong password', count: 1 }])
  const { status, headers } = await ask('POST', '/login', {}, 'password=secret')
  t.equal(status, 303)
  t.equal(headers.location, '/')
  const [set = ''] = headers['set-cookie'] ?? []
  t.match(set, new RegExp(`^natpass-${new URL(page.url).port}=`))
  const cookie = set.split(';')[0]
  t.match(await ask('GET', '/', { cookie }), { status: 200, body: /<script/ })
  t.equal((await ask('POST', '/new', { cookie })).status, 200)
  await attach('/ws/id0', { headers: { cookie } })
  for (let i = 0; i < 9; i++) t.equal((await ask('POST', '/login', {}, 'password=wrong')).status, 403)
  t.equal((await ask('POST', '/login', {}, 'password=secret')).status, 429)
  clock.advance(12 * 60 * 60 * 1000)
  t.equal((await ask('POST', '/new', { cookie })).status, 401)
})

t.test('connections of those who have not logged in keep nobody out', async (t) => {
  const { ask, attach, page } = await testPage(t, { password: 'secret' })
  const { headers: { 'set-cookie': [set] = [''] } } = await ask('POST', '/login', {}, 'password=secret')
  const cookie = set.split(';')[0]
  const { body } = await ask('POST', '/new', { cookie })
  const browser = await attach(`/ws/${body}`, { headers: { cookie } })
  const port = Number(new URL(page.url).port)
  const strangers = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.teardown(() => { for (const stranger of strangers) stranger.destroy() })
  let ended = 0
  for (const stranger of strangers) stranger.resume().once('close', () => { ended++ })
  await until(() => ended === 136)
  t.equal((await ask('POST', '/new', { cookie })).status, 200)
  browser.raw.ping()
  await once(browser.raw, 'pong')
})

t.test('closing ends shells and connections', async (t) => {
  const { ask, attach, opened, page } = await testPage(t)
  await ask('POST', '/new')
  const socket = await attach('/ws/id0')
  await page.close()
  t.equal(await socket.closed, 1001)
  await t.rejects(first(opened[0].end.source))
  await t.rejects(ask('GET', '/'))
  await page.close()
})
