/** The HTTP server of a page: bounded, and for requests of its own pages and of programs alone. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { answer, refuseUpgrade } from './answers.ts'
import { refusalOf } from './request-guard.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../../limits/connection-limiter.ts'
import type { RateLimitedLog } from '../../../../limits/rate-limited-log.ts'
import { throttle } from '../../../../limits/throttle.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import { systemClock } from '../../../../streams/clock.ts'
import type { Clock } from '../../../../types.ts'

/** Milliseconds of a request, and of an idle connection. */
const REQUEST_TIMEOUT = 10_000
const IDLE_TIMEOUT = 5000

/** Milliseconds without a byte, of a client that does not read. Not of WebSockets. */
const SILENCE_TIMEOUT = 60_000

/** Bytes of request line and headers. */
const MAX_HEAD = 8 * 1024

/** Connections, those of WebSockets included; of one address, but not of the loopback; and those that nobody has logged in by, of which the oldest makes room. */
const LIMITS = { maxConnections: 128, maxPerSource: 64, maxHalfOpen: 64 }

export interface PageListenerInit {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Default: none. */
  readonly log?: Pick<RateLimitedLog, 'log'>
  readonly clock?: Clock
}

/** What a page does with requests that may be answered. */
export interface PageHandlers {
  serve (request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Default: upgrades are not found. */
  upgrade? (request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Whether a request is of somebody who has logged in. Default: there is no login. */
  knows? (request: IncomingMessage): boolean
  /** Whether a request may take longer than 10 s, as long as its bytes come. Default: none may. */
  takesLargeBodies? (request: IncomingMessage): boolean
}

export class PageListener {
  /** With the port in use. */
  url = ''
  /** Logged, as it may be an attack. */
  readonly tellRefusal: (refusal: object) => void
  readonly #init: PageListenerInit
  readonly #server
  readonly #limiter = new ConnectionLimiter(LIMITS)
  readonly #slots = new WeakMap<Socket, ConnectionSlot>()
  readonly #knows: NonNullable<PageHandlers['knows']>

  constructor (init: PageListenerInit, { serve, upgrade, knows = () => true, takesLargeBodies }: PageHandlers) {
    this.#init = init
    this.#knows = knows
    const { clock = systemClock, log } = init
    this.tellRefusal = throttle((refusal: object, count: number) => { log?.log('warn', { page: this.url, ...refusal, count }, 'request to a page refused') }, { clock })
    this.#server = createServer({ maxHeaderSize: MAX_HEAD, headersTimeout: REQUEST_TIMEOUT, requestTimeout: takesLargeBodies === undefined ? REQUEST_TIMEOUT : 0, keepAliveTimeout: IDLE_TIMEOUT, connectionsCheckingInterval: 1000 })
    this.#server.timeout = SILENCE_TIMEOUT
    this.#server.on('connection', (socket) => { this.#admit(socket) })
    this.#server.on('request', (request, response) => {
      const refusal = this.#refusalOf(request)
      if (refusal !== undefined) return answer(response, 403, `${refusal}\n`)
      if (takesLargeBodies?.(request) === false) boundBody(request, clock)
      serve(request, response).catch(() => { response.destroy() }) // the request broke
    })
    this.#server.on('upgrade', (request, socket, head) => {
      if (this.#refusalOf(request) !== undefined) refuseUpgrade(socket, 403)
      else if (upgrade === undefined) refuseUpgrade(socket, 404)
      else upgrade(request, socket, head)
    })
  }

  /** The port in use. @throws an error of the system when it cannot listen */
  async listen (): Promise<number> {
    const { host, port } = this.#init
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    const at = this.#server.address() as AddressInfo
    this.url = `http://${endpointText({ host: at.address, port: at.port })}`
    return at.port
  }

  async close (): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  #admit (socket: Socket): void {
    const slot = this.#limiter.admit(socket.remoteAddress ?? '', () => { socket.destroy() })
    if (slot === undefined) {
      socket.destroy()
      return
    }
    this.#slots.set(socket, slot)
    socket.once('close', () => { slot.release() })
  }

  #refusalOf (request: IncomingMessage): string | undefined {
    const { method, headers, socket } = request
    const reason = refusalOf(method, headers, { host: this.#init.host, local: socket.localAddress ?? '' })
    if (reason !== undefined) this.tellRefusal({ remote: socket.remoteAddress, reason })
    else if (this.#knows(request)) this.#slots.get(socket)?.establish()
    return reason
  }
}

/** Ends a request whose body takes too long, where the server does not do that for all of them. */
function boundBody (request: IncomingMessage, clock: Clock): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (length === undefined && encoding === undefined) return
  const timer = clock.set(REQUEST_TIMEOUT, () => { if (!request.complete) request.destroy() }).unref()
  request.once('close', () => { clock.clear(timer) })
}
