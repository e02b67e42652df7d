/** A natpass client: controlled end for what it allows, control end for its rules (natpass protocol, section 4). */
import { EventEmitter } from 'node:events'
import { ControlledEnd } from './controlled-end.ts'
import { LostDatagrams } from './datagrams.ts'
import { RuleListener } from './rule-listener.ts'
import { serveOverviewPage, type OverviewPage } from './page/overview-page.ts'
import type { OpenedShell } from './page/page-shell.ts'
import { Session } from './session.ts'
import type { TerminalSize } from './shell/terminal-size.ts'
import type { LinkRequest } from '../protocol/link-codec.ts'
import { readPeer, type NatpassPeerEvents, type NatpassPeerInit, type NatpassPeerStats, type NatpassPeerStatus, type PeerSettings } from './settings.ts'
import { tell } from '../../common/peer-events.ts'
import { Reconnector } from '../../common/reconnector.ts'
import { LinkClosedError, OptionError } from '../../../errors.ts'
import { Backoff } from '../../../limits/backoff.ts'
import { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { SAMPLE_INTERVAL, TrafficRateMeter } from '../../../limits/rate-meter.ts'
import { silent, type Logger } from '../../../log.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { every, type Interval } from '../../../streams/clock.ts'
import { metered } from './metered.ts'
import { quoted } from '../../../text/phrases.ts'
import { reasonOf } from '../../../text/printable.ts'
import { explainedDial } from '../../../transports/protocol-detection.ts'
import { dialTcp } from '../../../transports/tcp.ts'
import { dialTls } from '../../../transports/tls.ts'
import type { Link } from '../../../types.ts'

/** Milliseconds of silence after which TCP keepalive starts to probe the other end. */
const KEEP_ALIVE = 30_000

/**
 * ```ts
 * const peer = new NatpassPeer({ server: 'relay.example.org:6154', secret, id: 'nas', allow: ['shell,tcp@laptop'] })
 * await peer.start()
 * ```
 */
export class NatpassPeer extends EventEmitter<NatpassPeerEvents> {
  readonly #settings: PeerSettings
  readonly #log: Logger
  readonly #bounded: RateLimitedLog
  readonly #stats: Omit<NatpassPeerStats, 'lostDatagrams' | 'evictedSources'> = { links: 0, accepted: 0, refused: 0, bytesIn: 0, bytesOut: 0 }
  readonly #lostDatagrams = new LostDatagrams()
  readonly #rates: TrafficRateMeter
  readonly #controlled: ControlledEnd
  readonly #rules: RuleListener[]
  readonly #backoff: Backoff
  readonly #stopping = new AbortController()
  readonly #timer: Interval
  #session: Session | undefined
  #connectedAt: number | undefined
  #reason: string | undefined
  #failures = 0
  #page: OverviewPage | undefined
  #pageProblem: string | undefined
  #running: Promise<void> | undefined

  /** @throws {OptionError} when an option is invalid */
  constructor (init: NatpassPeerInit) {
    super()
    const settings = this.#settings = readPeer(init)
    const { clock } = settings
    this.#log = init.log ?? silent
    const log = this.#bounded = new RateLimitedLog(this.#log)
    this.#backoff = new Backoff({ ...init.backoff, clock })
    this.#rates = new TrafficRateMeter(clock.now())
    this.#controlled = new ControlledEnd({ settings, clock, log, stats: this.#stats, lost: this.#lostDatagrams })
    const opener = {
      open: async (request: LinkRequest, signal?: AbortSignal) => {
        if (this.#session === undefined) throw new LinkClosedError('not connected to the server')
        return await this.#session.open(request, signal)
      },
      resize: (client: string, link: string, { rows, cols }: TerminalSize) => { this.#session?.resize(client, link, rows, cols) },
      askAgain: (id: string, request: LinkRequest) => { this.#session?.askAgain(id, request) },
      exitOf: (id: string) => this.#session?.exitOf(id)
    }
    this.#rules = settings.rules.map((rule) => new RuleListener({ rule, opener, pagePassword: settings.pagePassword, lost: this.#lostDatagrams, clock, log }))
    this.#timer = every(clock, SAMPLE_INTERVAL, () => {
      log.tick()
      this.#rates.sample(this.#stats, clock.now())
    }).unref()
  }

  /** The server has accepted the peer. */
  get isOnline (): boolean { return this.#connectedAt !== undefined }

  /** The counters, as of now. */
  get stats (): NatpassPeerStats {
    const sum = (count: (rule: RuleListener) => number): number => this.#rules.reduce((sum, rule) => sum + count(rule), 0)
    return { ...this.#stats, lostDatagrams: this.#lostDatagrams.counts(sum((rule) => rule.refusedSources)), evictedSources: sum((rule) => rule.evictedSources) }
  }

  /** The current state, for display. */
  status (): NatpassPeerStatus {
    const { server, id, clock } = this.#settings
    return {
      server: endpointText(server),
      id,
      reason: this.isOnline ? undefined : this.#reason,
      connected: this.#connectedAt === undefined ? undefined : Math.round((clock.now() - this.#connectedAt) / 1000),
      failures: this.#failures,
      ...this.#rates.perSecond,
      ...this.stats,
      rules: this.#rules.map((rule) => rule.status()),
      served: this.#controlled.links(),
      page: this.#settings.page === undefined ? undefined : { url: this.#page?.url, problem: this.#pageProblem }
    }
  }

  /**
   * Listens for the users of its rules, then connects, and reconnects until `close`. Settles when it listens. A port in use is a warning,
   * and the rest runs.
   *
   * @param init - `listen`: default true; without it rules have no users but callers of `openShell`
   * @throws {PageError} when a page takes an optional package that is not installed; `close` ends those that listen
   */
  async start ({ listen = true }: { listen?: boolean } = {}): Promise<void> {
    if (this.#running !== undefined) return
    this.#running = Promise.resolve()
    for (const rule of listen ? this.#rules : []) {
      const { name } = rule.status()
      const url = await this.#listen({ rule: name }, () => rule.listen(), (problem) => { rule.fail(problem) })
      if (this.#stopping.signal.aborted) return await rule.close(this.#stopping.signal.reason)
      if (url !== undefined) tell(() => this.emit('rule', name, url))
    }
    if (listen) await this.#servePage()
    this.#running = this.#run()
  }

  /**
   * Opens the shell of a rule for the caller, without a page.
   *
   * @throws {OptionError} when there is no such rule of type shell
   * @throws {LinkClosedError} while the peer is not online, or when the target does not answer
   * @throws {NatpassRefusedError} when the target or the server refuses
   */
  async openShell (name: string, signal?: AbortSignal): Promise<OpenedShell> {
    const rule = this.#rules.find((rule) => rule.status().name === name && rule.status().type === 'shell')
    if (rule === undefined) throw new OptionError(`${quoted(name)} is no rule of type shell`)
    return await rule.openShell(signal)
  }

  async #servePage (): Promise<void> {
    const { page: at, pagePassword: password, id: name, clock } = this.#settings
    if (at === undefined) return
    const url = await this.#listen({ page: endpointText(at) }, async () => {
      this.#page = await serveOverviewPage({ ...at, name, password, clock, log: this.#bounded, status: () => this.status() })
      return this.#page.url
    }, (problem) => { this.#pageProblem = problem })
    if (this.#stopping.signal.aborted) return await this.#page?.close()
    if (url !== undefined) tell(() => this.emit('page', url))
  }

  /** A port that cannot be had is told, and others do not suffer. */
  async #listen (what: object, listen: () => Promise<string>, onFailure: (problem: string) => void): Promise<string | undefined> {
    try {
      return await listen()
    } catch (err) {
      if ((err as NodeJS.ErrnoException).syscall === undefined) throw err
      const reason = reasonOf(err as Error)
      onFailure(`cannot listen: ${reason}`)
      this.#log.warn({ ...what, reason }, 'cannot listen')
      return undefined
    }
  }

  /** Ends all links and the connection, and settles when they have ended. */
  async close (): Promise<void> {
    const reason = new LinkClosedError('the peer was closed')
    this.#stopping.abort(reason)
    await Promise.all([...this.#rules.map((rule) => rule.close(reason)), this.#page?.close()])
    await this.#controlled.close(reason)
    await this.#session?.close(reason)
    await this.#running
    this.#connectedAt = undefined
    this.#timer.stop()
  }

  #run (): Promise<void> {
    const { clock } = this.#settings
    return new Reconnector({ attempt: (signal) => this.#serve(signal), onLost: (err) => this.#lost(err), signal: this.#stopping.signal, clock }).run()
  }

  async #serve (signal: AbortSignal): Promise<void> {
    const { clock } = this.#settings
    const link = metered(await this.#dial(signal), this.#stats)
    const session: Session = this.#session = new Session({
      link,
      settings: this.#settings,
      clock,
      onOpen: (opening) => this.#controlled.open(opening, session),
      onResize: (id, rows, columns) => { this.#controlled.resize(id, rows, columns) },
      onExit: (id, exit) => { for (const rule of this.#rules) rule.tellExit(id, exit) },
      onOnline: () => { this.#online() }
    })
    if (signal.aborted) session.mux.abort(signal.reason)
    const err = await session.mux.ended
    this.#session = undefined
    throw err ?? new LinkClosedError(`the server has ended the connection: perhaps it was stopped, or another peer has the id ${this.#settings.id}`)
  }

  async #dial (signal: AbortSignal): Promise<Link> {
    const { server, tls, clock } = this.#settings
    const to = { host: server.host, port: server.port, keepAlive: KEEP_ALIVE, signal, clock }
    try {
      return await (tls === undefined ? dialTcp(to) : dialTls({ ...to, ...tls }))
    } catch (err) {
      throw explainedDial(err as Error, { wanted: 'natpass', isTls: tls !== undefined, tls: 'use TLS (--tls)', plain: 'leave out TLS (no --tls)' })
    }
  }

  #online (): void {
    this.#connectedAt = this.#settings.clock.now()
    this.#backoff.online()
    this.#log.info({ server: endpointText(this.#settings.server), id: this.#settings.id }, 'online')
    tell(() => this.emit('online'))
  }

  #lost (err: Error): number {
    const wasOnline = this.isOnline
    this.#connectedAt = undefined
    this.#failures++
    this.#reason = wasOnline || !(err instanceof LinkClosedError) ? reasonOf(err) : 'the server has ended the connection without a word: perhaps the secret or the clock of this machine is wrong'
    const wait = this.#backoff.next()
    this.#log.warn({ server: endpointText(this.#settings.server), reason: this.#reason, wait: Math.round(wait) }, 'offline')
    tell(() => this.emit('offline', err, wait))
    return wait
  }
}
