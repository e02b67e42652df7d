/** A browser on the page of a desktop, a real relay, and a controlled end that the test plays as an original one. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { holds, launchChromium, says, skipWithoutChromium, visit } from '../../../../helpers/chromium.ts'
import { desktopPages, filled, focused, HEIGHT, shows, WIDTH } from '../../../../helpers/natpass/desktop-pages.ts'
import { isType } from '../../../../helpers/natpass/messages.ts'
import { jpegOf } from '../../../../helpers/natpass/pictures.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'

t.setTimeout(110_000)

t.test('Chromium', { skip: skipWithoutChromium }, async (t) => {
  const browser = await launchChromium()
  t.teardown(() => browser.close())
  const { nas, open } = await desktopPages(t, browser)

  t.test('pictures', async (t) => {
    const { page, desktop } = await open(t)
    t.match(desktop.request.creq, { name: 'my desk', _type: 3, cvnc: { fps: 20, quality: 90, cursor: false } })
    t.equal(await page.title(), 'my desk')
    await shows(page, 0, 0, [255, 0, 0])
    await shows(page, 63, 63, [255, 0, 0])
    t.same(await page.evaluate('[document.getElementById("screen").width, document.getElementById("screen").height]'), [WIDTH, HEIGHT])
    const jpeg = Buffer.from(await page.evaluate(`new Promise((resolve) => {
      const canvas = new OffscreenCanvas(64, 64)
      const context = canvas.getContext('2d')
      context.fillStyle = '#0000ff'
      context.fillRect(0, 0, 64, 64)
      canvas.convertToBlob({ type: 'image/jpeg', quality: 1 }).then((blob) => blob.arrayBuffer()).then((bytes) => { resolve([...new Uint8Array(bytes)]) })
    })`) as number[])
    desktop.show(576, 416, 64, 1, jpeg)
    await shows(page, 576, 416, [0, 0, 254])
    await shows(page, 639, 479, [0, 0, 254])
    await shows(page, 575, 415, [0, 0, 0])
    for (let i = 0; i < 50; i++) { // decoding takes a while, raw pictures take none
      desktop.show(64, 64, 64, 1, jpeg)
      desktop.show(64, 64, 64, 0, filled(0, i === 49 ? 255 : 7, 0))
    }
    await shows(page, 64, 64, [0, 255, 0])
    await page.waitForTimeout(50) // nothing that was decoded late comes on top
    await shows(page, 64, 64, [0, 255, 0])
    await holds(page, '/^\\d+ fps, [\\d.]+ [kM]?B\\/s$/.test(document.getElementById("rate").textContent)')
    desktop.show(128, 0, 64, 1, jpegOf(64, 64)) // a header, and no picture
    await says(page, 'A part of the picture cannot be shown.')
    t.ok((await desktop.next('vncControl')).vctrl, 'a whole picture is asked for')
    desktop.show(128, 0, 64, 0, filled(9, 9, 9))
    await says(page, '')
    await shows(page, 128, 0, [9, 9, 9])
  })

  t.test('large pictures, whose bytes do not tell what memory they take, are decoded one at a time', async (t) => {
    const { page, desktop } = await open(t)
    const jpeg = Buffer.from(await page.evaluate(`new Promise((resolve) => {
      let alive = 0
      globalThis.most = 0
      const decode = globalThis.createImageBitmap
      globalThis.createImageBitmap = async (blob) => {
        globalThis.most = Math.max(globalThis.most, ++alive)
        const bitmap = await decode(blob)
        await new Promise((resolve) => { setTimeout(resolve, 20) }) // as one that is large takes
        const close = bitmap.close.bind(bitmap)
        bitmap.close = () => {
          alive--
          close()
        }
        return bitmap
      }
      const canvas = new OffscreenCanvas(256, 256)
      canvas.getContext('2d').fillRect(0, 0, 256, 256)
      canvas.convertToBlob({ type: 'image/jpeg' }).then((blob) => blob.arrayBuffer()).then((bytes) => { resolve([...new Uint8Array(bytes)]) })
    })`) as number[])
    for (let i = 0; i < 20; i++) desktop.show(0, 0, 256, 1, jpeg)
    desktop.show(0, 0, 64, 0, filled(0, 255, 0))
    await shows(page, 0, 0, [0, 255, 0])
    await shows(page, 255, 255, [0, 0, 0])
    t.equal(await page.evaluate('globalThis.most'), 1)
  })

  t.test('pointer, wheel and keys', async (t) => {
    const { page, desktop } = await open(t)
    const at = await placed(page)
    const mouse = async (): Promise<unknown> => (await desktop.next('vncMouse')).vmouse
    await page.mouse.move(...at(320, 240))
    t.match(await mouse(), { type: 0, btn: 0, x: 320, y: 240 })
    await page.mouse.down()
    t.match(await mouse(), { type: 1, btn: 1, x: 320, y: 240 })
    await page.mouse.down({ button: 'right' })
    t.match(await mouse(), { type: 1, btn: 3, x: 320, y: 240 })
    await page.mouse.up({ button: 'right' })
    t.match(await mouse(), { type: 2, btn: 3 })
    await page.mouse.up()
    t.match(await mouse(), { type: 2, btn: 1 })
    await page.mouse.down()
    t.match(await mouse(), { type: 1, btn: 1 })
    await page.mouse.move(1, 2) // off the screen, with a button down
    t.match(await mouse(), { type: 0, btn: 0, x: 0, y: 0 })
    await page.mouse.up()
    t.match(await mouse(), { type: 2, btn: 1, x: 0, y: 0 })
    await page.mouse.click(...at(1, 1), { button: 'middle' })
    t.match(await mouse(), { type: 0 })
    t.match(await mouse(), { type: 1, btn: 2 })
    t.match(await mouse(), { type: 2, btn: 2 })
    await page.mouse.wheel(0, 300)
    t.match((await desktop.next('vncScroll')).vscroll, { x: 0, y: -3 })
    await page.mouse.wheel(-100, 0)
    t.match((await desktop.next('vncScroll')).vscroll, { x: 1, y: 0 })

    const keys = async (count: number): Promise<string> => {
      const all: string[] = []
      for (let i = 0; i < count; i++) {
        const { vkbd } = await desktop.next('vncKeyboard')
        all.push(`${['', '+', '-'][Number(vkbd?.type)]}${vkbd?.key}`)
      }
      return all.join(' ')
    }
    await page.keyboard.type('a1-é')
    t.equal(await keys(6), '+a -a +1 -1 +- --')
    for (const key of ['Escape', 'Tab', 'Space', 'F12', 'ArrowUp', 'Enter', 'Backspace']) await page.keyboard.press(key)
    t.equal(await keys(14), '+esc -esc +tab -tab +space -space +f12 -f12 +up -up +enter -enter +backspace -backspace')
    await page.keyboard.press('Shift+A')
    t.equal(await keys(4), '+shift +a -a -shift')
    await page.keyboard.press('Control+f')
    t.equal(await keys(4), '+control +f -f -control')
    await page.keyboard.press('Shift+Digit1')
    t.equal(await keys(4), '+shift +! -! -shift')
    await page.evaluate('for (const type of [\'keydown\', \'keyup\']) document.getElementById(\'screen\').dispatchEvent(new KeyboardEvent(type, { key: \'é\', code: \'Digit2\' }))')
    t.equal(await keys(2), '+é -é')

    await page.keyboard.down('x')
    await page.keyboard.down('Control')
    await page.keyboard.down('Alt')
    await page.keyboard.down('Shift')
    t.equal(await keys(6), '+x +control +alt -alt -control -x', 'the keys are given back')
    for (const key of ['Shift', 'Alt', 'Control', 'x']) await page.keyboard.up(key)
    t.equal(await focused(page), 'quality')
    await page.keyboard.press('Tab')
    t.equal(await focused(page), 'cursor')
    await page.keyboard.press('Space')
    t.match((await desktop.next('vncControl')).vctrl, { quality: 90, cursor: true })
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await desktop.next('vncCad')
    t.equal(await focused(page), 'screen')
    t.equal(nas.inbox.filter(isType('vncKeyboard')).length, 0, 'nothing of that went to the desktop')
  })

  t.test('keys that are held when the screen loses the focus', async (t) => {
    const { page, desktop } = await open(t)
    await page.keyboard.down('a')
    t.match((await desktop.next('vncKeyboard')).vkbd, { type: 1, key: 'a' })
    await page.locator('#quality').focus()
    t.match((await desktop.next('vncKeyboard')).vkbd, { type: 2, key: 'a' })
    await page.locator('#quality').selectOption('100')
    t.match((await desktop.next('vncControl')).vctrl, { quality: 100, cursor: false })
  })

  t.test('the clipboard, without a permission', async (t) => {
    const { page, desktop } = await open(t)
    await page.getByRole('button', { name: 'Clipboard' }).click()
    t.equal(await focused(page), 'clipboard-text')
    await page.getByRole('button', { name: 'Get it' }).click()
    t.match((await desktop.next('vncClipboard')).vclipboard, { set: false, _type: 1 })
    desktop.send({ _type: MessageType.vncClipboard, vclipboard: { set: true, _type: 1, data: 'text of the desktop' } })
    await holds(page, 'document.getElementById("clipboard-text").value === "text of the desktop"')
    await page.locator('#clipboard-text').fill('text of this side')
    await page.getByRole('button', { name: 'Send it' }).click()
    t.match((await desktop.next('vncClipboard')).vclipboard, { set: true, _type: 1, data: 'text of this side' })
    await holds(page, 'document.getElementById("clipboard-state").textContent === "The desktop has it."')
    await page.keyboard.press('Escape')
    await holds(page, "document.activeElement.id === 'screen'")
    await page.keyboard.press('k')
    t.match((await desktop.next('vncKeyboard')).vkbd, { key: 'k' }, 'and Escape was for the dialog')
  })

  t.test('a phone', async (t) => {
    const { page, desktop } = await open(t, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true, colorScheme: 'dark' })
    t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight'), 'it fits')
    const at = await placed(page)
    const mouse = async (): Promise<unknown> => (await desktop.next('vncMouse')).vmouse
    await page.touchscreen.tap(...at(320, 240))
    t.match(await mouse(), { type: 1, btn: 1 })
    t.match(await mouse(), { type: 2, btn: 1 })
    const touch = await page.context().newCDPSession(page)
    const send = async (type: 'touchStart' | 'touchMove' | 'touchEnd', ...points: Array<[number, number]>): Promise<void> => {
      await touch.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) })
    }
    await send('touchStart', at(100, 100))
    t.match(await mouse(), { type: 1, btn: 3 }, 'held: the right button')
    t.match(await mouse(), { type: 2, btn: 3 })
    await send('touchEnd')
    await send('touchStart', at(100, 100))
    await send('touchMove', at(400, 300))
    t.match(await mouse(), { type: 1, btn: 1 })
    await send('touchEnd')
    const moved = await mouse() as { type: number, x: number }
    t.equal(moved.type, 0)
    t.ok(Math.abs(moved.x - 400) < 5)
    t.match(await mouse(), { type: 2, btn: 1 })
    const [x, y] = at(300, 200)
    await send('touchStart', [x, y], [x + 30, y])
    await send('touchMove', [x, y + 80], [x + 30, y + 80])
    const { vscroll } = await desktop.next('vncScroll')
    t.ok(Number(vscroll?.y) > 0, 'two fingers scroll, as they do elsewhere')
    await send('touchEnd')
    await page.getByRole('button', { name: 'Keyboard' }).tap()
    t.equal(await focused(page), 'typing')
    await page.keyboard.insertText('ñ b')
    const keys: string[] = []
    while (keys.length < 6) keys.push(String((await desktop.next('vncKeyboard')).vkbd?.key))
    t.same(keys, ['ñ', 'ñ', 'space', 'space', 'b', 'b'])
  })

  t.test('the screen stays where it is', async (t) => {
    const { page } = await open(t)
    for (const [width, height] of [[1000, 700], [320, 568]]) {
      await page.setViewportSize({ width, height })
      const places = new Set<string>()
      for (const [rate, state] of [['', ''], ['', 'waiting for a picture'], ['0 fps, 0 B/s', ''], ['50 fps, 999 kB/s', 'connecting']]) {
        places.add(await page.evaluate(`(() => {
          document.getElementById('rate').textContent = ${JSON.stringify(rate)}
          document.getElementById('state').textContent = ${JSON.stringify(state)}
          const { x, y, width } = document.getElementById('screen').getBoundingClientRect()
          return [x, y, width].join()
        })()`))
      }
      t.equal(places.size, 1, [...places].join(' '))
    }
  })

  t.test('light and dark, full screen', async (t) => {
    const { page } = await open(t)
    const shade = async (colorScheme: 'light' | 'dark'): Promise<number> => {
      await page.emulateMedia({ colorScheme })
      return Number(/\d+/.exec(await page.evaluate('getComputedStyle(document.body).backgroundColor') as string)?.[0])
    }
    t.ok(await shade('light') > 200)
    t.ok(await shade('dark') < 50)
    await page.getByRole('button', { name: 'Full screen' }).click()
    await holds(page, 'document.fullscreenElement?.contains(document.getElementById("screen"))')
    await holds(page, 'document.activeElement.id === "screen"')
  })

  t.test('a foreign page', async (t) => {
    const { desktop, url } = await open(t)
    const { page } = await visit(t, browser)
    await page.goto('data:text/html,<title>foreign</title>')
    await page.evaluate(`fetch('${url}/new', { method: 'POST', mode: 'no-cors' }).catch(() => {})`)
    t.equal(await page.evaluate(`new Promise((resolve) => { new WebSocket('${url.replace('http', 'ws')}/ws/${desktop.request.link_id}').onclose = ({ code }) => { resolve(code) } })`), 1006)
    await nas.settled()
    t.equal(nas.inbox.filter(isType('connectReq')).length, 0, 'it opens nothing')
  })
})

/** Where a pixel of the desktop is on the page. */
async function placed (page: Page): Promise<(x: number, y: number) => [number, number]> {
  const box = await page.locator('#screen').boundingBox()
  if (box === null) throw new Error('not on the page')
  return (x, y) => [box.x + (x + 0.5) * box.width / WIDTH, box.y + (y + 0.5) * box.height / HEIGHT]
}
