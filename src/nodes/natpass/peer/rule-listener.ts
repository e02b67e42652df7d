/** A rule of the control end: users connect here, and each of them becomes a link to the target (natpass protocol, section 4.2). */
import type { NatpassRuleStatus } from './settings.ts'
import type { Rule } from './rules.ts'
import { discard, exchange, IDLE_TIMEOUT, type LostDatagrams } from './datagrams.ts'
import { serveBenchPage, type BenchPage } from './page/bench-page.ts'
import { serveDesktopPage } from './page/desktop-server.ts'
import type { DesktopChoice, DesktopLink } from './page/page-desktop.ts'
import { serveCodePage, type CodePage } from './page/code-page.ts'
import { serveShellPage } from './page/page-server.ts'
import type { OpenedShell } from './page/page-shell.ts'
import { RemoteShell } from './shell/remote-shell.ts'
import type { TerminalSize } from './shell/terminal-size.ts'
import type { LinkRequest, LinkResponse, ShellExit } from '../protocol/link-codec.ts'
import { LinkTraffic, type TrafficCounts } from '../protocol/link-traffic.ts'
import { LINK_TYPES, type LinkType } from '../protocol/message-types.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { LinkClosedError } from '../../../errors.ts'
import { bridge } from '../../../streams/bridge.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'
import { reasonOf } from '../../../text/printable.ts'
import type { MuxLink } from '../../../transforms/link-mux/index.ts'
import { acceptEach } from '../../../transports/acceptor.ts'
import { listenTcp } from '../../../transports/tcp.ts'
import type { UdpLink } from '../../../transports/udp/flow.ts'
import { listenUdp, type UdpListener } from '../../../transports/udp/listener.ts'
import type { Clock, Link, Listener } from '../../../types.ts'

/** Milliseconds for the other end to answer; code-server may take a minute to start. */
const OPEN_TIMEOUT = 20_000
const CODE_TIMEOUT = 65_000

/**
 * Addresses that send to one rule of type `udp` at one time, each of which has a link, and those whose link is not open yet. Fewer than links of
 * a connection: addresses can be forged, and other rules need links as well.
 */
const MAX_SOURCES = 256
const MAX_OPENING_SOURCES = 32

/** The current connection to the server, as rules use it. */
export interface LinkOpener {
  /** @throws {LinkClosedError} while there is no connection; `NatpassRefusedError` when the target refuses */
  open (request: LinkRequest, signal?: AbortSignal): Promise<MuxLink<LinkResponse>>
  resize (client: string, link: string, size: TerminalSize): void
  /** Asks again for a link that is being opened. */
  askAgain (id: string, request: LinkRequest): void
  /** How the program of a shell has ended, if its other end has told. */
  exitOf (id: string): ShellExit | undefined
}

export interface RuleListenerInit {
  rule: Rule
  opener: LinkOpener
  pagePassword: string | undefined
  lost: LostDatagrams
  clock: Clock
  log: RateLimitedLog
}

export class RuleListener {
  readonly #init: RuleListenerInit
  #listener: Listener | undefined
  #sources: UdpListener | undefined
  #page: BenchPage | CodePage | undefined
  #url: string | undefined
  readonly #links = new Map<MuxLink<LinkResponse>, LinkTraffic>()
  readonly #traffic = new LinkTraffic()
  readonly #shells = new Map<string, RemoteShell>()
  #openingSources = 0
  #opened = 0
  #problem: string | undefined

  constructor (init: RuleListenerInit) { this.#init = init }

  /** @throws an error of the system when it cannot listen */
  async listen (): Promise<string> {
    const { rule: { name, type, localAddr: host, localPort: port }, clock, pagePassword, lost, log } = this.#init
    if (type === 'shell') {
      this.#page = await serveShellPage({ host, port, name, clock, log, password: pagePassword, openShell: (signal) => this.openShell(signal) })
      this.#url = this.#page.url
    } else if (type === 'vnc') {
      this.#page = await serveDesktopPage({ host, port, name, clock, log, password: pagePassword, openDesktop: (choice, signal) => this.#openDesktop(choice, signal) })
      this.#url = this.#page.url
    } else if (type === 'bench') {
      this.#page = await serveBenchPage({ host, port, clock, log, password: pagePassword, measure: (signal) => this.#measure(signal) })
      this.#url = this.#page.url
    } else if (type === 'code-server') {
      this.#page = await serveCodePage({ host, port, name, clock, log, password: pagePassword, openCode: (signal) => this.#openCode(signal) })
      this.#url = this.#page.url
    } else if (type === 'udp') {
      const sources = this.#sources = listenUdp({ host, port, maxFlows: MAX_SOURCES, idleTimeout: IDLE_TIMEOUT, errors: lost.errors, clock })
      this.#url = `udp://${endpointText({ host, port: await sources.port() })}`
      acceptEach(sources, (source) => { void this.#serveSource(source) }, () => {}).catch(() => {})
    } else {
      const listener = this.#listener = listenTcp({ host, port, clock })
      this.#url = `tcp://${endpointText({ host, port: await listener.port() })}`
      acceptEach(listener, (link) => { void this.#serve(link) }, () => {}).catch(() => {})
    }
    return this.#url
  }

  status (): NatpassRuleStatus {
    const { rule: { name, type, target } } = this.#init
    const open = [
      ...[...this.#links].map(([link, traffic]) => ({ id: String(link.id), ...traffic.counts() })),
      ...[...this.#shells.values()].map(({ id, traffic }) => ({ id, ...traffic?.counts() as TrafficCounts }))
    ]
    return { name, type, target, url: this.#url, links: open.length, opened: this.#opened, ...this.#traffic.counts(), open, problem: this.#problem }
  }

  /** It cannot listen. */
  fail (problem: string): void { this.#problem = problem }

  /** Datagrams of sources that there was no room for. */
  get refusedSources (): number { return this.#sources?.refused ?? 0 }

  /** Links of sources that had to make room for others. */
  get evictedSources (): number { return this.#sources?.evicted ?? 0 }

  async close (reason: Error): Promise<void> {
    this.#listener?.close()
    this.#sources?.close()
    for (const link of this.#links.keys()) link.abort(reason)
    for (const { link } of this.#shells.values()) link.abort(reason)
    await this.#page?.close()
  }

  async #serve (user: Link): Promise<void> {
    try {
      const link = await this.#open()
      await bridge(user, link).finally(() => { this.#links.delete(link) })
    } catch (err) {
      user.abort(err as Error)
    }
  }

  /** Who sends to a rule of type `udp` has a link of its own. */
  async #serveSource (source: UdpLink): Promise<void> {
    const { lost, clock } = this.#init
    try {
      const link = await this.#openFor(source)
      await exchange(source, link, lost)
      this.#links.delete(link)
    } catch (err) {
      await discard(source, lost, clock)
      source.abort(err as Error)
    }
  }

  async #openFor (source: UdpLink): Promise<MuxLink<LinkResponse>> {
    if (this.#openingSources >= MAX_OPENING_SOURCES) throw new LinkClosedError('too many links of this rule are being opened')
    this.#openingSources++
    return await this.#open(source.signal).finally(() => { this.#openingSources-- })
  }

  /** The program of a shell has ended. */
  tellExit (id: string, exit: ShellExit): void { this.#shells.get(id)?.tellExit(exit) }

  /** The id of a link that was opened and ended again: a measurement carries no data. */
  async #measure (signal: AbortSignal): Promise<string> {
    const link = await this.#open(signal)
    this.#links.delete(link)
    link.abort(new LinkClosedError('the measurement is over'))
    return String(link.id)
  }

  /** Opens the shell of a rule of that type. @throws as `LinkOpener.open` */
  async openShell (signal?: AbortSignal): Promise<OpenedShell> {
    const { rule, opener, clock } = this.#init
    const link = await this.#open(signal)
    const id = String(link.id)
    const shell = new RemoteShell({
      request: { ...requestOf(rule), traffic: this.#links.get(link) },
      link,
      open: (request, signal) => opener.open(request, signal),
      askAgain: (request) => { opener.askAgain(id, request) },
      resize: (size) => { opener.resize(rule.target, id, size) },
      clock,
      onGone: () => { this.#shells.delete(id) }
    })
    this.#links.delete(link)
    this.#shells.set(id, shell)
    const exit = opener.exitOf(id) // of a program that has ended at once
    if (exit !== undefined) shell.tellExit(exit)
    return shell
  }

  async #openDesktop (choice: DesktopChoice, signal: AbortSignal): Promise<{ link: DesktopLink, onGone: () => void }> {
    const link = await this.#open(signal, choice)
    return { link, onGone: () => { this.#links.delete(link) } }
  }

  async #openCode (signal: AbortSignal): Promise<MuxLink<LinkResponse>> {
    const link = await this.#open(signal)
    const abort = (err: Error): void => {
      this.#links.delete(link)
      link.abort(err)
    }
    return wrapLink(link, { abort })
  }

  /** @param choice - of the user of a desktop */
  async #open (signal?: AbortSignal, choice?: DesktopChoice): Promise<MuxLink<LinkResponse>> {
    const { rule, opener, clock, log } = this.#init
    const patience = new AbortController()
    const timer = clock.set(rule.type === 'code-server' ? CODE_TIMEOUT : OPEN_TIMEOUT, () => { patience.abort(new LinkClosedError('the other end does not answer')) }) // original clients do not to all types
    try {
      const traffic = new LinkTraffic(this.#traffic)
      const link = await opener.open({ ...requestOf(rule, choice), traffic }, signal === undefined ? patience.signal : AbortSignal.any([signal, patience.signal]))
      this.#opened++
      this.#problem = undefined
      this.#links.set(link, traffic)
      return link
    } catch (err) {
      this.#problem = reasonOf(err as Error)
      log.log('warn', { rule: rule.name, target: rule.target, reason: this.#problem }, 'link not opened')
      throw err
    } finally {
      clock.clear(timer)
    }
  }
}

function requestOf ({ name, target, type, exec, env, fps, remoteAddr: addr, remotePort: port }: Rule, choice?: DesktopChoice): LinkRequest {
  switch (type) {
    case 'shell': return { client: target, request: { name, _type: LINK_TYPES.indexOf('shell'), cshell: { exec, env: env === undefined ? [] : [...env] } } }
    case 'vnc': return { client: target, request: { name, _type: LINK_TYPES.indexOf('vnc'), cvnc: { fps, ...choice } } }
    case 'code-server': return { client: target, request: { name, _type: LINK_TYPES.indexOf('code') } }
    case 'bench': return { client: target, request: { name, _type: LINK_TYPES.indexOf('bench') } }
    default: return { client: target, request: { name, _type: LINK_TYPES.indexOf(type as LinkType), caddr: { addr, port } } }
  }
}
