/** A shell by the page of a running peer, as a browser has it (natpass protocol, section 4.2). */
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { WebSocket } from 'ws'
import { BACK, LOST, notOpened, ShellConnectionError, type ShellConnection } from './connection.ts'
import type { ShellExit } from '../../../nodes/natpass/index.ts'
import { CLOSED } from '../../../nodes/natpass/peer/page/page-shell.ts'
import type { TerminalSize } from '../../../nodes/natpass/peer/shell/terminal-size.ts'
import { AsyncQueue } from '../../../streams/async-queue.ts'
import { systemClock, wait } from '../../../streams/clock.ts'
import { oneLine, printable, reasonOf } from '../../../text/printable.ts'
import type { Batch, Clock } from '../../../types.ts'

/** Milliseconds for an answer; the page itself gives up on a shell before. */
const ANSWER_TIMEOUT = 15_000

/** Milliseconds between two attempts to attach again, and for all of them: so long the shell stays. */
const RETRY = 500
const KEEP = 30_000

/** Milliseconds for the end of the connection. */
const CLOSE_TIMEOUT = 1000

/** Bytes of output that wait for the terminal; beyond it no more is read. */
const OUTPUT_QUEUE = 1 << 20

/** Bytes of a message: the largest that a page sends, and those of ours. */
const MAX_MESSAGE = 1 << 20
const PIECE = 16 * 1024

/** Bytes of an answer, and of a text in it that is shown. */
const MAX_ANSWER = 64 * 1024
const MAX_TEXT = 300

export interface PageClientInit {
  /** Of the page. */
  readonly url: string
  /** Of the rule. */
  readonly target: string
  readonly password: string | undefined
  /** Tells the user that the connection is lost, or that it is back. */
  say (text: string): void
  readonly clock?: Clock
}

/** Opens a shell. @throws {ShellConnectionError} */
export async function openPageShell (init: PageClientInit): Promise<PageClient> {
  const page = new Page(init.url, init.password)
  const { status, text } = await page.post('/new')
  if (status !== 200 || !/^[\w-]{1,64}$/.test(text)) throw status === 502 ? notOpened(init.target, new Error(text)) : new ShellConnectionError(status === 200 ? `no page of a shell is at ${init.url}` : text)
  return new PageClient(page, text, init)
}

export class PageClient implements ShellConnection {
  readonly link: ShellConnection['link']
  readonly exited: Promise<ShellExit>
  readonly #page: Page
  readonly #id: string
  readonly #clock: Clock
  readonly #say: PageClientInit['say']
  readonly #output: AsyncQueue
  readonly #over: AbortController
  /** Settles when the last connection has ended. */
  readonly #done: Promise<void>
  #settle: (exit: ShellExit) => void = () => {}
  #socket: WebSocket | undefined
  /** Input that waits for a connection. */
  #onAttached: (() => void) | undefined
  /** Bytes of output so far. */
  #position = 0
  #size: TerminalSize | undefined
  #isTellingSize = false

  constructor (page: Page, id: string, { say, clock = systemClock }: PageClientInit) {
    this.#page = page
    this.#over = page.over
    this.#id = id
    this.#clock = clock
    this.#say = say
    this.exited = new Promise((resolve) => { this.#settle = resolve })
    const output = this.#output = new AsyncQueue({ weigh: ({ length }) => length, onPull: () => { this.#socket?.resume() } })
    this.link = { source: output, sink: (source) => this.#send(source), abort: (err) => { this.#end(err) } }
    this.#done = this.#run()
  }

  resize (rows: number, cols: number): void {
    this.#size = { rows, cols }
    if (!this.#isTellingSize) void this.#tellSize()
  }

  /** Settles when the page knows that the shell was left. */
  async close (): Promise<void> {
    this.#end(new ShellConnectionError('the shell was left'))
    const timer = this.#clock.set(CLOSE_TIMEOUT, () => { this.#socket?.terminate() }) // the peer does not answer
    await this.#done
    this.#clock.clear(timer)
  }

  async #run (): Promise<void> {
    let since = this.#clock.now()
    for (let isLost = false; !this.#over.signal.aborted; isLost = true) {
      try {
        if (isLost) await this.#find()
        const code = await this.#attach(() => { if (isLost) this.#say(BACK) })
        if (code === CLOSED.elsewhere) throw new ShellConnectionError('the shell was opened elsewhere')
        if (code === CLOSED.goingAway) throw new ShellConnectionError('the peer has ended')
        if (this.#over.signal.aborted) return
        since = this.#clock.now()
        this.#say('the connection to the peer is lost, trying again')
      } catch (err) {
        if (err instanceof ShellConnectionError && !(err instanceof NoAnswerError)) return this.#end(err)
        if (this.#clock.now() - since >= KEEP) return this.#end(new ShellConnectionError(`the connection to the peer is lost: ${reasonOf(err as Error)}`))
      }
      await wait(this.#clock, RETRY, { signal: this.#over.signal }).catch(() => {})
    }
  }

  /** The shell may be there still; it gets the size that the terminal has now. */
  async #find (): Promise<void> {
    const { status, text } = await this.#postSize()
    if (status === 404) throw new ShellConnectionError('the shell is gone: the connection to the peer was lost')
    if (status !== 200 && status !== 400) throw new ShellConnectionError(text) // 400: the size is not known
  }

  /** Settles with the close code, once the connection has ended. Rejects when there is none. */
  async #attach (onAttached: () => void): Promise<number> {
    const { url, cookie } = this.#page
    const headers = cookie === undefined ? {} : { cookie }
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws/${this.#id}?from=${this.#position}`, { headers, perMessageDeflate: false, maxPayload: MAX_MESSAGE, handshakeTimeout: ANSWER_TIMEOUT })
    this.#socket = socket
    let failure: Error | undefined
    socket.on('error', (err) => { failure = err })
    socket.on('open', () => {
      onAttached()
      this.#onAttached?.()
    })
    socket.on('message', (bytes: Buffer, isBinary) => {
      if (isBinary) this.#take(socket, bytes)
      else this.#told(bytes.toString())
    })
    const [code, wasOpen] = await new Promise<[number, boolean]>((resolve) => {
      let isOpen = false
      socket.on('open', () => { isOpen = true })
      socket.on('close', (code) => { resolve([code, isOpen]) })
    })
    if (!wasOpen) throw failure ?? new Error('no WebSocket')
    return code
  }

  #take (socket: WebSocket, bytes: Buffer): void {
    this.#position += bytes.length
    this.#output.push(bytes)
    if (this.#output.size > OUTPUT_QUEUE) socket.pause()
  }

  #told (text: string): void {
    const { type, position, replay, lost, code, signal, reason } = parse(text)
    if (type === 'attached') {
      this.#position = Number(position) - Number(replay)
      if (Number(lost) > 0) this.#say(`${Number(lost)} bytes of output are not kept`)
    } else if (type === 'waiting' || type === 'back') {
      this.#say(type === 'back' ? BACK : LOST)
    } else if (type === 'exit') {
      this.#settle({ code: typeof code === 'number' ? code : undefined, signal: typeof signal === 'number' ? signal : undefined })
      this.#end()
    } else if (type === 'lost') {
      this.#end(new ShellConnectionError(`connection lost: ${printable(String(reason), MAX_TEXT)}`))
    }
  }

  async #send (source: AsyncIterable<Batch>): Promise<void> {
    for await (const batch of source) {
      for (const bytes of batch) {
        for (let at = 0; at < bytes.length; at += PIECE) await this.#sendPiece(bytes.subarray(at, at + PIECE))
      }
    }
  }

  /** Settles when it is written; what was under way with a connection that is lost is lost as well. */
  async #sendPiece (bytes: Uint8Array): Promise<void> {
    while (this.#socket?.readyState !== WebSocket.OPEN) {
      this.#over.signal.throwIfAborted()
      await new Promise<void>((resolve) => { this.#onAttached = resolve })
    }
    const socket = this.#socket
    await new Promise<void>((resolve) => { socket.send(bytes, () => { resolve() }) })
  }

  /** One request after the other, so that the last one has the last size. */
  async #tellSize (): Promise<void> {
    this.#isTellingSize = true
    let told: TerminalSize | undefined
    try {
      while (told !== this.#size) {
        told = this.#size
        await this.#postSize()
      }
    } catch {
      // the size is told again with the next connection
    }
    this.#isTellingSize = false
  }

  #postSize (): Promise<Answer> { return this.#page.post('/resize', { id: this.#id, rows: String(this.#size?.rows ?? 0), cols: String(this.#size?.cols ?? 0) }) }

  /** Nothing more comes, by this error or because the program has ended. */
  #end (err?: Error): void {
    if (this.#over.signal.aborted) return
    this.#over.abort(err ?? new ShellConnectionError('the shell has ended'))
    if (err === undefined) this.#output.end()
    else this.#output.fail(err)
    this.#onAttached?.()
    this.#socket?.resume() // its end is not read otherwise
    this.#socket?.close(CLOSED.left)
  }
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** One line that can be shown. */
  readonly text: string
}

/** Nobody is there, as opposed to an answer that says no. */
class NoAnswerError extends ShellConnectionError {}

/** Requests to a page; logs in where the page asks for its password. */
class Page {
  readonly url: string
  /** Ends all requests. */
  readonly over = new AbortController()
  cookie: string | undefined
  readonly #password: string | undefined

  constructor (url: string, password: string | undefined) {
    this.url = url
    this.#password = password
  }

  /** @throws {ShellConnectionError} when nobody answers, or the password is missing or wrong */
  async post (path: string, form: Record<string, string> = {}): Promise<Answer> {
    const answer = await this.#ask(path, form)
    if (answer.status !== 401) return answer
    await this.#logIn()
    return await this.#ask(path, form)
  }

  async #logIn (): Promise<void> {
    if (this.#password === undefined) throw new ShellConnectionError('the page of this rule has a password, expected --page-password-file or TUNPIPE_PAGE_PASSWORD')
    const { status, headers, text } = await this.#ask('/login', { password: this.#password })
    if (status === 303) this.cookie = headers['set-cookie']?.[0]?.split(';')[0]
    else if (status === 403) throw new ShellConnectionError('the password of the page is another one (--page-password-file)')
    else throw new ShellConnectionError(status === 429 ? 'too many wrong passwords were sent to the page: wait a minute' : text)
  }

  /** Not by `fetch`, which knows ports that it does not connect to. */
  async #ask (path: string, form: Record<string, string>): Promise<Answer> {
    const body = new URLSearchParams(form).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(body.length), ...(this.cookie === undefined ? {} : { cookie: this.cookie }) }
    try {
      const request = httpRequest(this.url + path, { method: 'POST', agent: false, headers, signal: AbortSignal.any([this.over.signal, AbortSignal.timeout(ANSWER_TIMEOUT)]) })
      request.end(body)
      const [response] = await once(request, 'response')
      let text = ''
      for await (const bytes of response) if (text.length < MAX_ANSWER) text += String(bytes)
      return { status: response.statusCode, headers: response.headers, text: printable(oneLine(text.trim()), MAX_TEXT) }
    } catch (err) {
      throw new NoAnswerError(`the peer does not answer at ${this.url}: ${reasonOf(err as Error)}`, { cause: err })
    }
  }
}

function parse (text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
