/** A browser on the page of a desktop that is refused, lost, and back again. */
import t from 'tap'
import { holds, launchChromium, says, skipWithoutChromium, visit } from '../../../../helpers/chromium.ts'
import { forwarder } from '../../../../helpers/forwarder.ts'
import { freePort } from '../../../../helpers/free-ports.ts'
import { desktopPages, filled, focused, shows } from '../../../../helpers/natpass/desktop-pages.ts'
import { isType } from '../../../../helpers/natpass/messages.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'

t.setTimeout(110_000)

const GONE = 'The desktop is gone: the other end has ended it.'

t.test('Chromium', { skip: skipWithoutChromium }, async (t) => {
  const browser = await launchChromium()
  t.teardown(() => browser.close())
  const { nas, listen, accept, refuse, open } = await desktopPages(t, browser)

  t.test('a desktop that is refused: the user tries again', async (t) => {
    const { url } = await listen(t)
    const { page } = await visit(t, browser)
    await page.goto(url)
    await refuse('no display')
    await says(page, 'There is no desktop: no display.')
    await page.getByRole('button', { name: 'Connect again' }).click()
    await refuse('still none')
    await says(page, 'There is no desktop: still none.')
    await page.getByRole('button', { name: 'Connect again' }).press('Enter')
    const desktop = await accept()
    await says(page, 'waiting for a picture')
    desktop.show(0, 0, 64, 0, filled(0, 0, 255))
    await says(page, '')
    await shows(page, 0, 0, [0, 0, 255])
    t.notOk(await page.getByRole('button', { name: 'Connect again' }).isVisible())
  })

  t.test('a bad picture', async (t) => {
    const { page, desktop } = await open(t)
    desktop.show(600, 0, 64, 0, filled(1, 1, 1))
    await desktop.next('disconnect')
    await says(page, 'The desktop is gone: the other end has sent a picture with a rectangle of 64 × 64 pixels at 600, 0 of a screen of 640 × 480. Trying again in 1 second.')
    await accept()
    await says(page, 'waiting for a picture')
  })

  t.test('a desktop that is lost comes back by itself', async (t) => {
    const { page, desktop } = await open(t)
    const opacity = (value: string): Promise<void> => holds(page, `getComputedStyle(document.getElementById('screen')).opacity === '${value}'`)
    await opacity('1')
    desktop.send({ _type: MessageType.disconnect })
    await says(page, `${GONE} Trying again in 1 second.`)
    await opacity('0.4') // what is shown is not what is there
    await refuse('no display')
    await says(page, 'There is no desktop: no display. Trying again in 2 seconds.')
    const again = await accept()
    await says(page, 'waiting for a picture')
    await opacity('0.4')
    again.show(0, 0, 64, 0, filled(0, 255, 0))
    await says(page, '')
    await opacity('1')
    await shows(page, 0, 0, [0, 255, 0])
    await page.keyboard.press('k')
    t.match((await again.next('vncKeyboard')).vkbd, { key: 'k' })
  })

  t.test('by the keyboard alone', async (t) => {
    const { page, desktop } = await open(t)
    await page.keyboard.down('a')
    await desktop.next('vncKeyboard')
    desktop.send({ _type: MessageType.disconnect })
    await says(page, `${GONE} Trying again in 1 second.`)
    await page.keyboard.up('a')
    await refuse('no display')
    await says(page, 'There is no desktop: no display. Trying again in 2 seconds.')
    await page.keyboard.press('Tab')
    t.equal(await focused(page), 'again', 'keys are those of the page')
    await page.keyboard.press('Enter')
    const again = await accept() // at once
    t.equal(await focused(page), 'screen')
    await says(page, 'waiting for a picture')
    again.show(0, 0, 64, 0, filled(0, 255, 0))
    await says(page, '')
    await page.keyboard.press('Tab')
    t.match((await again.next('vncKeyboard')).vkbd, { key: 'tab', type: 1 }, 'then those of the desktop')
    t.equal(await focused(page), 'screen')
  })

  t.test('the button has the keyboard when the desktop is back', async (t) => {
    const { page, desktop } = await open(t)
    desktop.send({ _type: MessageType.disconnect })
    await says(page, `${GONE} Trying again in 1 second.`)
    await page.keyboard.press('Tab')
    await accept()
    await says(page, 'waiting for a picture')
    t.equal(await focused(page), 'screen')
  })

  t.test('pauses grow, and end', async (t) => {
    const { url } = await listen(t)
    const { page } = await visit(t, browser)
    await page.clock.install()
    await page.goto(url)
    const desktop = await accept()
    await says(page, 'waiting for a picture')
    desktop.send({ _type: MessageType.disconnect })
    await says(page, `${GONE} Trying again in 1 second.`)
    for (const seconds of [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]) {
      await holds(page, `/ Trying again in ${seconds} seconds?\\.$/.test(document.getElementById('state').textContent)`)
      await page.clock.fastForward(seconds * 1000)
      await refuse('no display')
    }
    await says(page, 'There is no desktop: no display.')
    await page.clock.fastForward(3_600_000)
    await nas.settled()
    t.equal(nas.inbox.filter(isType('connectReq')).length, 0)
    await page.getByRole('button', { name: 'Connect again' }).click()
    await accept()
    await says(page, 'waiting for a picture')
  })

  t.test('the WebSocket is lost: the same desktop', async (t) => {
    const { url } = await listen(t)
    const way = await forwarder(t, Number(new URL(url).port))
    const { page } = await visit(t, browser)
    await page.goto(`http://127.0.0.1:${way.port}`)
    const desktop = await accept()
    await says(page, 'waiting for a picture')
    desktop.show(0, 0, 64, 0, filled(255, 0, 0))
    await says(page, '')
    way.cut()
    await says(page, 'Connection lost. Trying again in 1 second.')
    t.match((await desktop.next('vncControl')).vctrl, { quality: 90 }, 'a whole picture is asked for')
    desktop.show(0, 0, 64, 0, filled(0, 255, 0))
    await shows(page, 0, 0, [0, 255, 0])
    await says(page, '')
  })

  t.test('the program behind the page starts again: another desktop', async (t) => {
    const port = await freePort()
    const { laptop, url } = await listen(t, port)
    const { page } = await visit(t, browser)
    await page.goto(url)
    await accept()
    await says(page, 'waiting for a picture')
    await laptop.close()
    await holds(page, "/^The program behind this page does not answer\\. Trying/.test(document.getElementById('state').textContent)")
    await listen(t, port)
    const desktop = await accept()
    await says(page, 'waiting for a picture')
    desktop.show(0, 0, 64, 0, filled(0, 255, 0))
    await shows(page, 0, 0, [0, 255, 0])
  })

  t.test('another tab takes it over', async (t) => {
    const { page, desktop, url } = await open(t)
    const other = await page.context().newPage()
    await other.goto(url)
    await desktop.next('disconnect')
    await accept()
    await says(page, 'This desktop was opened in another tab.')
  })

  t.test('a tab that has lost its desktop takes none from another tab', async (t) => {
    const { page, desktop, url } = await open(t)
    let goOn: () => void = () => {}
    const mayGoOn = new Promise<void>((resolve) => { goOn = resolve })
    await page.route(/\/new\?again=/, async (route) => {
      await mayGoOn
      await route.continue()
    })
    desktop.send({ _type: MessageType.disconnect })
    await says(page, 'trying again')
    const other = await page.context().newPage()
    await other.goto(url)
    await accept()
    await says(other, 'waiting for a picture')
    goOn()
    await says(page, 'This desktop was opened in another tab.')
    t.equal(await other.locator('#state').textContent(), 'waiting for a picture')
  })
})
