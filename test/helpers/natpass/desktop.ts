/** Pages of desktops in tests, and desktops that a test plays. */
import { once } from 'node:events'
import type { Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'
import { ManualClock } from '../clock.ts'
import { ask, BrowserSocket, refused, type Answer } from './page.ts'
import { PlayedEnd } from './played-end.ts'
import { serveDesktopPage, type DesktopPage, type DesktopPageInit } from '../../../src/nodes/natpass/peer/page/desktop-server.ts'
import type { DesktopChoice } from '../../../src/nodes/natpass/peer/page/page-desktop.ts'
import { MessageType } from '../../../src/nodes/natpass/protocol/message-types.ts'
import type { MessageInit } from '../../../src/nodes/natpass/protocol/messages.ts'

/** The other end of a desktop. */
export class PlayedDesktop extends PlayedEnd {
  readonly choice: DesktopChoice
  isGone = false

  constructor (id: string, choice: DesktopChoice, halfClose: boolean) {
    super(id, halfClose)
    this.choice = choice
  }
}

export const picture = (x: number, y: number, fill = 7, screen: [number, number] = [640, 480]): MessageInit =>
  ({ _type: MessageType.vncImage, vimg: { _info: { screen_width: screen[0], screen_height: screen[1], rect_x: x, rect_y: y, rect_width: 64, rect_height: 64 }, encode: 0, data: new Uint8Array(64 * 64 * 4).fill(fill) } })

export interface TestDesktopPage {
  page: DesktopPage
  clock: ManualClock
  /** The desktops that were opened. */
  opened: PlayedDesktop[]
  ask (method: string, path: string, headers?: Record<string, string>, body?: string): Promise<Answer>
  /** Opens a desktop, and a WebSocket for it. */
  open (query?: string): Promise<{ desktop: PlayedDesktop, browser: DesktopBrowser }>
  attach (id: string, options?: ClientOptions): Promise<DesktopBrowser>
  /** The status of a refused upgrade. */
  refused (path: string, options?: ClientOptions): Promise<number>
}

export async function testDesktopPage (t: Test, { halfClose = true, ...init }: Partial<DesktopPageInit> & { halfClose?: boolean } = {}): Promise<TestDesktopPage> {
  const clock = new ManualClock()
  const opened: PlayedDesktop[] = []
  const page = await serveDesktopPage({
    host: '127.0.0.1',
    port: 0,
    name: 'my <desktop>',
    clock,
    async openDesktop (choice) {
      const desktop = new PlayedDesktop(`id${opened.length}`, choice, halfClose)
      opened.push(desktop)
      return { link: desktop.link, onGone: () => { desktop.isGone = true } }
    },
    ...init
  })
  t.teardown(() => page.close())
  const url = page.url.replace('http', 'ws')
  const attach = async (id: string, options?: ClientOptions): Promise<DesktopBrowser> => {
    const browser = new DesktopBrowser(new WebSocket(`${url}/ws/${id}`, options))
    t.teardown(() => { browser.raw.terminate() })
    await once(browser.raw, 'open')
    return browser
  }
  const send: TestDesktopPage['ask'] = (method, path, headers = {}, body = '') => ask(page.url, method, path, headers, body)
  return {
    page,
    clock,
    opened,
    ask: send,
    attach,
    async open (query = '') {
      const { body } = await send('POST', `/new${query}`)
      const browser = await attach(body)
      return { desktop: opened[opened.length - 1], browser }
    },
    refused: (path, options) => refused(url + path, options)
  }
}

/** What the page of a desktop would see. */
export class DesktopBrowser extends BrowserSocket {
  readonly frames: Buffer[] = []

  protected take (bytes: Buffer): void { this.frames.push(bytes) }

  do (action: string, payload?: object): void { this.raw.send(JSON.stringify({ action, payload })) }
}
