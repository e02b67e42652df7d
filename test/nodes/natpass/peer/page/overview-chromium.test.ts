/** A browser on the page of all rules, with a real relay and a real controlled end behind it. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { holds, launchChromium, says, skipWithoutChromium, visit } from '../../../../helpers/chromium.ts'
import { leastContrast, outlineContrast } from '../../../../helpers/contrast.ts'
import { portOf, startPeer } from '../../../../helpers/natpass/peers.ts'
import { skipWithoutPty } from '../../../../helpers/natpass/pty.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import type { NatpassPeer } from '../../../../../src/nodes/natpass/peer/peer.ts'
import type { NatpassPeerInit } from '../../../../../src/nodes/natpass/peer/settings.ts'

t.setTimeout(110_000)

/** As long as a name may be, and in one piece. */
const LONG = 'a'.repeat(64)

/** What text has to reach (WCAG 2.2, 1.4.3), and what shows where the keyboard is (1.4.11). */
const TEXT = 4.5
const MARK = 3

t.test('Chromium', { skip: skipWithoutChromium !== false ? skipWithoutChromium : skipWithoutPty }, async (t) => {
  const browser = await launchChromium()
  t.teardown(() => browser.close())
  const { server, port } = await serve(t)
  await startPeer(t, port, { allow: ['tcp', 'bench', 'shell'] })
  const echo = await listenEcho(t)
  let peers = 0

  /** A peer with a rule of each kind, one of which cannot listen. */
  async function start (t: Test, init: Partial<NatpassPeerInit> = {}): Promise<{ peer: NatpassPeer, url: string }> {
    const peer = await startPeer(t, port, {
      id: `laptop${++peers}`,
      page: '0',
      rules: [
        { name: 'nas-echo', target: 'nas', type: 'tcp', remotePort: echo },
        { name: 'nas-shell', target: 'nas', type: 'shell', exec: '/bin/sh', env: ['PS1=$ ', 'ENV=', 'LC_ALL=C.UTF-8'] },
        { name: LONG, target: 'nas', type: 'bench' },
        { name: 'taken', target: 'nas', type: 'tcp', remotePort: echo, localPort: echo }
      ],
      ...init
    })
    return { peer, url: String(peer.status().page?.url) }
  }

  async function open (t: Test, options: Parameters<typeof visit>[2] = {}) {
    const { peer, url } = await start(t)
    const { context, page } = await visit(t, browser, options)
    await page.goto(url)
    await says(page, `connected to 127.0.0.1:${port}`)
    return { peer, context, page }
  }

  t.test('rules, and what they carry', async (t) => {
    const { peer, page } = await open(t)
    t.same(await shown(page), ['nas-echo', 'nas-shell', LONG, 'taken'])
    t.equal(await page.locator('#rules').textContent(), '4')
    t.match(await cells(page, 'nas-echo'), { Target: 'nas', Type: 'tcp', Address: `tcp://127.0.0.1:${portOf(peer)}`, Links: '0', Received: '0 B0 packets', Sent: '0 B0 packets', Open: '' })
    t.match(await cells(page, 'taken'), { Address: /^-cannot listen: .*EADDRINUSE/ })
    const user = connect(portOf(peer), '127.0.0.1')
    t.teardown(() => { user.destroy() })
    await say(user, 5000)
    await holds(page, cellHolds('nas-echo', 'Sent', '4.9 KiB1 packet')) // by itself, after a while
    t.match(await cells(page, 'nas-echo'), { Links: /^1[0-9a-f]{16}: 4\.9 KiB \(\d+\) in, 4\.9 KiB \(1\) out$/, Received: /^4\.9 KiB\d packets?$/ })
    t.equal(await page.locator('#links').textContent(), '1')
    await say(user, 5000)
    await refresh(page)
    await holds(page, cellHolds('nas-echo', 'Sent', '9.8 KiB2 packets'))
    user.end()
    await once(user, 'close')
    await refresh(page)
    await holds(page, cellHolds('nas-echo', 'Links', '0'))
    t.match(await cells(page, 'nas-echo'), { Sent: '9.8 KiB2 packets' }, 'the counters of the rule stay')
  })

  t.test('by the keyboard alone: a rule is found, and its terminal used', async (t) => {
    const { context, page } = await open(t)
    await page.keyboard.press('Tab')
    t.equal(await focused(page), 'find')
    await page.keyboard.type('SHELL nas')
    t.same(await shown(page), ['nas-shell'])
    await page.keyboard.press('Tab')
    t.equal(await focused(page), 'type')
    await page.keyboard.press('Tab')
    t.equal(await focused(page), 'terminal of nas-shell, in a new window')
    await page.evaluate('globalThis.link = document.activeElement')
    await refresh(page)
    t.equal(await page.evaluate('document.activeElement === globalThis.link'), true, 'it stays there while the numbers change')
    t.ok(await outlineContrast(page) >= MARK, 'and is seen there')
    const [terminal] = await Promise.all([context.waitForEvent('page'), page.keyboard.press('Enter')])
    await holds(terminal, textOf('.xterm-rows', '$'))
    await terminal.keyboard.type('echo $((6 * 7)).\n')
    await holds(terminal, textOf('.xterm-rows', '42.'))
    t.equal(await terminal.evaluate('window.opener'), null)
    await refresh(page)
    await holds(page, "document.getElementById('sessions').textContent === '1'")
    t.match(await cells(page, 'nas-shell'), { Links: /^1/, Received: /^[1-9]\d* B/ })
  })

  t.test('filters', async (t) => {
    const { page } = await open(t)
    await page.locator('#type').selectOption('tcp')
    t.same(await shown(page), ['nas-echo', 'taken'])
    await page.locator('#find').fill('take')
    t.same(await shown(page), ['taken'])
    await refresh(page)
    t.same(await shown(page), ['taken'], 'also when the numbers change')
    await page.locator('#find').fill('nothing of that')
    t.same(await shown(page), [])
    t.equal(await page.locator('#none').textContent(), 'No rule fits.')
    await page.keyboard.press('Enter')
    t.equal(new URL(page.url()).search, '', 'Enter sends nothing')
    await page.locator('#find').fill('')
    await page.locator('#type').selectOption('')
    t.equal((await shown(page)).length, 4)
    t.equal(await page.locator('#none').isVisible(), false)
  })

  t.test('what was marked to be copied stays so while the numbers change', async (t) => {
    const { peer, page } = await open(t)
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('tr[data-rule=nas-echo] td[data-name=Address]'))")
    const user = connect(portOf(peer), '127.0.0.1')
    t.teardown(() => { user.destroy() })
    await say(user, 100)
    await refresh(page)
    await holds(page, cellHolds('nas-echo', 'Sent', '100 B1 packet'))
    t.equal(await page.evaluate('String(getSelection())'), `tcp://127.0.0.1:${portOf(peer)}`)
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    t.test(`${colorScheme}: text and the place of the keyboard are seen`, async (t) => {
      const { page } = await open(t, { colorScheme })
      const shade = Number(/\d+/.exec(await page.evaluate('getComputedStyle(document.body).backgroundColor') as string)?.[0])
      t.ok(colorScheme === 'light' ? shade > 200 : shade < 50)
      const { contrast, text, count } = await leastContrast(page)
      t.ok(contrast >= TEXT, `${contrast} of ${JSON.stringify(text)}`)
      t.ok(count > 30, `${count} texts`)
      for (const name of ['find', 'type', 'terminal of nas-shell, in a new window', `measurement of ${LONG}, in a new window`]) {
        await page.keyboard.press('Tab')
        t.equal(await focused(page), name)
        t.ok(await outlineContrast(page) >= MARK, name)
      }
    })

    t.test(`${colorScheme}: the login`, async (t) => {
      const { url } = await start(t, { pagePassword: 'open sesame' })
      const { context, page } = await visit(t, browser, { colorScheme, viewport: { width: 320, height: 568 } })
      await page.goto(url)
      const logIn = async (password: string): Promise<void> => {
        await page.locator('input:focus').waitFor()
        await page.keyboard.type(password)
        await page.keyboard.press('Enter')
      }
      await logIn('wrong')
      await page.getByRole('alert').getByText('This is not the password.').waitFor()
      t.ok(await fits(page))
      const { contrast, text } = await leastContrast(page)
      t.ok(contrast >= TEXT, `${contrast} of ${JSON.stringify(text)}`)
      t.ok(await outlineContrast(page) >= MARK)
      await logIn('open sesame')
      await says(page, `connected to 127.0.0.1:${port}`)
      t.equal((await shown(page)).length, 4)
      await context.clearCookies() // as of a peer that has started again
      await refresh(page)
      await page.locator('input[type=password]').waitFor()
    })
  }

  t.test('a phone', async (t) => {
    const { peer, page } = await open(t, { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true })
    const user = connect(portOf(peer), '127.0.0.1')
    t.teardown(() => { user.destroy() })
    await say(user, 5_000_000)
    await refresh(page)
    await holds(page, "document.getElementById('links').textContent === '1'")
    t.equal(await page.evaluate('innerWidth'), 320)
    t.ok(await fits(page), 'nothing is wider than the screen')
    for (const name of ['terminal of nas-shell, in a new window', `measurement of ${LONG}, in a new window`]) {
      const box = await page.getByRole('link', { name }).boundingBox()
      t.ok((box?.height ?? 0) >= 40 && (box?.width ?? 0) >= 40, `a finger finds it: ${box?.width} x ${box?.height}`)
    }
  })

  t.test('a peer that is gone, and a server that is', async (t) => {
    const { peer, page } = await open(t)
    await server.close()
    await holds(page, "/^not connected to 127\\.0\\.0\\.1:\\d+/.test(document.getElementById('state').textContent)")
    await peer.close()
    await refresh(page)
    await says(page, 'this peer does not answer')
    t.equal((await shown(page)).length, 4, 'what was known stays')
  })
})

async function listenEcho (t: Test): Promise<number> {
  const server = createServer((socket) => { socket.on('error', () => {}).pipe(socket) }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** So many bytes go there and come back. */
async function say (user: Socket, size: number): Promise<void> {
  user.write(Buffer.alloc(size))
  for (let heard = 0; heard < size;) heard += (await once(user, 'data'))[0].length
}

/** Has the page ask now, and waits for the answer. */
async function refresh (page: Page): Promise<void> {
  const asked = page.waitForEvent('requestfinished', (request) => request.url().endsWith('/api/status')).catch(() => {})
  const failed = page.waitForEvent('requestfailed', (request) => request.url().endsWith('/api/status')).catch(() => {})
  await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
  await Promise.race([asked, failed])
}

const shown = async (page: Page): Promise<string[]> => await page.locator('tbody th').allTextContents()

/** Of the row of a rule, by the name of the column. */
const cells = async (page: Page, rule: string): Promise<Record<string, string>> =>
  Object.fromEntries(await page.evaluate(`[...document.querySelectorAll('tr[data-rule="${rule}"] td')].map((cell) => [cell.dataset.name, cell.textContent])`) as Array<[string, string]>)

const cellHolds = (rule: string, name: string, text: string): string => `document.querySelector('tr[data-rule="${rule}"] td[data-name="${name}"]').textContent === ${JSON.stringify(text)}`

const textOf = (selector: string, text: string): string => `document.querySelector('${selector}')?.textContent.includes(${JSON.stringify(text)})`

/** What has the keyboard: by its id, or what it is called. */
const focused = async (page: Page): Promise<unknown> => await page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')")

const fits = async (page: Page): Promise<boolean> => await page.evaluate('document.documentElement.scrollWidth <= innerWidth') as boolean
