/** Pages of code-server in tests, whose other end a test plays. */
import type { Test } from 'tap'
import type { ClientOptions } from 'ws'
import { ManualClock } from '../clock.ts'
import { ask, refused, type Answer } from './page.ts'
import { PlayedEnd } from './played-end.ts'
import { serveCodePage, type CodePage, type CodePageInit } from '../../../src/nodes/natpass/peer/page/code-page.ts'
import type { MuxLink } from '../../../src/transforms/link-mux/index.ts'

export interface TestCodePage {
  page: CodePage
  clock: ManualClock
  /** The other ends of the links that were opened. */
  opened: PlayedEnd[]
  ask (method: string, path: string, headers?: Record<string, string>, body?: string): Promise<Answer>
  /** Opens a link. Returns its cookie. */
  open (headers?: Record<string, string>): Promise<string>
  /** The status of a refused upgrade. */
  refused (path: string, options?: ClientOptions): Promise<number>
}

/** A page of the rule `ide`. */
export async function testCodePage (t: Test, { halfClose = true, ...init }: Partial<CodePageInit> & { halfClose?: boolean } = {}): Promise<TestCodePage> {
  const clock = new ManualClock()
  const opened: PlayedEnd[] = []
  const page = await serveCodePage({
    host: '127.0.0.1',
    port: 0,
    name: 'ide',
    clock,
    async openCode () {
      const end = new PlayedEnd(`id${opened.length}`, halfClose)
      opened.push(end)
      return end.link as MuxLink
    },
    ...init
  })
  t.teardown(() => page.close())
  const send: TestCodePage['ask'] = (method, path, headers = {}, body = '') => ask(page.url, method, path, headers, body)
  return {
    page,
    clock,
    opened,
    ask: send,
    async open (headers) {
      const { headers: { 'set-cookie': [set] = [''] } } = await send('GET', '/forward/ide/', headers)
      return set.split(';')[0]
    },
    refused: (path, options) => refused(page.url.replace('http', 'ws') + path, options)
  }
}
