/** Pages of shells in tests, and requests that no browser would send. */
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'
import { ManualClock } from '../clock.ts'
import { serveShellPage, type ShellPage, type ShellPageInit } from '../../../src/nodes/natpass/peer/page/page-server.ts'
import type { OpenedShell } from '../../../src/nodes/natpass/peer/page/page-shell.ts'
import type { ShellExit } from '../../../src/nodes/natpass/protocol/link-codec.ts'
import { verifySize } from '../../../src/nodes/natpass/peer/shell/terminal-size.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import type { Link } from '../../../src/types.ts'

/** A shell that the test plays. */
export interface PlayedShell extends OpenedShell {
  /** Where the test reads input and writes output. */
  readonly end: Link
  readonly sizes: string[]
  exit (exit: ShellExit): void
}

export function playedShell (id: string): PlayedShell {
  const [link, end] = memoryPair()
  const sizes: string[] = []
  let exit: (exit: ShellExit) => void = () => {}
  const exited = new Promise<ShellExit>((resolve) => { exit = resolve })
  return {
    id,
    link,
    end,
    sizes,
    exited,
    exit,
    resize (rows, cols) {
      verifySize(rows, cols)
      sizes.push(`${rows}x${cols}`)
    }
  }
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

export interface TestPage {
  page: ShellPage
  clock: ManualClock
  /** The shells that were opened. */
  opened: PlayedShell[]
  /** Those that they were opened with. */
  signals: AbortSignal[]
  ask (method: string, path: string, headers?: Record<string, string>, body?: string): Promise<Answer>
  /** A WebSocket that is open. */
  attach (path: string, options?: ClientOptions): Promise<PageSocket>
  /** The status of a refused upgrade. */
  refused (path: string, options?: ClientOptions): Promise<number>
}

export async function testPage (t: Test, init: Partial<ShellPageInit> = {}): Promise<TestPage> {
  const clock = new ManualClock()
  const opened: PlayedShell[] = []
  const signals: AbortSignal[] = []
  const page = await serveShellPage({
    host: '127.0.0.1',
    port: 0,
    name: 'my <shell>',
    clock,
    async openShell (signal) {
      signals.push(signal)
      const shell = playedShell(`id${opened.length}`)
      opened.push(shell)
      return shell
    },
    ...init
  })
  t.teardown(() => page.close())
  const url = page.url.replace('http', 'ws')
  return {
    page,
    clock,
    opened,
    signals,
    ask: (method, path, headers = {}, body = '') => ask(page.url, method, path, headers, body),
    async attach (path, options) {
      const socket = new PageSocket(new WebSocket(url + path, options))
      t.teardown(() => { socket.raw.terminate() })
      await once(socket.raw, 'open')
      return socket
    },
    refused: (path, options) => refused(url + path, options)
  }
}

/** The status by which a WebSocket is refused. */
export async function refused (url: string, options?: ClientOptions): Promise<number> {
  const socket = new WebSocket(url, options)
  const [, { statusCode }] = await once(socket, 'unexpected-response')
  socket.on('error', () => {})
  socket.terminate()
  return statusCode
}

export async function ask (url: string, method: string, path: string, headers: Record<string, string>, body: string): Promise<Answer> {
  const request = httpRequest(url, { method, path, headers: { ...(body === '' || 'transfer-encoding' in headers ? {} : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(Buffer.byteLength(body)) }), ...headers }, agent: false })
  request.on('error', () => {}) // of a body that is refused
  request.end(body)
  const [response] = await once(request, 'response')
  const all: Buffer[] = []
  try {
    for await (const bytes of response) all.push(bytes)
  } catch {
    // closed behind the answer
  }
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(all).toString() }
}

/** What a page would see. */
export abstract class BrowserSocket {
  readonly raw: WebSocket
  /** Messages of text, as JSON. */
  readonly told: Array<Record<string, unknown>> = []
  readonly closed: Promise<number>
  #wake: () => void = () => {}

  constructor (raw: WebSocket) {
    this.raw = raw
    this.closed = once(raw, 'close').then(([code]) => code)
    raw.on('message', (bytes: Buffer, isBinary) => {
      if (isBinary) this.take(bytes)
      else this.told.push(JSON.parse(bytes.toString()))
      this.#wake()
    })
  }

  /** A binary message. */
  protected abstract take (bytes: Buffer): void

  async until (condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => { this.#wake = resolve })
  }
}

export class PageSocket extends BrowserSocket {
  /** Output so far. */
  output = ''

  protected take (bytes: Buffer): void { this.output += bytes.toString() }
}
