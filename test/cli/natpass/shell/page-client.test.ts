/** A shell by a page, when the connection to that is lost, and when there is none. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { drain, failureOf, first, hearText, standstill, texts, until } from '../../../helpers/ends.ts'
import { testPage } from '../../../helpers/natpass/page.ts'
import { ManualClock } from '../../../helpers/clock.ts'
import { openPageShell, type PageClient } from '../../../../src/cli/natpass/shell/page-client.ts'
import { AsyncQueue } from '../../../../src/streams/async-queue.ts'
import { serveShellPage } from '../../../../src/nodes/natpass/peer/page/page-server.ts'

async function open (t: Test, url: string, password?: string): Promise<{ shell: PageClient, clock: ManualClock, said: string[] }> {
  const said: string[] = []
  const clock = new ManualClock()
  const shell = await openPageShell({ url, target: 'nas', password, clock, say: (text) => { said.push(text) } })
  t.teardown(() => shell.close())
  return { shell, clock, said }
}

interface Way {
  url: string
  /** Breaks all connections. */
  cut (): void
  /** Takes no new ones. */
  refuse (): void
}

/** A way to a page that can be cut. */
async function wayTo (t: Test, page: string): Promise<Way> {
  const sockets = new Set<Socket>()
  const port = Number(new URL(page).port)
  const server = createTcpServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [socket, other] of [[near, far], [far, near]]) {
      sockets.add(socket)
      socket.on('error', () => {}).once('close', () => { other.destroy() }).pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => { for (const socket of sockets) socket.destroy() }
  const refuse = (): void => { server.close() }
  t.teardown(() => {
    cut()
    refuse()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut, refuse }
}

async function drainAll ({ link }: PageClient): Promise<void> {
  for await (const batch of link.source) void batch
}

t.test('output, input, sizes, and the exit of the program', async (t) => {
  const page = await testPage(t)
  const { shell } = await open(t, page.page.url)
  const [{ end, sizes, exit }] = page.opened
  for (const rows of [10, 11, 12]) shell.resize(rows, 80)
  const input = new AsyncQueue()
  void shell.link.sink(input).catch(() => {})
  const big = 'x'.repeat(100_000)
  input.push(Buffer.from(big))
  let got = ''
  for await (const batch of end.source) if ((got += Buffer.concat(batch).toString()).length === big.length) break
  t.equal(got, big)
  await until(() => sizes.at(-1) === '12x80')
  await end.sink((async function * () { yield texts('€ and ', Buffer.from([0xff]).toString('latin1')) })())
  exit({ code: 3, signal: undefined })
  t.equal(await hearText(shell.link.source), '€ and ÿ')
  t.same(await shell.exited, { code: 3, signal: undefined })
})

t.test('who leaves ends the shell at once', async (t) => {
  const page = await testPage(t)
  const { shell } = await open(t, page.page.url)
  page.opened[0].end.port.send(texts('$ '))
  t.equal((await first(shell.link.source)).toString(), '$ ')
  await shell.close()
  t.ok(await drain(page.opened[0].end.source))
  t.equal(page.page.shells, 0)
})

t.test('a lost connection', async (t) => {
  const page = await testPage(t)
  const way = await wayTo(t, page.page.url)
  const { shell, clock, said } = await open(t, way.url)
  const [{ end }] = page.opened
  const input = new AsyncQueue()
  void shell.link.sink(input).catch(() => {})
  shell.resize(33, 101)
  end.port.send(texts('before '))
  const heard: string[] = []
  const over = (async () => { for await (const batch of shell.link.source) heard.push(Buffer.concat(batch).toString()) })()
  await until(() => heard.join('') === 'before ')
  await until(() => page.opened[0].sizes.length === 1)
  way.cut()
  await until(() => said.length === 1)
  t.same(said, ['the connection to the peer is lost, trying again'])
  end.port.send(texts('meanwhile '))
  input.push(Buffer.from('typed'))
  await clock.whenSet(500)
  clock.advance(500)
  await until(() => heard.join('') === 'before meanwhile ')
  t.equal((await first(end.source)).toString(), 'typed', 'also input')
  t.equal(said.at(-1), 'attached again')
  t.equal(page.opened[0].sizes.at(-1), '33x101')
  for (const isLost of [true, false]) Object.assign(page.opened[0], { isLost }).onLost?.()
  await until(() => said.length === 4)
  t.same(said.slice(2), ['the connection to the shell is lost, trying again', 'attached again'], 'also that to the target')
  page.opened[0].link.abort(new Error('the target\nis gone'))
  t.match(await failureOf(over), { message: /^connection lost: the target/, code: 'ERR_SHELL_CONNECTION' })
})

t.test('a shell that is gone, one that was opened elsewhere, a peer that has ended', async (t) => {
  const page = await testPage(t, { keepTimeout: 1 })
  const way = await wayTo(t, page.page.url)
  const gone = await open(t, way.url)
  page.opened[0].end.port.send(texts('x'))
  await first(gone.shell.link.source)
  way.cut()
  await until(() => gone.said.length === 1)
  page.clock.advance(1)
  const err = failureOf(drainAll(gone.shell))
  await gone.clock.whenSet(500)
  gone.clock.advance(500)
  t.match(await err, { message: /^the shell is gone/ })

  const taken = await open(t, page.page.url)
  page.opened[1].end.port.send(texts('x'))
  await first(taken.shell.link.source)
  await page.attach('/ws/id1')
  t.match(await failureOf(drainAll(taken.shell)), { message: /^the shell was opened elsewhere/ })

  const ended = await open(t, page.page.url)
  page.opened[2].end.port.send(texts('x'))
  await first(ended.shell.link.source)
  await page.page.close()
  t.match(await failureOf(drainAll(ended.shell)), { message: /^the peer has ended/ })
})

t.test('a peer that does not come back', async (t) => {
  const page = await testPage(t)
  const way = await wayTo(t, page.page.url)
  const { shell, clock, said } = await open(t, way.url)
  page.opened[0].end.port.send(texts('x'))
  await first(shell.link.source)
  way.refuse()
  way.cut()
  await until(() => said.length === 1)
  const err = failureOf(drainAll(shell))
  for (let passed = 0; passed <= 30_000; passed += 500) {
    await Promise.race([clock.whenSet(500), err])
    clock.advance(500)
  }
  t.match(await err, { message: /^the connection to the peer is lost: / })
})

t.test('a terminal that does not read', async (t) => {
  const page = await testPage(t)
  const { shell } = await open(t, page.page.url)
  const [{ end }] = page.opened
  end.port.send(texts('x'))
  await first(shell.link.source)
  let written = 0
  const total = 20 << 20
  const writing = end.sink((async function * () { for (; written < total; written += 65_536) yield [Buffer.alloc(65_536, 97)] })())
  await standstill(() => written)
  t.ok(written < 16 << 20, `stalled after ${written} bytes`)
  let heard = 0
  for await (const batch of shell.link.source) {
    for (const { length } of batch) heard += length
    if (heard === total) break
  }
  await writing
  t.equal(heard, total)
})

t.test('passwords', async (t) => {
  const page = await testPage(t, { password: 'a b&c' })
  const { shell } = await open(t, page.page.url, 'a b&c')
  page.opened[0].end.port.send(texts('$ '))
  t.equal((await first(shell.link.source)).toString(), '$ ')
  t.match(await failureOf(open(t, page.page.url)), { message: /has a password, expected --page-password-file/, code: 'ERR_SHELL_CONNECTION' })
  for (let i = 0; i < 10; i++) t.match(await failureOf(open(t, page.page.url, 'wrong')), { message: /^the password of the page is another one/ })
  t.match(await failureOf(open(t, page.page.url, 'wrong')), { message: /^too many wrong passwords/ })
})

t.test('there is no shell', async (t) => {
  const refusing = await serveShellPage({ host: '127.0.0.1', port: 0, name: 'x', async openShell () { throw new Error('shell is not \x1b[31mallowed here') } })
  t.teardown(() => refusing.close())
  t.match(await failureOf(open(t, refusing.url)), { message: 'shell is not \\x1b[31mallowed here' })
  const other = createServer((_, response) => { response.end('<html>welcome</html>') }).listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => { other.close() })
  const { port } = other.address() as AddressInfo
  t.match(await failureOf(open(t, `http://127.0.0.1:${port}`)), { message: /^no page of a shell is at http/ })
  t.match(await failureOf(open(t, 'http://127.0.0.1:1')), { message: /^the peer does not answer at http:\/\/127\.0\.0\.1:1: connect ECONNREFUSED/ })
})
