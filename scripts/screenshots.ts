/**
 * Makes the pictures of `docs/images`: real programs on this machine, in Chromium. Run it with `npm run build && node --import tsx
 * scripts/screenshots.ts`; it needs Chromium, Xvfb, xterm and xsetroot.
 */
import { once } from 'node:events'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BrowserContextOptions, Page } from 'playwright-core'
import t from 'tap'
import { holds, launchChromium, says } from '../test/helpers/chromium.ts'
import { startRelay } from '../test/helpers/natpass/servers.ts'
import { SECRET } from '../test/helpers/natpass/client.ts'
import { newHome } from '../test/helpers/programs/homes.ts'
import { startCommand, startProgram } from '../test/helpers/programs/program.ts'
import { startX } from '../test/helpers/x11.ts'

/** Bytes of a picture at most. */
const LIMIT = 80_000

const images = fileURLToPath(new URL('../docs/images/', import.meta.url))
const home = newHome()
mkdirSync(images, { recursive: true })

t.setTimeout(120_000)

t.test('screenshots', async (t) => {
  const relay = await startRelay(t)
  const x = await startX(t, { size: '800x500' })
  await startCommand(t, 'xsetroot', ['-solid', '#35506b'], { env: x.env }).ended
  startCommand(t, 'xterm', ['-geometry', '70x18+30+30', '-fa', 'DejaVu Sans Mono', '-fs', '11', '-bg', '#fdf6e3', '-fg', '#333333', '-T', 'nas', '-e', 'sh', '-c', 'PS1="nas$ " ENV= exec sh'], { env: { ...x.env, HOME: home } })
  const secret = join(home, 'natpass.secret')
  writeFileSync(secret, SECRET)
  const echo = createServer((socket) => { socket.on('error', () => {}).pipe(socket) }).listen(0, '127.0.0.1')
  t.teardown(() => { echo.close() })
  await once(echo, 'listening')
  const file = join(home, 'laptop.yaml')
  writeFileSync(file, `natpass:
  rules:
    - { name: nas-shell, target: nas, type: shell, local_port: 8022, exec: /bin/sh, env: ["PS1=nas$ ", "ENV="] }
    - { name: nas-desk, target: nas, type: vnc, local_port: 8023 }
    - { name: nas-web, target: nas, type: tcp, local_port: 8088, remote_port: ${(echo.address() as AddressInfo).port} }
    - { name: nas-code, target: nas, type: code-server, local_port: 8024 }
`)
  const start = (args: string[], env: Record<string, string>): ReturnType<typeof startProgram> =>
    startProgram(t, 'peer', ['natpass', '--server', `127.0.0.1:${relay.port}`, '--secret-file', secret, '--control', 'none', ...args], { env: { HOME: home, ...env }, cwd: home })
  const nas = start(['--id', 'nas', '--allow', 'shell,vnc,tcp,code'], x.env)
  const laptop = start(['--id', 'laptop', '--config', file, '--page', '8080'], {})
  for (const peer of [nas, laptop]) await peer.find(new RegExp(`^ready natpass tcp://127\\.0\\.0\\.1:${relay.port}$`, 'm'))
  const user = connect(8088, '127.0.0.1')
  t.teardown(() => { user.destroy() })
  user.write(Buffer.alloc(300_000))
  for (let heard = 0; heard < 300_000;) heard += (await once(user, 'data'))[0].length

  const browser = await launchChromium()
  t.teardown(() => browser.close())
  const visit = async (port: number, options: BrowserContextOptions): Promise<Page> => {
    const page = await (await browser.newContext(options)).newPage()
    await page.goto(`http://127.0.0.1:${port}`)
    return page
  }
  const take = async (page: Page, name: string): Promise<void> => {
    const path = join(images, `natpass-${name}.png`)
    await page.screenshot({ path, animations: 'disabled' })
    const { size } = statSync(path)
    t.ok(size < LIMIT, `${name}: ${size} bytes`)
  }

  const terminal = await visit(8022, { viewport: { width: 800, height: 300 } })
  await holds(terminal, 'document.querySelector(".xterm-rows")?.textContent.includes("nas$")')
  await terminal.keyboard.type('echo "hello from $((40 + 2)) miles away"; seq 3\n')
  await holds(terminal, 'document.querySelector(".xterm-rows").textContent.includes("hello from 42")')
  await take(terminal, 'terminal')

  const desktop = await visit(8023, { viewport: { width: 1040, height: 600 }, colorScheme: 'light' })
  await says(desktop, '')
  const box = await desktop.locator('#screen').boundingBox()
  if (box === null) throw new Error('no screen')
  await desktop.mouse.click(box.x + 200, box.y + 200)
  await desktop.keyboard.type('echo "typed in a browser"\n')
  await holds(desktop, '/^[1-9]\\d* fps/.test(document.getElementById("rate").textContent)')
  await take(desktop, 'desktop')

  for (const colorScheme of ['light', 'dark'] as const) {
    const overview = await visit(8080, { viewport: { width: 1040, height: 640 }, colorScheme })
    await holds(overview, 'document.getElementById("links").textContent === "3"')
    await holds(overview, '/^connected/.test(document.getElementById("state").textContent)')
    await overview.evaluate('document.getElementById("state").textContent = "connected to 192.0.2.7:6154"') // its own port is another one each time
    await take(overview, `overview-${colorScheme}`)
  }
  const phone = await visit(8080, { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true, colorScheme: 'light' })
  await holds(phone, 'document.getElementById("links").textContent === "3"')
  await phone.evaluate('document.getElementById("state").textContent = "connected to 192.0.2.7:6154"')
  await take(phone, 'overview-phone')
})
