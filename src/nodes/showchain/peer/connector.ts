/** Looks for paths from R to one T, for the first one and for better ones (SHOW CHAIN protocol, sections 5.2 to 5.4 and 6.1). */
import { Backoff } from '../../../limits/backoff.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { NatKind } from '../../../nat/index.ts'
import type { Clock, Endpoint, Timer } from '../../../types.ts'
import type { OpenRequests } from '../protocol/requests.ts'
import type { Helper, Helpers } from './helpers.ts'
import type { History } from '../../common/history.ts'
import { DirectAttempt, NatAttempt, type AttemptInit } from './nat-attempt.ts'
import type { Path } from './paths.ts'
import { ProxyAttempt } from './proxy-attempt.ts'

/** Milliseconds until the next helper, or proxy, is asked as well. */
const HELPER_STAGGER = 300
const PROXY_STAGGER = 1000

/** Milliseconds without a path until a proxy is taken (SHOW CHAIN protocol, section 5.3). */
const PROXY_AFTER = 5000

/** Milliseconds after which a path that was found has to work. */
const UNUSED = 3000

/** Helpers, and proxies, that are asked in one search. */
const MAX_ASKED = 4

/** Milliseconds between searches for a better path, and for any. */
const UPGRADE = { first: 30_000, longest: 300_000, steady: 0 }
const RETRY = { first: 1000, longest: 30_000, steady: 0 }

export interface ConnectorInit {
  clock: Clock
  requests: OpenRequests
  helpers: Helpers
  /** The own id, and that of T. */
  own: Uint8Array
  target: Uint8Array
  /** Where T is, if that is known beforehand: the address may be a name. */
  endpoint?: Endpoint | undefined
  /** Finds the address of a name. @throws when there is none */
  resolve (named: Endpoint): Promise<Endpoint>
  /** Paths that are no proxy's are looked for. */
  isDirect: boolean
  /** Proxies are offered no key. */
  isPlain: boolean
  /** A proxy that is not to be used. */
  isShunned (proxy: Endpoint): boolean
  ownKind (): NatKind | undefined
  ownEndpoints (): readonly Endpoint[]
  history: History
  random: () => number
  /** Makes a path and hands it to what is above. @returns the path; that which there is, where there is one; undefined when there are too many */
  openDatagramPath (kind: 'direct' | 'nat', endpoint: Endpoint): Path | undefined
  openProxyPath (proxy: Helper, session: Uint8Array, key: Uint8Array | undefined): Path | undefined
}

interface Attempt {
  close (): void
}

/** One search, until all of its attempts are over. */
interface Search {
  readonly attempts: Set<Attempt>
  /** Helpers that were asked, and proxies. */
  readonly asked: Set<Helper>
  readonly proxies: Set<Helper>
  /** Proxies are asked as well. */
  takesProxy: boolean
}

export type ConnectorState = 'stopped' | 'searching' | 'connected' | 'waiting'

export class Connector {
  readonly target: Uint8Array
  readonly history: History
  readonly #init: ConnectorInit
  readonly #paths = new Set<Path>()
  readonly #upgrade: Backoff
  readonly #retry: Backoff
  #problem: string | undefined
  #isHurried = false
  /** A path was in use, and none works any more. */
  #isCut = false
  /** By which packets go, as what is above says. */
  #chosen: Path | undefined
  #search: Search | undefined
  /** Of the next search. */
  #timer: Timer | undefined
  /** Of the next helper and the next proxy that are asked, and of when a proxy is needed. */
  #helperTimer: Timer | undefined
  #proxyTimer: Timer | undefined
  #deadlineTimer: Timer | undefined
  #isStopped = true

  constructor (init: ConnectorInit) {
    this.#init = init
    this.target = init.target
    this.history = init.history
    this.#upgrade = new Backoff({ ...UPGRADE, clock: init.clock, random: init.random })
    this.#retry = new Backoff({ ...RETRY, clock: init.clock, random: init.random })
  }

  get state (): ConnectorState {
    if (this.#isStopped) return 'stopped'
    if (this.#chosen !== undefined) return 'connected'
    return this.#search === undefined ? 'waiting' : 'searching'
  }

  /** Why the last search has found no path, and what to look at; undefined while there is one, or it is not over. */
  get problem (): string | undefined { return this.#chosen === undefined && this.#paths.size === 0 ? this.#problem : undefined }

  get paths (): readonly Path[] { return [...this.#paths] }

  get chosen (): Path | undefined { return this.#chosen }

  start (): void {
    this.#isStopped = false
    this.#begin('looks for a path', false)
  }

  stop (): void {
    this.#isStopped = true
    this.#endSearch()
    this.#init.clock.clear(this.#timer)
    for (const path of this.#paths) path.close()
  }

  /** What is above sends by another path, or none works. */
  onPathChosen (path: Path | undefined): void {
    if (this.#isStopped || path === this.#chosen) return
    const before = this.#chosen
    this.#chosen = path
    if (path === undefined) {
      if (before !== undefined) this.#cut(`the path ${pathText(before)} does not work any more`)
      return
    }
    this.#isCut = false
    this.history.add(`packets go by the path ${pathText(path)}`)
    this.#retry.online()
    if (path.kind === 'proxy') {
      if (this.#search === undefined && this.#timer === undefined) this.#searchAfter(this.#upgrade.next())
    } else { // there is nothing better to be looked for
      this.#upgrade.online()
      this.#endSearch()
      this.#init.clock.clear(this.#timer)
      this.#timer = undefined
    }
  }

  /** Somebody waits for a path, as none works: the next search begins now, or soon after the one that is running. */
  hurry (): void {
    if (this.#isStopped || (this.#paths.size > 0 && !this.#isCut)) return
    if (this.#search === undefined) this.#begin('somebody waits for a path', true)
    else this.#isHurried = true
  }

  /** A path has ended. */
  onPathClosed (path: Path, reason: string): void {
    if (!this.#paths.delete(path)) return
    this.history.add(`the path ${pathText(path)} has ended: ${reason}`)
    if (this.#isStopped) return
    if (path === this.#chosen) this.#chosen = undefined
    if (this.#paths.size === 0) this.#cut('no path is left')
  }

  /** This node has another endpoint outside, or its NAT another kind. */
  onOwnChange (): void {
    if (this.#isStopped || this.#chosen?.kind === 'direct' || this.#chosen?.kind === 'nat') return
    this.#upgrade.online()
    this.#begin('the own NAT has changed', false)
  }

  /** Another helper is registered. */
  onHelper (): void {
    if (this.#search === undefined) {
      if (this.#isCut) this.#begin('a helper has registered this node', true)
      return
    }
    this.#askHelper()
    if (this.#search?.takesProxy === true) this.#askProxy()
  }

  /** It may be this node that others do not find any more, and what was found out before may not hold. */
  #cut (why: string): void {
    this.#isCut = true
    this.#upgrade.online()
    this.#init.helpers.check()
    this.#begin(why, true)
  }

  /** @param isUrgent a proxy is asked at once */
  #begin (why: string, isUrgent: boolean): void {
    const { clock, isDirect } = this.#init
    if (this.#search !== undefined) {
      if (isUrgent) this.#takeProxy()
      return
    }
    clock.clear(this.#timer)
    this.#timer = undefined
    this.history.add(why)
    this.#search = { attempts: new Set(), asked: new Set(), proxies: new Set(), takesProxy: false }
    const needsProxy = this.#chosen === undefined
    this.#deadlineTimer = clock.set(PROXY_AFTER, () => {
      if (needsProxy) this.#takeProxy()
      this.#endIfDone(true)
    })
    if (isDirect) {
      if (this.#init.endpoint !== undefined) this.#ask(this.#directAttempt(this.#init.endpoint))
      this.#askHelper()
    }
    if (needsProxy && (isUrgent || !isDirect)) this.#takeProxy()
  }

  #ask (attempt: Attempt & { start (): void }): void {
    this.#search?.attempts.add(attempt)
    attempt.start()
  }

  /** Asks one helper, and the next one a moment later. */
  #askHelper (): void {
    const { clock, helpers, isDirect } = this.#init
    const search = this.#search
    clock.clear(this.#helperTimer)
    if (search === undefined || !isDirect || search.asked.size >= MAX_ASKED) return
    const helper = helpers.registered.find((one) => !search.asked.has(one))
    if (helper === undefined) return
    search.asked.add(helper)
    this.#helperTimer = clock.set(HELPER_STAGGER, () => { this.#askHelper() })
    this.#ask(this.#natAttempt(helper))
  }

  #directAttempt (endpoint: Endpoint): DirectAttempt {
    const attempt: DirectAttempt = new DirectAttempt({ ...this.#attemptInit(() => attempt), named: endpoint, resolve: this.#init.resolve })
    return attempt
  }

  #natAttempt (helper: Helper): NatAttempt {
    const attempt: NatAttempt = new NatAttempt({
      ...this.#attemptInit(() => attempt),
      helper,
      onChance: (chance) => { if (chance !== 'good') this.#takeProxy() }
    })
    return attempt
  }

  #attemptInit (attempt: () => Attempt): AttemptInit {
    const { requests, target, ownKind, ownEndpoints } = this.#init
    return {
      requests,
      target,
      ownKind,
      ownEndpoints,
      note: (text) => { this.history.add(text) },
      onPath: (kind, endpoint) => {
        this.#search?.attempts.delete(attempt())
        this.#endSearch()
        this.#searchAfter(this.#chosen === undefined ? UNUSED : this.#upgrade.next()) // unless it works
        this.#found(this.#init.openDatagramPath(kind, endpoint))
      },
      onFailed: (reason) => { this.#failed(attempt(), reason) }
    }
  }

  #failed (attempt: Attempt, reason: string): void {
    this.history.add(reason)
    this.#search?.attempts.delete(attempt)
    this.#askHelper()
    this.#endIfDone(false)
  }

  /** From now on proxies are asked, if none is in use. */
  #takeProxy (): void {
    if (this.#search === undefined || this.#search.takesProxy || this.#chosen !== undefined) return
    this.#search.takesProxy = true
    this.#askProxy()
  }

  #askProxy (): void {
    const { clock, helpers, requests, own, target, isPlain, isShunned } = this.#init
    const search = this.#search
    clock.clear(this.#proxyTimer)
    if (search === undefined || search.proxies.size >= MAX_ASKED) return
    const isInUse = (helper: Helper): boolean => this.#pathBy(helper) !== undefined
    const left = helpers.registered.filter((one) => !search.proxies.has(one) && !isShunned(one.endpoint))
    const proxy = left.find((one) => !isInUse(one)) ?? left[0]
    if (proxy === undefined) return
    search.proxies.add(proxy)
    this.#proxyTimer = clock.set(PROXY_STAGGER, () => { this.#askProxy() })
    const name = endpointText(proxy.endpoint)
    const attempt: ProxyAttempt = new ProxyAttempt({
      requests,
      own,
      proxy,
      target,
      isPlain,
      onSession: (session, key) => { this.#onSession(attempt, proxy, session, key) },
      onFailed: (reason) => { this.#failed(attempt, `${name}: ${reason}`) }
    })
    this.#ask(attempt)
  }

  #onSession (attempt: ProxyAttempt, proxy: Helper, session: Uint8Array, key: Uint8Array | undefined): void {
    const { clock, openProxyPath } = this.#init
    if (this.#isStopped) return
    const before = this.#pathBy(proxy)
    const path = openProxyPath(proxy, session, key)
    if (before !== undefined && before !== path) before.close()
    clock.clear(this.#proxyTimer)
    this.#search?.attempts.delete(attempt) // it goes on by itself, as another key may follow
    for (const other of this.#search?.attempts ?? []) {
      if (!(other instanceof ProxyAttempt)) continue
      other.close()
      this.#search?.attempts.delete(other)
    }
    this.#found(path)
    this.#endIfDone(false)
  }

  #found (path: Path | undefined): void {
    if (path === undefined || this.#paths.has(path)) return
    this.#paths.add(path)
    this.history.add(`has found the path ${pathText(path)}`)
  }

  #pathBy ({ endpoint }: Helper): Path | undefined {
    for (const path of this.#paths) if (path.kind === 'proxy' && endpointText(path.endpoint) === endpointText(endpoint)) return path
    return undefined
  }

  /** @param isLate there may have been nobody to ask */
  #endIfDone (isLate: boolean): void {
    const search = this.#search
    if (search === undefined || search.attempts.size > 0) return
    if (!isLate && this.#chosen === undefined && !search.takesProxy) {
      this.#takeProxy()
      return
    }
    this.#endSearch()
    if (this.#isStopped) return
    this.#problem = problemOf(search)
    const isHurried = this.#isHurried
    this.#isHurried = false
    if (this.#paths.size > 0 && !this.#isCut) this.#searchAfter(this.#upgrade.next())
    else this.#searchAfter(isHurried ? RETRY.first : this.#retry.next())
  }

  #endSearch (): void {
    const { clock } = this.#init
    clock.clear(this.#helperTimer)
    clock.clear(this.#proxyTimer)
    clock.clear(this.#deadlineTimer)
    const search = this.#search
    this.#search = undefined
    for (const attempt of search?.attempts ?? []) attempt.close()
  }

  #searchAfter (ms: number): void {
    const { clock } = this.#init
    clock.clear(this.#timer)
    this.#timer = clock.set(ms, () => {
      const hasNone = this.#chosen === undefined
      this.#begin(hasNone ? 'looks for a path again' : 'looks for a better path', hasNone)
    })
  }
}

function problemOf ({ asked, proxies }: Search): string {
  if (asked.size === 0 && proxies.size === 0) return 'no path: no relay that may be used has registered this node'
  return 'no path: the node is not registered with the same relays, or does not let this one connect, or a clock is more than 30 s off'
}

export const pathText = ({ kind, endpoint }: Path): string => `${kind} ${endpointText(endpoint)}`
