/** Pictures to the browser of a desktop: what is damaged, what waits for the first browser, and for a slow one (natpass protocol, section 4.2; section 8, case 30). */
import t from 'tap'
import { turn, until } from '../../../../helpers/ends.ts'
import { picture, testDesktopPage } from '../../../../helpers/natpass/desktop.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import type { MessageInit } from '../../../../../src/nodes/natpass/protocol/messages.ts'

/** A block of the right size for a JPEG that is none. */
const damaged: MessageInit = { ...picture(0, 0), vimg: { ...picture(0, 0).vimg, encode: 1, data: Buffer.from('ffd8ffc4', 'hex') } }

t.test('a bad picture ends the link, and the page says it', async (t) => {
  const { open, ask, opened } = await testDesktopPage(t)
  const { desktop, browser } = await open()
  desktop.send(picture(0, 0), picture(640, 0))
  t.equal(await browser.closed, 1000)
  t.match(browser.told, [{ type: 'lost', reason: /^the other end has sent a picture with a rectangle/ }])
  t.equal(browser.frames.length, 1)
  t.match(await desktop.aborted, { code: 'ERR_DESKTOP_PICTURE' })
  t.ok(desktop.isGone)
  t.equal((await ask('POST', '/new')).status, 200, 'the page lives')
  t.equal(opened.length, 2)
})

t.test('a damaged JPEG is not shown, and a whole picture is asked for once a second', async (t) => {
  const warned: object[] = []
  const { open, clock, attach } = await testDesktopPage(t, { log: { log: (_level, fields) => { warned.push(fields) } } })
  const { desktop, browser } = await open('?quality=70')
  desktop.send(picture(0, 0), damaged, damaged, picture(64, 0))
  await browser.until(() => browser.frames.length === 2)
  t.same(browser.frames.map((frame) => frame.readUInt32BE(8)), [0, 64], 'the link goes on')
  await clock.whenSet(1000)
  t.same(desktop.heard, [])
  clock.advance(1000)
  t.match(await desktop.hear('vncControl'), { vctrl: { quality: 70 } })
  t.match(warned, [{ count: 1 }, { count: 1 }], 'counted, one line a second')
  for (let second = 0; second < 3; second++) {
    for (let i = 0; i < 20; i++) desktop.send(damaged, damaged)
    desktop.send(picture(0, 0))
    await browser.until(() => browser.frames.length === 3 + second)
    clock.advance(999)
    browser.do('cad')
    t.equal((await desktop.hear('vncCad'))._type, MessageType.vncCad)
    t.same(desktop.heard, [])
    clock.advance(1)
    await desktop.hear('vncControl')
    t.same(desktop.heard, [], 'one for all of a second')
  }
  browser.raw.terminate()
  await clock.whenSet(10_000)
  desktop.send(damaged)
  await until(() => desktop.waiting === 0)
  const other = await attach('id0')
  await desktop.hear('vncControl')
  clock.advance(1000)
  other.do('cad')
  await desktop.hear('vncCad')
  t.same(desktop.heard, [], 'who comes gets a whole picture anyway')
  t.notOk(desktop.isGone)
})

t.test('a browser that comes behind the first picture gets it, and it is not sent again', async (t) => {
  const { ask, attach, opened } = await testDesktopPage(t)
  const { body: id } = await ask('POST', '/new')
  const [desktop] = opened
  desktop.send(picture(0, 0), picture(64, 0))
  await until(() => desktop.waiting === 0)
  for (let i = 0; i < 5; i++) await turn()
  desktop.send(picture(128, 0))
  for (let i = 0; i < 20; i++) await turn()
  t.ok(desktop.waiting > 0, 'the other end waits meanwhile')
  const browser = await attach(id)
  await browser.until(() => browser.frames.length === 3)
  t.same(browser.frames.map((frame) => frame.readUInt32BE(8)), [0, 64, 128])
  browser.do('cad')
  await desktop.hear('vncCad')
  t.same(desktop.heard, [], 'no vnc_ctrl')
  await attach(id)
  await desktop.hear('vncControl')
})

t.test('what waits for the first browser holds up no text of the clipboard, and not the end', async (t) => {
  const { ask, attach, opened, clock } = await testDesktopPage(t)
  const { body: id } = await ask('POST', '/new')
  opened[0].send(picture(0, 0))
  await until(() => opened[0].waiting === 0)
  for (let i = 0; i < 5; i++) await turn()
  const text = ask('GET', '/clipboard')
  await opened[0].hear('vncClipboard')
  opened[0].send({ _type: MessageType.vncClipboard, vclipboard: { set: true, _type: 1, data: 'text' } })
  t.match(await text, { status: 200, body: 'text' })
  const browser = await attach(id)
  await opened[0].hear('vncControl')
  browser.do('cad')
  await opened[0].hear('vncCad')
  t.equal(browser.frames.length, 0)
  await ask('POST', '/new')
  opened[1].send(picture(0, 0))
  await clock.whenSet(10_000)
  clock.advance(10_000)
  await opened[1].aborted
  t.ok(opened[1].isGone)
})

t.test('an original does not wait: who comes behind its first picture asks for a whole one', async (t) => {
  const { ask, attach, opened } = await testDesktopPage(t, { halfClose: false })
  const { body: id } = await ask('POST', '/new')
  for (let i = 0; i < 3; i++) opened[0].send(picture(64 * i, 0))
  await until(() => opened[0].waiting === 0)
  await attach(id)
  await opened[0].hear('vncControl')
})

t.test('a slow browser', async (t) => {
  t.test('an end of tunpipe waits', async (t) => {
    const { open } = await testDesktopPage(t)
    const { desktop, browser } = await open()
    browser.do('drawn', { bytes: 0 })
    browser.do('cad')
    await desktop.hear('vncCad')
    for (let i = 0; i < 1000; i++) {
      desktop.send(picture(0, 0))
      await turn()
    }
    t.ok(desktop.waiting > 500, `${desktop.waiting} wait`)
    await browser.until(() => browser.frames.length >= 256)
    let told = 0
    while (browser.frames.length < 1000) {
      const frames = browser.frames.length
      browser.do('drawn', { bytes: browser.frames.slice(told).reduce((sum, { length }) => sum + length, 0) })
      told = frames
      await browser.until(() => browser.frames.length > frames)
    }
    t.equal(browser.frames.length, 1000, 'and nothing is lost')
  })

  t.test('what an original sends is dropped, and a whole picture is asked for', async (t) => {
    const { open, clock } = await testDesktopPage(t, { halfClose: false })
    const { desktop, browser } = await open('?show_cursor=1')
    t.match(await desktop.hear('vncControl'), { vctrl: { cursor: true } }, 'its request has no eye for that')
    browser.do('drawn', { bytes: 0 })
    browser.do('cad')
    await desktop.hear('vncCad')
    for (let i = 0; i < 1000; i++) {
      desktop.send(picture(0, 0))
      await turn()
    }
    t.equal(desktop.waiting, 0)
    await until(() => clock.waiting.includes(1000))
    clock.advance(1000)
    t.same(desktop.heard, [], 'not before the browser is ready')
    await browser.until(() => browser.frames.length >= 255)
    browser.do('drawn', { bytes: browser.frames.reduce((sum, { length }) => sum + length, 0) })
    browser.do('cad')
    await desktop.hear('vncCad')
    clock.advance(1000)
    t.match(await desktop.hear('vncControl'), { vctrl: { quality: 50, cursor: true } })
  })

  t.test('messages that the link has dropped', async (t) => {
    const { open, clock } = await testDesktopPage(t, { halfClose: false })
    const { desktop, browser } = await open()
    desktop.lose(3)
    desktop.send(picture(0, 0), picture(0, 0))
    await browser.until(() => browser.frames.length === 2)
    await clock.whenSet(1000)
    clock.advance(1000)
    await desktop.hear('vncControl')
    desktop.send(picture(0, 0))
    await browser.until(() => browser.frames.length === 3)
    t.notOk(clock.waiting.includes(1000), 'once')
  })
})
