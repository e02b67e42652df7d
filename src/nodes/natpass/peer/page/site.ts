/** What the pages of rules have in common: their files, the login, routes, and the WebSockets of what they show. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { answer, HTML, refuseUpgrade } from './answers.ts'
import { readForm } from './form.ts'
import { loginPage } from './html.ts'
import { Login } from './login.ts'
import type { PageAssets } from './page-assets.ts'
import { PageListener, type PageHandlers, type PageListenerInit } from './page-listener.ts'
import { clientKey } from '../../../../net/client-address.ts'
import { systemClock } from '../../../../streams/clock.ts'

export interface SiteInit extends PageListenerInit {
  /** The name of the rule, which the page shows. */
  readonly name: string
  /** Default: no login. */
  readonly password?: string | undefined
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

type Methods = Readonly<Record<string, Handler>>

/** Paths with a common beginning, and with bodies of any size. */
export interface Below extends Omit<PageHandlers, 'takesLargeBodies'> {
  readonly prefix: string
}

export interface SiteParts {
  readonly assets: PageAssets
  /** The page itself, in HTML. */
  readonly index: string
  /** By path, then by method. */
  readonly routes: Readonly<Record<string, Methods>>
  /** Bytes of a message of a browser. */
  readonly maxMessage: number
  /** What serves all paths below one, WebSockets too. */
  readonly below?: Below
  /** What takes the WebSocket at `/ws/ID`; undefined when there is no such id. */
  taker (id: string): ((socket: WebSocket, query: URLSearchParams) => void) | undefined
}

/** The path of a file has its version. */
const FOR_GOOD = { 'cache-control': 'public, max-age=31536000, immutable' }

export class Site {
  readonly #init: SiteInit
  readonly #parts: SiteParts
  readonly #upgrades: WebSocketServer
  readonly #listener: PageListener
  readonly #routes: ReadonlyMap<string, Methods>
  /** Set once the port is known, which the cookie is called after. */
  #login: Login | undefined

  constructor (init: SiteInit, parts: SiteParts) {
    this.#init = init
    this.#parts = parts
    const { assets, index, routes, maxMessage, below } = parts
    this.#upgrades = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: maxMessage })
    this.#listener = new PageListener(init, {
      serve: (request, response) => this.#serve(request, response),
      upgrade: (request, socket, head) => { this.#upgrade(request, socket, head) },
      knows: (request) => this.#isIn(request),
      ...below === undefined ? {} : { takesLargeBodies: (request) => pathOf(request).startsWith(below.prefix) }
    })
    this.#routes = new Map<string, Methods>([
      ...[...assets.files].map(([path, { type, body }]) => [path, file(body, { 'content-type': type, ...FOR_GOOD })] as const),
      ['/', file(index, { 'content-type': HTML })],
      ...Object.entries(routes),
      ...(init.password === undefined ? [] : [['/login', { POST: (request, response) => this.#logIn(request, response) }] as [string, Methods]])
    ])
  }

  /** With the port in use. */
  get url (): string { return this.#listener.url }

  /** @throws an error of the system when it cannot listen */
  async listen (): Promise<void> {
    const { password, clock = systemClock } = this.#init
    const port = await this.#listener.listen()
    if (password !== undefined) this.#login = new Login(password, `natpass-${port}`, clock)
  }

  async close (): Promise<void> { await this.#listener.close() }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '' } = request
    const { name } = this.#init
    const { assets } = this.#parts
    const path = pathOf(request)
    const { below } = this.#parts
    if (below !== undefined && path.startsWith(below.prefix)) return await (this.#isIn(request) ? below.serve(request, response) : answer(response, 401, 'log in first\n'))
    const routes = this.#routes.get(path)
    if (routes === undefined) return answer(response, 404, 'not found\n')
    if (!Object.hasOwn(routes, method)) {
      const allow = Object.keys(routes).join(', ')
      return answer(response, 405, `only ${allow}\n`, { allow })
    }
    if (path !== '/login' && !assets.files.has(path) && !this.#isIn(request)) {
      if (path === '/') return answer(response, 200, loginPage(name, assets), { 'content-type': HTML })
      return answer(response, 401, 'log in first\n')
    }
    await routes[method](request, response)
  }

  #isIn ({ headers }: IncomingMessage): boolean { return this.#login?.isIn(headers.cookie) ?? true }

  async #logIn (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request)
    if (form === undefined) return answer(response, 413, 'too long\n')
    const { remoteAddress: remote = '' } = request.socket
    const result = await (this.#login as Login).attempt(form.get('password') ?? '', clientKey(remote))
    if (result.is === 'ok') return answer(response, 303, '', { location: '/', 'set-cookie': result.cookie })
    const html = (problem: string): [string, OutgoingHttpHeaders] => [loginPage(this.#init.name, this.#parts.assets, problem), { 'content-type': HTML }]
    if (result.is === 'busy') return answer(response, 503, ...html('Too many log in at this moment. Try it again.'))
    this.#listener.tellRefusal({ remote, reason: result.is === 'wrong' ? 'wrong password' : 'too many wrong passwords' })
    if (result.is === 'wrong') answer(response, 403, ...html('This is not the password.'))
    else answer(response, 429, ...html('Too many wrong passwords. Wait a minute.'))
  }

  #upgrade (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!this.#isIn(request)) return refuseUpgrade(socket, 401)
    const { below } = this.#parts
    if (below?.upgrade !== undefined && pathOf(request).startsWith(below.prefix)) return below.upgrade(request, socket, head)
    const take = this.#parts.taker(/^\/ws\/([^/]+)$/.exec(pathOf(request))?.[1] ?? '')
    if (take === undefined) return refuseUpgrade(socket, 404)
    this.#upgrades.handleUpgrade(request, socket, head, (browser) => { take(browser, queryOf(request)) })
  }
}

export const queryOf = ({ url = '' }: IncomingMessage): URLSearchParams => new URLSearchParams(url.split('?')[1])

function file (body: string | Uint8Array, headers: OutgoingHttpHeaders): Methods {
  const handler: Handler = (_request, response) => { answer(response, 200, body, headers) }
  return { GET: handler, HEAD: handler }
}

/** As it was sent: nothing is decoded, as no path of ours needs that. */
const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?')[0]
