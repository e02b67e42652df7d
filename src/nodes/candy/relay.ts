/** A candy server: takes connections, lets those in that know the password, and passes packets between them. */
import { AddressPool } from './address-pool.ts'
import { Admission, type Takeover } from './admission.ts'
import { Secret } from './hashes.ts'
import { CandyMessageError, MessageType } from './messages.ts'
import { Network } from './network.ts'
import { parseRules } from './sdwan.ts'
import { Session } from './session.ts'
import { newStats, type CandyRelayStats } from './stats.ts'
import { Traffic, type SourceCheck } from './traffic.ts'
import { typeDemux, type Handler } from '../../transforms/type-demux.ts'
import { CloseCode, WebSocketProtocolError, type WebSocketLink } from '../../transforms/websocket-frames/index.ts'
import { LinkClosedError, OptionError } from '../../errors.ts'
import { verifyBytes, verifyMilliseconds } from '../../options.ts'
import { silent, type Logger } from '../../log.ts'
import type { Batch, Endpoint } from '../../types.ts'

export interface CandyRelayInit {
  /** Shared by all members of the network. Empty is legal, and lets everybody in. */
  password: string
  /** The range of dynamic addresses, a CIDR from /8 to /30. Default: none, and then clients need an address of their own. */
  dhcp?: string
  /** Routes to push, candy's rule text: `dev-cidr,dst-cidr,nexthop` joined by `;`. */
  sdwan?: string
  /** Default: `routes`. */
  sourceCheck?: SourceCheck
  /** Default: `any`, as existing servers have it: the newest connection wins. */
  takeover?: Takeover
  /** Accept any time stamp, and frames without a mask, as an existing server does. Default: false: within 300 s, and masked. */
  lenient?: boolean
  /** Connections at one time, authenticated or not; when there are more, the oldest that is not makes room. Default: 16384. */
  maxConnections?: number
  /** Bytes that may wait for slow clients, all of them together; each for itself has the limit of its link. Default: 256 MiB. */
  queueTotal?: number
  /** Messages to all that one client may send in a second. Default: 1000. */
  broadcastRate?: number
  /** Milliseconds that a connection may take to authenticate. Default: 10 s. */
  authTimeout?: number
  /** Milliseconds of silence after which a client is pinged, and after which it is dropped. Default: 30 s and 60 s. */
  pingAfter?: number
  dropAfter?: number
  log?: Logger
  /** Milliseconds since 1970, for time stamps. Default: `Date.now`. */
  now?: () => number
}

export const DEFAULT_MAX_CONNECTIONS = 16_384

const TICK = 1000

function verifyChoice (name: string, value: string, choices: string[]): void {
  if (!choices.includes(value)) throw new OptionError(`${name} is ${choices.join(' or ')}, not ${String(value)}`)
}

/**
 * ```ts
 * const relay = new CandyRelay({ password, dhcp: '10.77.0.0/24' })
 * for await (const link of listenWebSocket({ port: 8080, frames: RELAY_FRAMES })) void relay.accept(link, link.remote)
 * ```
 */
export class CandyRelay {
  readonly stats: CandyRelayStats = newStats()
  readonly #network: Network
  readonly #receive: Handler<Session>
  readonly #sessions = new Map<Session, Promise<void>>()
  readonly #log: Logger
  readonly #maxConnections
  readonly #authTimeout
  readonly #pingAfter
  readonly #dropAfter
  readonly #timer: NodeJS.Timeout
  /** Milliseconds of a clock that only goes forward, as of the last tick: near enough for timeouts, and free to read. */
  #ticks = performance.now()
  #closing = false

  /** Throws `OptionError` when an option cannot work. */
  constructor (init: CandyRelayInit) {
    const {
      password, dhcp, sdwan = '', sourceCheck = 'routes', takeover = 'any', lenient = false, maxConnections = DEFAULT_MAX_CONNECTIONS,
      queueTotal = 256 * 1024 * 1024, broadcastRate = 1000, authTimeout = 10_000, pingAfter = 30_000, dropAfter = 60_000, log = silent, now = Date.now
    } = init
    verifyChoice('sourceCheck', sourceCheck, ['strict', 'routes', 'off'])
    verifyChoice('takeover', takeover, ['any', 'same-device'])
    verifyBytes('queueTotal', queueTotal)
    for (const [name, count] of [['maxConnections', maxConnections], ['broadcastRate', broadcastRate]] as const) {
      if (!Number.isSafeInteger(count) || count < 1) throw new OptionError(`${name} is a whole number of at least 1, not ${String(count)}`)
    }
    for (const [name, time] of Object.entries({ authTimeout, pingAfter, dropAfter })) verifyMilliseconds(name, time)
    if (pingAfter >= dropAfter) throw new OptionError(`pingAfter, ${pingAfter} ms, is less than dropAfter, ${dropAfter} ms`)
    const pool = dhcp === undefined ? undefined : new AddressPool({ range: dhcp })
    const network = this.#network = new Network({ stats: this.stats, log, pool, queueTotal, broadcastRate })
    const admission = new Admission({
      network,
      secret: new Secret(password),
      pool,
      rules: parseRules(sdwan),
      takeover,
      lenient,
      now
    })
    const traffic = new Traffic({ network, directedBroadcast: pool?.range.broadcast, sourceCheck })
    // Other types, also ROUTE, which only a server sends, and empty messages are ignored (candy protocol, section 1.1).
    this.#receive = typeDemux<Session>({
      [MessageType.AUTH]: (message, session) => { admission.auth(session, message) },
      [MessageType.FORWARD]: (message, session) => { traffic.forward(session, message) },
      [MessageType.DHCP]: (message, session) => { admission.dhcp(session, message) },
      [MessageType.CONN]: (message, session) => { traffic.addressed(session, message, 'CONN') },
      [MessageType.VMAC]: (message, session) => { admission.vmac(session, message) },
      [MessageType.DISCOVERY]: (message, session) => { traffic.addressed(session, message, 'DISCOVERY') },
      [MessageType.GENERAL]: (message, session) => { traffic.addressed(session, message, 'GENERAL') }
    }, { unknown: () => {} })
    this.#log = log
    this.#maxConnections = maxConnections
    this.#authTimeout = authTimeout
    this.#pingAfter = pingAfter
    this.#dropAfter = dropAfter
    this.#timer = setInterval(() => { this.tick(performance.now()) }, TICK)
    this.#timer.unref() // the listener keeps the process alive
  }

  /** Serves one connection; settles when it has ended, and never rejects. */
  accept (link: WebSocketLink, remote: Endpoint): Promise<void> {
    const session = new Session(link, this.#network, remote, this.#ticks)
    this.stats.accepted++
    if (this.#closing) {
      session.end(CloseCode.GOING_AWAY, 'the relay is stopping')
      return Promise.resolve()
    }
    if (this.#sessions.size >= this.#maxConnections && !this.#makeRoom()) {
      session.refuse('limit')
      link.abort(new LinkClosedError('too many connections')) // a goodbye would take its time, which is what there is too little of
      return Promise.resolve()
    }
    const served = this.#serve(session).finally(() => {
      this.#sessions.delete(session)
      this.stats.connections = this.#sessions.size
    })
    this.#sessions.set(session, served)
    this.stats.connections = this.#sessions.size
    return served
  }

  /**
   * Pings and drops silent clients. Called once a second by the relay itself.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  tick (now: number): void {
    this.#ticks = now
    this.#network.tick(this.#sessions.keys())
    for (const session of this.#sessions.keys()) {
      const silence = now - session.heardAt
      if (session.address === 0 && now - session.since >= this.#authTimeout) session.refuse('timeout')
      else if (silence >= this.#dropAfter) session.refuse('timeout')
      else if (silence >= this.#pingAfter) session.link.ping()
    }
  }

  /** Ends all connections with 1001 and takes no more; settles when they are gone. */
  async close (reason = 'the relay is stopping'): Promise<void> {
    this.#closing = true
    clearInterval(this.#timer)
    for (const session of this.#sessions.keys()) session.end(CloseCode.GOING_AWAY, reason)
    await Promise.all(this.#sessions.values())
  }

  /** Ends the oldest connection that has not authenticated: strangers must not keep members out. */
  #makeRoom (): boolean {
    for (const session of this.#sessions.keys()) {
      if (session.address !== 0 || session.ended) continue
      session.refuse('limit')
      session.drop(new LinkClosedError('made room for another'))
      return true
    }
    return false
  }

  async #serve (session: Session): Promise<void> {
    const { link } = session
    const heard = (): void => { session.heardAt = this.#ticks }
    link.onText = link.onPong = heard // text is ignored, yet a sign of life
    link.onPing = (greeting) => {
      heard()
      if (session.client === '') session.client = clientOf(greeting)
    }
    try {
      for await (const batch of link.source) {
        heard()
        this.#take(session, batch)
      }
      session.end(CloseCode.NORMAL, '')
    } catch (err) {
      if (err instanceof WebSocketProtocolError) {
        session.refuse('malformed') // the layer below has said so already
        return
      }
      const fields = { remote: session.remote, reason: (err as Error).message }
      if ('code' in (err as Error)) this.#log.debug(fields, 'connection lost')
      else this.#log.error({ ...fields, err }, 'connection ended by a fault of the relay')
      session.drop(err as Error)
    }
  }

  /** What one read has brought, in one go. A function of its own, and it leaves nothing: a client that falls silent must not hold the memory of its last read. */
  #take (session: Session, batch: Batch): void {
    try {
      for (const message of batch) {
        if (session.ended) break // only the end of the connection is still of interest
        this.#receive(message, session)
      }
    } catch (err) {
      if (!(err instanceof CandyMessageError)) throw err
      session.refuse('malformed')
    } finally {
      this.#network.flush()
      batch.length = 0
    }
  }
}

/** The greeting `candy::os::version::host` without its first word; printable, as it is shown to people. */
function clientOf (greeting: Uint8Array): string {
  const text = Buffer.from(greeting).toString()
  return text.startsWith('candy::') ? text.slice('candy::'.length).replaceAll(/[^\x20-\x7e]/g, '?') : ''
}
