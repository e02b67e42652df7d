/** The pages of a shell rule: an HTTP server on the control end (natpass protocol, section 4.2). */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { answer, HTML, refuseUpgrade, whenGone } from './answers.ts'
import { readForm, readNumber } from './form.ts'
import { loginPage, terminalPage } from './html.ts'
import { Login } from './login.ts'
import { loadPageAssets, type PageAssets } from './page-assets.ts'
import { PageListener, type PageListenerInit } from './page-listener.ts'
import type { OpenedShell } from './page-shell.ts'
import { PageShells, type PageShellsInit } from './page-shells.ts'
import { clientKey } from '../../../../net/client-address.ts'
import { systemClock } from '../../../../streams/clock.ts'
import type { Clock } from '../../../../types.ts'

/** Bytes of a message of a browser. The page sends smaller ones. */
const MAX_MESSAGE = 1 << 20

export interface ShellPageInit extends PageListenerInit, Partial<Pick<PageShellsInit, 'maxShells' | 'openTimeout' | 'keepTimeout'>> {
  /** The name of the rule, which the page shows. */
  readonly name: string
  /**
   * Opens a shell for a browser. A rejection is shown to its user.
   *
   * @param signal - aborted when nobody waits for it any more, and never once the shell is open
   */
  openShell (signal: AbortSignal): Promise<OpenedShell>
  /** Default: no login. */
  readonly password?: string | undefined
}

export interface ShellPage {
  /** With the port in use. */
  readonly url: string
  /** Open shells. */
  readonly shells: number
  /** Ends all shells, and stops listening. */
  close (): Promise<void>
}

/**
 * Listens and serves.
 *
 * @throws {PageError} when xterm.js is not installed; an error of the system when it cannot listen
 */
export async function serveShellPage (init: ShellPageInit): Promise<ShellPage> {
  const server = new PageServer(init, await loadPageAssets())
  await server.listen()
  return server
}

/** The path of a file has its version. */
const FOR_GOOD = { 'cache-control': 'public, max-age=31536000, immutable' }

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

class PageServer implements ShellPage {
  readonly #init: ShellPageInit
  readonly #assets: PageAssets
  readonly #clock: Clock
  readonly #shells: PageShells
  readonly #upgrades = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: MAX_MESSAGE })
  readonly #listener: PageListener
  /** Set once the port is known, which the cookie is called after. */
  #login: Login | undefined
  /** By path, then by method. */
  readonly #routes: ReadonlyMap<string, Readonly<Record<string, Handler>>>

  constructor (init: ShellPageInit, assets: PageAssets) {
    this.#init = init
    this.#assets = assets
    const { clock = systemClock } = init
    this.#clock = clock
    this.#shells = new PageShells({ ...init, clock, openShell: (signal) => init.openShell(signal) })
    this.#listener = new PageListener(init, {
      serve: (request, response) => this.#serve(request, response),
      upgrade: (request, socket, head) => { this.#upgrade(request, socket, head) }
    })
    const file = (body: string | Uint8Array, headers: OutgoingHttpHeaders): Readonly<Record<string, Handler>> => {
      const handler: Handler = (_request, response) => { answer(response, 200, body, headers) }
      return { GET: handler, HEAD: handler }
    }
    const routes = new Map<string, Readonly<Record<string, Handler>>>([
      ...[...assets.files].map(([path, { type, body }]) => [path, file(body, { 'content-type': type, ...FOR_GOOD })] as const),
      ['/', file(terminalPage(init.name, assets), { 'content-type': HTML })],
      ['/new', { POST: (request, response) => this.#open(request, response) }],
      ['/resize', { POST: (request, response) => this.#resize(request, response) }]
    ])
    if (init.password !== undefined) routes.set('/login', { POST: (request, response) => this.#logIn(request, response) })
    this.#routes = routes
  }

  get url (): string { return this.#listener.url }

  get shells (): number { return this.#shells.size }

  async listen (): Promise<void> {
    const { password } = this.#init
    const port = await this.#listener.listen()
    if (password !== undefined) this.#login = new Login(password, `natpass-${port}`, this.#clock)
  }

  async close (): Promise<void> {
    this.#shells.close()
    await this.#listener.close()
  }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '' } = request
    const path = pathOf(request)
    const routes = this.#routes.get(path)
    if (routes === undefined) return answer(response, 404, 'not found\n')
    if (!Object.hasOwn(routes, method)) {
      const allow = Object.keys(routes).join(', ')
      return answer(response, 405, `only ${allow}\n`, { allow })
    }
    if (path !== '/login' && !this.#assets.files.has(path) && !this.#isIn(request)) {
      if (path === '/') return answer(response, 200, loginPage(this.#init.name, this.#assets), { 'content-type': HTML })
      return answer(response, 401, 'log in first\n')
    }
    await routes[method](request, response)
  }

  #isIn ({ headers }: IncomingMessage): boolean { return this.#login?.isIn(headers.cookie) ?? true }

  async #logIn (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request)
    if (form === undefined) return answer(response, 413, 'too long\n')
    const { remoteAddress: remote = '' } = request.socket
    const result = (this.#login as Login).attempt(form.get('password') ?? '', clientKey(remote))
    if (result.is === 'ok') return answer(response, 303, '', { location: '/', 'set-cookie': result.cookie })
    this.#listener.tellRefusal({ remote, reason: result.is === 'wrong' ? 'wrong password' : 'too many wrong passwords' })
    const html = (problem: string): [string, OutgoingHttpHeaders] => [loginPage(this.#init.name, this.#assets, problem), { 'content-type': HTML }]
    if (result.is === 'wrong') answer(response, 403, ...html('This is not the password.'))
    else answer(response, 429, ...html('Too many wrong passwords. Wait a minute.'))
  }

  async #open (request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await readForm(request) === undefined) return answer(response, 413, 'too long\n')
    const opened = await this.#shells.open(whenGone(response))
    if ('id' in opened) answer(response, 200, opened.id)
    else answer(response, opened.status, opened.text)
  }

  async #resize (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request)
    if (form === undefined) return answer(response, 413, 'too long\n')
    const shell = this.#shells.get(form.get('id') ?? '')
    if (shell === undefined) return answer(response, 404, 'no such shell\n')
    try {
      shell.resize(readNumber(form.get('rows')), readNumber(form.get('cols')))
    } catch {
      return answer(response, 400, 'no size of a terminal\n')
    }
    answer(response, 200, 'ok')
  }

  #upgrade (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!this.#isIn(request)) return refuseUpgrade(socket, 401)
    const shell = this.#shells.get(/^\/ws\/([^/]+)$/.exec(pathOf(request))?.[1] ?? '')
    if (shell === undefined) return refuseUpgrade(socket, 404)
    const from = readNumber(new URLSearchParams(request.url?.split('?')[1]).get('from'))
    this.#upgrades.handleUpgrade(request, socket, head, (browser) => { shell.attach(browser, from) })
  }
}

/** As it was sent: nothing is decoded, as no path of ours needs that. */
const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?')[0]
