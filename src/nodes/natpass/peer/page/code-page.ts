/** The page of a code-server rule: code-server of another client below `/forward/NAME/` (natpass protocol, section 4.2). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { answer, FRAMED, HTML, JSON_TYPE, refuseUpgrade, whenGone } from './answers.ts'
import { answerHeaders, linkOfCookies, LINK_COOKIE, requestHeaders } from './code-headers.ts'
import { CodeLinks, type CodeLink, type CodeLinksInit } from './code-links.ts'
import { codePage, lostCodePage } from './html.ts'
import { loadCodeAssets } from './page-assets.ts'
import { queryOf, Site, type Handler, type SiteInit } from './site.ts'
import { MAX_MESSAGE } from '../code/code-socket.ts'
import { passedHeaders, type Headers } from '../code/headers.ts'
import { forwardRequest } from '../code/remote-request.ts'
import { forwardSocket } from '../code/remote-socket.ts'
import { systemClock } from '../../../../streams/clock.ts'
import { reasonOf } from '../../../../text/printable.ts'

/** The argument that says that a link was made. */
const ARGUMENT = 'natpass_connection_id'

export interface CodePageInit extends SiteInit, Pick<CodeLinksInit, 'openCode'> {}

export interface CodePage {
  /** With the port in use. */
  readonly url: string
  /** Ends all links, and stops listening. */
  close (): Promise<void>
}

/** Listens and serves. @throws an error of the system when it cannot listen */
export async function serveCodePage (init: CodePageInit): Promise<CodePage> {
  const assets = await loadCodeAssets()
  const server = new CodeServerPage(init, assets)
  await server.site.listen()
  return server
}

class CodeServerPage implements CodePage {
  readonly site: Site
  readonly #init: CodePageInit
  readonly #clock
  readonly #links: CodeLinks
  /** The rule in paths, and what they begin with, as browsers write it. */
  readonly #segment: string
  readonly #prefix: string
  readonly #upgrades = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: MAX_MESSAGE })

  constructor (init: CodePageInit, assets: Awaited<ReturnType<typeof loadCodeAssets>>) {
    this.#init = init
    this.#clock = init.clock ?? systemClock
    this.#links = new CodeLinks({ clock: this.#clock, openCode: (signal) => init.openCode(signal) })
    this.#segment = /^\.\.?$/.test(init.name) ? `_${init.name}` : init.name // browsers drop dots alone
    this.#prefix = `/forward/${encodeURIComponent(this.#segment)}`
    const tellName: Handler = (_request, response) => { answer(response, 200, init.name) }
    this.site = new Site(init, {
      assets,
      index: codePage(init.name, `${this.#prefix}/`, assets),
      maxMessage: 0,
      routes: {
        '/new': { GET: tellName, POST: tellName },
        '/info': { GET: (request, response) => { this.#tell(request, response) } }
      },
      taker: () => undefined,
      below: {
        prefix: '/forward/',
        serve: (request, response) => this.#serve(request, response),
        upgrade: (request, socket, head) => { this.#upgrade(request, socket, head) }
      }
    })
  }

  get url (): string { return this.site.url }

  async close (): Promise<void> {
    this.#links.close()
    await this.site.close()
  }

  #tell (request: IncomingMessage, response: ServerResponse): void {
    const link = this.#links.get(queryOf(request).get('id') ?? '')
    if (link === undefined) return answer(response, 404, 'no such link\n')
    const { sentBytes, sent, receivedBytes, received } = link.channel.counted
    answer(response, 200, JSON.stringify({ name: this.#init.name, send_bytes: sentBytes, send_packet: sent, recv_bytes: receivedBytes, recv_packet: received }), { 'content-type': JSON_TYPE })
  }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const uri = this.#uriOf(request)
    if (uri === undefined) return refuse(response, 404, 'not found')
    const id = linkOfCookies(request.headers.cookie)
    const link = this.#links.get(id ?? '')
    if (link !== undefined) return await this.#forward(link, request, response, uri)
    if (/^\/(?:\?|$)/.test(uri) && request.method === 'GET' && !queryOf(request).has(ARGUMENT)) return await this.#open(request, response, uri)
    if (id === undefined) refuse(response, 400, 'no cookie')
    else answer(response, 404, lostCodePage(this.#init.name, `${this.#prefix}/`), { ...FRAMED, 'content-type': HTML })
  }

  /** A new link, whose cookie the browser comes back with. */
  async #open (request: IncomingMessage, response: ServerResponse, uri: string): Promise<void> {
    if (this.#links.isFull) return refuse(response, 503, 'too many links are open already')
    request.socket.setTimeout(0) // the start of code-server may take a minute
    let id
    try {
      id = await this.#links.open(whenGone(response))
    } catch (err) {
      return refuse(response, 502, reasonOf(err as Error))
    }
    const location = `${this.#prefix}${uri}${uri.includes('?') ? '&' : '?'}${ARGUMENT}=${id}`
    answer(response, 307, '', { ...FRAMED, location, 'set-cookie': `${LINK_COOKIE}=${id}; Path=${this.#prefix}/; HttpOnly; SameSite=Strict` })
  }

  async #forward (link: CodeLink, request: IncomingMessage, response: ServerResponse, uri: string): Promise<void> {
    const headers = headersOf(request)
    if (headers === undefined) return refuse(response, 431, 'too many headers')
    link.touch()
    await forwardRequest({
      channel: link.channel,
      request,
      response,
      uri,
      headers,
      answerHeaders: (headers) => answerHeaders(headers, this.#prefix),
      refuse: (status, text) => { refuse(response, status, text) }
    })
  }

  #upgrade (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const uri = this.#uriOf(request)
    const id = linkOfCookies(request.headers.cookie)
    const link = this.#links.get(id ?? '')
    const headers = headersOf(request)
    if (uri === undefined || (link === undefined && id !== undefined)) return refuseUpgrade(socket, 404)
    if (link === undefined || headers === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket') return refuseUpgrade(socket, 400)
    link.touch()
    const protocols = link.channel.isOurs ? headers['sec-websocket-protocol'] : undefined
    for (const name of Object.keys(headers)) if (name.startsWith('sec-')) delete headers[name]
    if (protocols !== undefined) headers['sec-websocket-protocol'] = protocols
    socket.on('error', () => {})
    forwardSocket({
      channel: link.channel,
      uri,
      headers,
      clock: this.#clock,
      accept: (protocol, take) => {
        if (socket.destroyed) return
        if (protocol === '') delete request.headers['sec-websocket-protocol'] // the answer names none
        else request.headers['sec-websocket-protocol'] = protocol
        this.#upgrades.handleUpgrade(request, socket, head, take)
      },
      refuse: () => { refuseUpgrade(socket, 502) },
      whenGone: (leave) => { socket.once('close', leave) }
    })
  }

  /** What follows `/forward/NAME`; the name is that of the rule. */
  #uriOf ({ url = '' }: IncomingMessage): string | undefined {
    const [, name, uri] = /^\/forward\/([^/?#]*)(\/.*)$/.exec(url) ?? []
    if (uri === undefined) return undefined
    try {
      return decodeURIComponent(name) === this.#segment ? uri : undefined
    } catch {
      return undefined
    }
  }
}

/** Undefined when there are too many. */
function headersOf ({ rawHeaders }: IncomingMessage): Headers | undefined {
  try {
    return requestHeaders(passedHeaders(rawHeaders))
  } catch {
    return undefined
  }
}

/** What the frame of the page shows. */
const refuse = (response: ServerResponse, status: number, text: string): void => { answer(response, status, `${text}\n`, FRAMED) }
