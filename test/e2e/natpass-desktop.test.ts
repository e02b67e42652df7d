/**
 * A desktop from end to end: a browser, the program that serves its page, a relay, the program at the other end with its own process for the
 * screen, a real X server, and programs in it that say what they get.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { holds, launchChromium, says, skipWithoutChromium, visit } from '../helpers/chromium.ts'
import { freePort } from '../helpers/free-ports.ts'
import { readFramebuffer } from '../helpers/framebuffer.ts'
import { SECRET } from '../helpers/natpass/client.ts'
import { startRelay } from '../helpers/natpass/servers.ts'
import { newHome } from '../helpers/programs/homes.ts'
import { startCommand, startProgram, type Program } from '../helpers/programs/program.ts'
import { skipWithoutX11, startX, type XServer } from '../helpers/x11.ts'

t.setTimeout(110_000)

const [WIDTH, HEIGHT] = [640, 480]

/** A terminal on the left, in the colours of nothing else; what is typed there paints the whole of it, and is written to a file. */
const TERMINAL = ['-geometry', '40x20+0+0', '-bw', '0', '+sb', '-bg', '#102030', '-fg', '#f0e0d0', '-e', 'sh', '-c', 'read -r line; printf "\\033[48;2;200;100;50m\\033[2J"; echo "$line"; exec sleep 1000']

/** A window on the right that tells its events. */
const EVENTS = ['-geometry', '300x480+340+0', '-bw', '0']

interface Setup {
  page: Page
  x: XServer
  /** Where the X server keeps its screen. */
  folder: string
  /** Ends it with all connections, and starts another one in its place. */
  restartRelay (): Promise<void>
  /** A pixel of the desktop in the page. */
  at (x: number, y: number): [number, number]
}

async function startPeer (t: Test, args: string[], env: Record<string, string> = {}): Promise<Program> {
  const secret = join(newHome(), 'secret')
  writeFileSync(secret, SECRET)
  return startProgram(t, 'peer', ['natpass', ...args, '--secret-file', secret, '--control', 'none'], { env })
}

async function setUp (t: Test): Promise<Setup> {
  const folder = newHome()
  const port = await freePort()
  const relay = `127.0.0.1:${port}`
  const [x, { program: former }] = await Promise.all([startX(t, { size: `${WIDTH}x${HEIGHT}`, args: ['-fbdir', folder, '-nocursor'] }), startRelay(t, relay)])
  const server = ['--server', relay]
  const file = join(newHome(), 'laptop.yaml')
  writeFileSync(file, 'natpass:\n  rules:\n    - { name: my desk, target: nas, type: vnc, fps: 30 }\n')
  const [nas, laptop, browser] = await Promise.all([startPeer(t, [...server, '--id', 'nas', '--allow', 'vnc@laptop'], x.env), startPeer(t, [...server, '--id', 'laptop', '--config', file]), launchChromium()])
  t.teardown(() => browser.close())
  const online = /^ready natpass tcp:/m
  const [[, url]] = await Promise.all([laptop.find(/^ready natpass (http:\S+)$/m), laptop.find(online), nas.find(online)])
  const { page } = await visit(t, browser, { viewport: { width: 1000, height: 700 } })
  await page.goto(url)
  await holds(page, `document.getElementById('screen').width === ${WIDTH}`)
  await says(page, '')
  const box = await page.locator('#screen').boundingBox()
  if (box === null) throw new Error('no screen')
  const restartRelay = async (): Promise<void> => {
    former.signal('SIGKILL')
    await former.ended
    await startRelay(t, relay)
  }
  return { page, x, folder, restartRelay, at: (x, y) => [box.x + (x + 0.5) * box.width / WIDTH, box.y + (y + 0.5) * box.height / HEIGHT] }
}

/** Waits until the page shows a colour there, as red, green and blue. */
const shows = (page: Page, x: number, y: number, colour: string): Promise<void> =>
  holds(page, `document.getElementById('screen').getContext('2d').getImageData(${x}, ${y}, 1, 1).data.slice(0, 3).join() === '${colour}'`)

/** What the page shows, as the X server keeps it. */
async function pictureOf (page: Page): Promise<Buffer> {
  const text = await page.evaluate(`(() => {
    const { data } = document.getElementById('screen').getContext('2d').getImageData(0, 0, ${WIDTH}, ${HEIGHT})
    let text = ''
    for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at], data[at + 1], data[at + 2])
    return btoa(text)
  })()`)
  return Buffer.from(text as string, 'base64')
}

/** Waits until the picture in the page is that of the X server, byte by byte. */
async function showsAll (page: Page, folder: string): Promise<void> {
  while (!(await pictureOf(page)).equals(readFramebuffer(folder))) await page.evaluate('new Promise(requestAnimationFrame)')
}

/** The largest difference of a channel, on average over each 8 × 8 pixels, which is what JPEG cannot hide. */
function difference (one: Buffer, other: Buffer): number {
  let largest = 0
  for (let y = 0; y < HEIGHT; y += 8) {
    for (let x = 0; x < WIDTH; x += 8) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0
        for (let row = y; row < y + 8; row++) {
          for (let column = x; column < x + 8; column++) {
            const at = (row * WIDTH + column) * 3 + channel
            sum += one[at] - other[at]
          }
        }
        largest = Math.max(largest, Math.abs(sum) / 64)
      }
    }
  }
  return largest
}

t.test('a browser uses a desktop', { skip: skipWithoutChromium !== false ? skipWithoutChromium : skipWithoutX11 }, async (t) => {
  const { page, x, folder, restartRelay, at } = await setUp(t)
  startCommand(t, 'xterm', TERMINAL, { env: x.env })
  const events = startCommand(t, 'xev', EVENTS, { env: x.env })
  await events.find(/Expose event/)

  t.test('its picture', async (t) => {
    await page.locator('#quality').selectOption('100')
    await shows(page, 5, 200, '16,32,48')
    await showsAll(page, folder)
    t.pass('each pixel is that of the X server')
    await page.locator('#quality').selectOption('90')
    for (;;) {
      const [here, there] = [await pictureOf(page), readFramebuffer(folder)]
      if (!here.equals(there) && difference(here, there) < 8) break
      await page.evaluate('new Promise(requestAnimationFrame)')
    }
    t.pass('then a compressed one, which is much like it')
  })

  t.test('pointer and wheel', async (t) => {
    const [left, right] = [at(440, 200), at(500, 300)]
    await page.mouse.move(...left)
    await events.find(/MotionNotify event[^]*?root:\(440,200\)/)
    await page.mouse.click(...left)
    await events.find(/ButtonPress event[^]*?root:\(440,200\)[^]*?button 1,[^]*ButtonRelease event[^]*?button 1,/)
    await page.mouse.click(...right, { button: 'right' })
    await events.find(/ButtonPress event[^]*?root:\(500,300\)[^]*?button 3,/)
    await page.mouse.wheel(0, 100)
    await events.find(/ButtonPress event[^]*?button 5,/)
    await page.mouse.wheel(0, -100)
    await events.find(/ButtonPress event[^]*?button 4,/)
    t.pass('arrive in the window below')
  })

  t.test('keys', async (t) => {
    await page.keyboard.press('F5')
    await page.keyboard.press('Shift+A')
    await page.keyboard.press('Control+c')
    const keys = await page.context().newCDPSession(page)
    for (const type of ['keyDown', 'keyUp'] as const) await keys.send('Input.dispatchKeyEvent', { type, key: 'é', code: 'Digit2', text: type === 'keyDown' ? 'é' : '' })
    await events.find(/KeyPress event[^]*?keysym 0xffc2, F5\)[^]*KeyRelease event[^]*?F5\)[^]*keysym 0x41, A\)[^]*state 0x4,[^]*?keysym 0x63, c\)[^]*eacute\)/)
    t.pass('arrive in order, also one that the keyboard there does not have')
  })

  t.test('what is typed into a program changes the picture', async (t) => {
    await page.locator('#quality').selectOption('100')
    await page.mouse.click(...at(100, 100))
    await page.keyboard.type('Hello, "nas" - ~$|?\n')
    await shows(page, 100, 250, '200,100,50')
    await showsAll(page, folder)
    t.pass('each pixel is that of the X server')
  })

  t.test('the clipboard, both ways', async (t) => {
    const text = 'of the desktop: é € 😀'
    const owner = startCommand(t, 'xclip', ['-selection', 'clipboard', '-quiet'], { env: x.env, stdin: 'pipe' })
    owner.child.stdin?.end(text)
    await owner.find(/Waiting for selection requests/, 'stderr')
    await page.getByRole('button', { name: 'Clipboard' }).click()
    await page.getByRole('button', { name: 'Get it' }).click()
    await holds(page, `document.getElementById('clipboard-text').value === ${JSON.stringify(text)}`)
    await page.locator('#clipboard-text').fill('of this side: ñ')
    await page.getByRole('button', { name: 'Send it' }).click()
    await holds(page, "document.getElementById('clipboard-state').textContent === 'The desktop has it.'")
    t.equal((await startCommand(t, 'xclip', ['-selection', 'clipboard', '-o'], { env: x.env }).ended).stdout, 'of this side: ñ')
  })

  t.test('the relay starts again', async (t) => {
    await page.evaluate(`{
      const state = document.getElementById('state')
      globalThis.said = new Promise((resolve) => {
        new MutationObserver((_records, observer) => {
          if (!/ Trying again in \\d+ seconds?\\.$/.test(state.textContent)) return
          observer.disconnect()
          resolve()
        }).observe(state, { childList: true })
      })
      undefined // else that would be waited for here
    }`)
    await restartRelay()
    await page.evaluate('globalThis.said')
    await says(page, '')
    await showsAll(page, folder)
    t.pass('the desktop is lost, and back by itself')
  })

  t.test('the X server ends', async (t) => {
    x.process.kill()
    await holds(page, "/^The desktop is gone/.test(document.getElementById('state').textContent)")
    t.pass('and the page says so')
  })
})
