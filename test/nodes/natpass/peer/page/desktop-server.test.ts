/** The page of a desktop, without a browser (natpass protocol, sections 4.2 and 8, case 32). */
import { once } from 'node:events'
import t from 'tap'
import { until } from '../../../../helpers/ends.ts'
import { picture, PlayedDesktop, testDesktopPage } from '../../../../helpers/natpass/desktop.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'

t.test('the page and its files', async (t) => {
  const { ask } = await testDesktopPage(t)
  const { status, headers, body } = await ask('GET', '/')
  t.equal(status, 200)
  t.match(body, '<title>my &lt;desktop&gt;</title>')
  t.notMatch(body, /<script[^>]*>[^<]|<style| on\w+=|javascript:/, 'nothing inline')
  t.match(headers, { 'content-security-policy': /^default-src 'self'; /, 'cache-control': 'no-store' })
  const paths = [...body.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path]) => path)
  t.ok(paths.length >= 4)
  for (const path of paths) t.match(await ask('GET', path), { status: 200, headers: { 'content-type': /^text\/(css|javascript)/ } }, path)
  for (const [method, path, expected] of [['GET', '/x', 404], ['GET', '/new', 405], ['GET', '/ctrl', 405], ['PUT', '/clipboard', 405], ['GET', '/ws/id0', 404], ['POST', '/login', 404]] as const) {
    t.equal((await ask(method, path)).status, expected, `${method} ${path}`)
  }
})

t.test('no link, unknown ids, other sites', async (t) => {
  const { ask, refused, open, opened } = await testDesktopPage(t)
  const none = async (): Promise<void> => {
    t.equal((await ask('POST', '/ctrl', {}, 'quality=70')).status, 404)
    t.equal((await ask('GET', '/clipboard')).status, 404)
    t.equal((await ask('POST', '/clipboard', {}, 'data=x')).status, 404)
  }
  await none()
  for (const path of ['/ws/none', '/ws/', '/ws/undefined', '/new', '/']) t.equal(await refused(path), 404, path)
  const { desktop, browser } = await open()
  for (const path of ['/ws/none', '/ws/id0/x']) t.equal(await refused(path), 404, path)
  for (const headers of [{ origin: 'http://evil.example' }, { origin: 'null' }, { host: 'evil.example' }, { 'sec-fetch-site': 'cross-site' }] as Array<Record<string, string>>) {
    for (const [method, path] of [['GET', '/'], ['POST', '/new'], ['POST', '/ctrl'], ['GET', '/clipboard'], ['POST', '/clipboard']]) t.equal((await ask(method, path, headers)).status, 403, `${method} ${path} ${JSON.stringify(headers)}`)
    t.equal(await refused('/ws/id0', { headers }), 403)
    t.equal(await refused('/ws/none', { headers }), 403)
  }
  t.equal(opened.length, 1)
  t.same(desktop.heard, [])
  desktop.end()
  t.equal(await browser.closed, 1000)
  await none()
  t.equal(await refused('/ws/id0'), 404)
})

t.test('a desktop: choices, pictures, events', async (t) => {
  const { open, ask, opened } = await testDesktopPage(t)
  const { desktop, browser } = await open('?quality=90&show_cursor=true')
  t.same(desktop.choice, { quality: 90, cursor: true })
  desktop.send(picture(0, 0), picture(64, 0, 8))
  await browser.until(() => browser.frames.length === 2)
  t.equal(browser.frames[1].subarray(0, 32).toString('hex'), '00000280000001e0000000400000000000000040000000400000000008080808')
  browser.do('mouse', { button: '', status: '', x: 3, y: 4 })
  browser.do('mouse', { button: 'right', status: 'down', x: -3, y: 0 })
  browser.do('keyboard', { status: 'down', key: 'shift' })
  browser.do('keyboard', { status: 'up', key: 'shift' })
  browser.do('scroll', { x: 0, y: -1 })
  browser.do('scroll', { x: 2 ** 31 - 1, y: 0 })
  browser.do('nothing', {})
  browser.do('mouse', { button: 'left', status: 'down', x: 'a', y: 0 })
  browser.do('mouse', { button: 'left', status: 'down', x: 1.5, y: 0 })
  browser.do('mouse', { button: 'left', status: 'down', x: 2 ** 31, y: 0 })
  browser.do('keyboard', { status: 'down', key: 'x'.repeat(17) })
  browser.do('keyboard')
  browser.raw.send('17')
  browser.do('cad')
  await until(() => desktop.heard.length === 7)
  t.match(desktop.heard, [
    { _type: MessageType.vncMouse, vmouse: { type: 0, btn: 0, x: 3, y: 4 } },
    { _type: MessageType.vncMouse, vmouse: { type: 1, btn: 3, x: 4294967293, y: 0 } },
    { _type: MessageType.vncKeyboard, vkbd: { type: 1, key: 'shift' } },
    { _type: MessageType.vncKeyboard, vkbd: { type: 2, key: 'shift' } },
    { _type: MessageType.vncScroll, vscroll: { x: 0, y: -1 } },
    { _type: MessageType.vncScroll, vscroll: { x: 100, y: 0 } },
    { _type: MessageType.vncCad }
  ])
  t.match(await ask('POST', '/ctrl?quality=100'), { status: 200, body: /^ok$/ })
  t.match(await desktop.hear('vncControl'), { vctrl: { quality: 100, cursor: false } })
  for (const [form, quality, cursor] of [['quality=x&show_cursor=yes', 50, false], ['quality=0&show_cursor=1', 1, true], ['quality=999', 100, false], ['', 50, false]] as const) {
    t.equal((await ask('POST', '/ctrl', {}, form)).status, 200)
    t.match(await desktop.hear('vncControl'), { vctrl: { quality, cursor } }, form)
  }
  t.equal((await ask('POST', '/ctrl', {}, 'x'.repeat(4097))).status, 413)
  t.equal(opened.length, 1)
})

t.test('a page that has lost its desktop', async (t) => {
  const { open, ask, attach, opened, clock } = await testDesktopPage(t)
  const { desktop, browser } = await open('?quality=90')
  desktop.send(picture(0, 0))
  await browser.until(() => browser.frames.length === 1)
  browser.raw.terminate()
  await browser.closed
  t.match(await ask('POST', '/new?again=id0', {}, 'quality=70'), { status: 200, body: /^id0$/ }, 'it is still there')
  t.equal((await ask('POST', '/new?again=other')).status, 409, 'that of others is not taken')
  t.equal(opened.length, 1)
  t.same(desktop.heard, [], 'nobody asks for a picture that nobody gets')
  await attach('id0')
  t.match(await desktop.hear('vncControl'), { vctrl: { quality: 70 } }, 'as its user wants it by now')
  desktop.end()
  await until(() => desktop.isGone)
  t.match(await ask('POST', '/new?again=id0'), { status: 200, body: /^id1$/ }, 'another one')
  clock.advance(10_000)
  t.ok(opened[1].isGone)
})

t.test('a rule has one desktop: a new one ends the former', async (t) => {
  const { open, ask, opened } = await testDesktopPage(t)
  const former = await open()
  const { desktop } = await open()
  t.equal(await former.browser.closed, 4001)
  await former.desktop.aborted
  t.ok(former.desktop.isGone)
  t.notOk(desktop.isGone)
  t.equal((await ask('POST', '/ctrl')).status, 200)
  await desktop.hear('vncControl')
  t.same(former.desktop.heard, [])
  t.equal(opened.length, 2)
})

t.test('desktops that do not come, or when nobody waits', async (t) => {
  const late = new PlayedDesktop('late', { quality: 1, cursor: false }, true)
  let call = 0
  let answerLate: () => void = () => {}
  const { ask, clock } = await testDesktopPage(t, {
    openTimeout: 1000,
    async openDesktop (choice) {
      call++
      if (call === 1) throw new Error('no \x1b[31mdisplay')
      if (call === 2) await new Promise<void>((resolve) => { answerLate = resolve })
      return { link: call === 2 ? late.link : new PlayedDesktop('third', choice, true).link, onGone: () => { late.isGone = true } }
    }
  })
  t.match(await ask('POST', '/new'), { status: 502, body: 'no \\x1b[31mdisplay' })
  const asked = ask('POST', '/new')
  await clock.whenSet(1000)
  clock.advance(1000)
  t.match(await asked, { status: 502, body: /^timeout$/ })
  answerLate()
  await late.aborted
  t.ok(late.isGone)
  call = 1
  const second = ask('POST', '/new')
  await until(() => call === 2)
  t.match(await ask('POST', '/new'), { status: 200, body: 'third' })
  t.match(await second, { status: 502, body: /opened elsewhere/ })
})

t.test('the clipboard', async (t) => {
  const { open, ask, clock } = await testDesktopPage(t)
  const { desktop } = await open()
  const asked = [ask('GET', '/clipboard'), ask('GET', '/clipboard')]
  t.match(await desktop.hear('vncClipboard'), { vclipboard: { set: false, _type: 1, data: '' } })
  await desktop.hear('vncClipboard')
  desktop.send({ _type: MessageType.vncClipboard, vclipboard: { set: true, _type: 1, data: 'text é\n<b>' } })
  for (const answer of await Promise.all(asked)) t.match(answer, { status: 200, body: 'text é\n<b>', headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' } })
  const never = ask('GET', '/clipboard')
  await desktop.hear('vncClipboard')
  clock.advance(2999)
  clock.advance(1)
  t.equal((await never).status, 504, 'an answer that does not come is not awaited for ever')
  const set = `data=${encodeURIComponent('é'.repeat(24 * 1024))}`
  t.match(await ask('POST', '/clipboard', {}, set), { status: 200, body: /^ok$/ })
  t.match(await desktop.hear('vncClipboard'), { vclipboard: { set: true, _type: 1, data: 'é'.repeat(24 * 1024) } })
  t.equal((await ask('POST', '/clipboard', {}, `${set}x`)).status, 413)
  t.equal((await ask('POST', '/clipboard', {}, `data=${'x'.repeat(200_000)}`)).status, 413)
  const many = Array.from({ length: 17 }, () => ask('GET', '/clipboard'))
  t.equal((await Promise.race(many)).status, 503, 'not too many at once')
  await until(() => desktop.heard.length === 16)
  desktop.send({ _type: MessageType.vncClipboard, vclipboard: { set: true, _type: 1, data: 'x' } })
  t.equal((await Promise.all(many)).filter(({ status }) => status === 200).length, 16)
})

t.test('the link ends', async (t) => {
  const { open } = await testDesktopPage(t)
  const first = await open()
  first.desktop.fail(new Error('connection \x07lost'))
  t.equal(await first.browser.closed, 1000)
  t.match(first.browser.told, [{ type: 'lost', reason: 'connection \\x07lost' }])
  const second = await open()
  second.desktop.end()
  t.equal(await second.browser.closed, 1000)
  t.match(second.browser.told, [{ reason: 'the other end has ended it' }])
})

t.test('a browser that leaves', async (t) => {
  const { open, attach, clock, refused } = await testDesktopPage(t)
  const { desktop, browser } = await open()
  desktop.send(picture(0, 0))
  browser.do('keyboard', { status: 'down', key: 'control' })
  browser.do('keyboard', { status: 'down', key: 'c' })
  browser.do('mouse', { status: 'down', button: 'left', x: 5, y: 6 })
  browser.do('mouse', { status: '', button: '', x: 7, y: 8 })
  await browser.until(() => browser.frames.length === 1)
  await until(() => desktop.heard.length === 4)
  desktop.heard.length = 0
  browser.raw.terminate()
  await until(() => desktop.heard.length === 3)
  t.match(desktop.heard, [{ vmouse: { type: 2, btn: 1, x: 7, y: 8 } }, { vkbd: { type: 2, key: 'c' } }, { vkbd: { type: 2, key: 'control' } }], 'nothing stays pressed')
  desktop.send(picture(64, 0))
  const other = await attach('id0')
  t.match(await desktop.hear('vncControl'), { vctrl: { quality: 50 } }, 'who comes back gets a whole picture')
  const third = await attach('id0')
  t.equal(await other.closed, 4001)
  third.raw.send('no JSON')
  t.equal(await third.closed, 1007)
  await clock.whenSet(10_000)
  clock.advance(10_000)
  await desktop.aborted
  t.equal(await refused('/ws/id0'), 404)
})

t.test('a login, and closing', async (t) => {
  const { ask, refused, page, attach, opened } = await testDesktopPage(t, { password: 'secret' })
  t.match(await ask('GET', '/'), { status: 200, body: /type="password"/ })
  for (const [method, path] of [['POST', '/new'], ['POST', '/ctrl'], ['GET', '/clipboard']]) t.equal((await ask(method, path)).status, 401)
  t.equal(await refused('/ws/id0'), 401)
  const { headers } = await ask('POST', '/login', {}, 'password=secret')
  const cookie = (headers['set-cookie'] ?? [])[0].split(';')[0]
  t.match(await ask('GET', '/', { cookie }), { body: /<canvas/ })
  const { body } = await ask('POST', '/new', { cookie })
  const browser = await attach(body, { headers: { cookie } })
  browser.raw.send('x'.repeat(4097))
  t.equal(await browser.closed, 1009)
  const other = await attach(body, { headers: { cookie } })
  const closed = once(other.raw, 'close')
  await page.close()
  t.equal((await closed)[0], 1001)
  await opened[0].aborted
  await t.rejects(ask('GET', '/'))
})
