/** A browser, the page, and a real shell behind it. */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { holds, launchChromium, says, skipWithoutChromium, visit as visitIn } from '../../../../helpers/chromium.ts'
import { PLAIN, skipWithoutPty } from '../../../../helpers/natpass/pty.ts'
import { serveShellPage, type ShellPage, type ShellPageInit } from '../../../../../src/nodes/natpass/peer/page/page-server.ts'
import { startShell } from '../../../../../src/nodes/natpass/peer/shell/shell.ts'

t.setTimeout(110_000)

t.test('Chromium', { skip: skipWithoutChromium !== false ? skipWithoutChromium : skipWithoutPty }, async (t) => {
  const browser = await launchChromium()
  t.teardown(() => browser.close())

  async function serve (t: Test, init: Partial<ShellPageInit> = {}): Promise<ShellPage> {
    const served = await serveShellPage({
      host: '127.0.0.1',
      port: 0,
      name: 'a shell',
      openShell: async () => Object.assign(await startShell({ own: PLAIN, exec: '/bin/sh' }), { id: randomUUID() }),
      ...init
    })
    t.teardown(() => served.close())
    return served
  }

  const visit = (t: Test): ReturnType<typeof visitIn> => visitIn(t, browser)

  t.test('a real keystroke, a real shell, its text on the screen', async (t) => {
    const served = await serve(t)
    const { page } = await visit(t)
    await page.goto(served.url)
    t.equal(await page.title(), 'a shell')
    await shows(page, '$')
    await page.keyboard.type('echo "<$((40 + 2))> $TERM é"\n')
    await shows(page, '<42> xterm-256color é')

    t.test('the size follows the window', async (t) => {
      const size = async (): Promise<string> => {
        const mark = randomUUID().slice(0, 8)
        await page.keyboard.type(`stty size; echo ${mark}.\n`)
        await shows(page, `${mark}.`, 2)
        return /(\d+ \d+)\s*$/.exec((await screen(page)).split(`\n${mark}.`)[0])?.[1] ?? ''
      }
      const resize = async (width: number, height: number): Promise<void> => {
        await Promise.all([page.waitForResponse(/\/resize$/), page.setViewportSize({ width, height })])
      }
      await resize(800, 500)
      const before = await size()
      const shown = await page.locator('.xterm-rows > div').count()
      t.equal(before.split(' ')[0], String(shown), 'rows of the shell are those of the screen')
      await resize(1000, 700)
      const after = await size()
      t.ok(Number(after.split(' ')[0]) > Number(before.split(' ')[0]) && Number(after.split(' ')[1]) > Number(before.split(' ')[1]), `${before}, then ${after}`)
    })

    t.test('the page is loaded again', async (t) => {
      await page.keyboard.type('WORD=kept; clear; echo "<$WORD>"\n')
      await shows(page, '<kept>')
      await page.reload()
      await shows(page, '<kept>')
      await page.keyboard.type('echo "[$WORD]"\n')
      await shows(page, '[kept]')
      t.equal(served.shells, 1)
    })

    t.test('it exits', async (t) => {
      await page.keyboard.type('exit 3\n')
      await says(page, 'The shell has exited with code 3. Press Enter for a new one.')
      await page.keyboard.press('Enter')
      await says(page, '')
      await shows(page, '$')
      await page.keyboard.type('kill -KILL $$\n')
      await says(page, 'The shell was ended by signal 9. Press Enter for a new one.')
      await page.reload()
      await says(page, '')
    })
  })

  t.test('pasting and copying', async (t) => {
    const served = await serve(t)
    const { context, page } = await visit(t)
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.goto(served.url)
    await shows(page, '$')
    await page.keyboard.type('stty raw -echo; echo begin; head -c 70000 | sha256sum; stty sane; echo done.\n')
    await shows(page, '\nbegin')
    const text = 'aé€😀'.repeat(7000)
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`)
    await page.keyboard.press('Control+Shift+V')
    await shows(page, createHash('sha256').update(text).digest('hex'))
    await shows(page, 'done.', 2)
    await page.keyboard.type('clear; echo copy-$((1 + 1))-me\n')
    await shows(page, 'copy-2-me')
    const box = await page.locator('.xterm-rows > div', { hasText: 'copy-2-me' }).first().boundingBox()
    if (box === null) throw new Error('not on the screen')
    await page.mouse.dblclick(box.x + 10, box.y + box.height / 2)
    await page.keyboard.press('Control+Shift+C')
    await holds(page, "navigator.clipboard.readText().then((text) => text.startsWith('copy-2'))")
  })

  t.test('a lost connection', async (t) => {
    const served = await serve(t)
    const proxy = await breakable(t, Number(new URL(served.url).port))
    const { page } = await visit(t)
    await page.goto(proxy.url)
    await shows(page, '$')
    await page.keyboard.type('WORD=kept; echo "<$WORD>"\n')
    await shows(page, '<kept>')
    proxy.stop()
    await says(page, 'connection lost, trying again')
    await proxy.start()
    await says(page, '')
    await page.keyboard.type('echo "[$WORD]"\n')
    await shows(page, '[kept]')
    t.equal((await screen(page)).split('<kept>').length, 2, 'nothing is shown twice')
    t.equal(served.shells, 1)
  })

  t.test('another tab', async (t) => {
    const served = await serve(t)
    const { context, page } = await visit(t)
    await page.goto(served.url)
    await shows(page, '$')
    const other = await context.newPage()
    await other.goto(served.url)
    await shows(other, '$')
    t.equal(served.shells, 2, 'has a shell of its own')
    await other.evaluate(`sessionStorage.setItem('shell', ${JSON.stringify(await page.evaluate("sessionStorage.getItem('shell')"))})`)
    await other.reload()
    await says(page, 'This shell was opened in another tab. Press Enter for a new one.')
  })

  t.test('a shell that does not start', async (t) => {
    const served = await serve(t, { openShell: async () => { throw new Error('not allowed') } })
    const { page } = await visit(t)
    await page.goto(served.url)
    await says(page, 'There is no shell: not allowed. Press Enter for a new one.')
  })

  t.test('a login', async (t) => {
    const served = await serve(t, { password: 'open sesame' })
    const { page } = await visit(t)
    const logIn = async (password: string): Promise<void> => {
      await page.goto(served.url)
      await page.locator('input:focus').waitFor()
      await page.keyboard.type(`${password}\n`)
    }
    await logIn('wrong')
    await page.getByText('This is not the password.').waitFor()
    await logIn('open sesame')
    await page.locator('.xterm').waitFor()
    await shows(page, '$')
    await page.keyboard.type('echo $((6 * 7)).\n')
    await shows(page, '42.')
  })

  t.test('a foreign page', async (t) => {
    const served = await serve(t)
    const { page } = await visit(t)
    const site = createServer((socket) => { socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!doctype html><title>foreign</title>') })
    site.listen(0, '127.0.0.1')
    await once(site, 'listening')
    t.teardown(() => { site.close() })
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/`)
    const status = await page.evaluate(`fetch('${served.url}/new', { method: 'POST', mode: 'no-cors' }).then(() => 'sent', () => 'failed')`)
    t.ok(['sent', 'failed'].includes(status as string), String(status))
    const code = await page.evaluate(`new Promise((resolve) => { new WebSocket('${served.url.replace('http', 'ws')}/ws/x').onclose = ({ code }) => { resolve(code) } })`)
    t.equal(code, 1006)
    t.equal(served.shells, 0, 'it opens nothing')
  })
})

/** The text on the screen; without blanks at the end of lines. */
const screen = async (page: Page): Promise<string> =>
  (await page.locator('.xterm-rows > div').allTextContents()).map((line) => line.replaceAll('\u00a0', ' ').trimEnd()).join('\n')

/** Waits until a text is on the screen so many times: what is typed is shown as well. */
async function shows (page: Page, text: string, count = 1): Promise<void> {
  await holds(page, `[...document.querySelectorAll('.xterm-rows > div')].map((line) => line.textContent.replaceAll('\u00a0', ' ').trimEnd()).join('\\n').split(${JSON.stringify(text)}).length > ${count}`)
}

/** A way to the page that can be interrupted. */
async function breakable (t: Test, to: number) {
  const sockets = new Set<Socket>()
  const proxy = createServer((socket) => {
    const other = connect(to, '127.0.0.1')
    for (const [one, end] of [[socket, other], [other, socket]]) {
      sockets.add(one)
      one.on('error', () => {}).once('close', () => { end.destroy() })
      one.pipe(end)
    }
  })
  const start = async (port = 0): Promise<number> => {
    proxy.listen(port, '127.0.0.1')
    await once(proxy, 'listening')
    return (proxy.address() as AddressInfo).port
  }
  const stop = (): void => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  t.teardown(stop)
  const port = await start()
  return { url: `http://127.0.0.1:${port}`, stop, start: () => start(port) }
}
