/** One mapped port of a peer: connects, registers, serves, and reconnects. */
import { Health, IN_DOUBT } from './health.ts'
import { answerOf, dialServer } from './dial.ts'
import { dialData, type DataConnection, type ControlSession } from './data-connection.ts'
import { STRICT, type OpenDataChannel } from '../protocol/messages.ts'
import type { GotunnelRefusal } from '../protocol/reasons.ts'
import { RefusedError } from './errors.ts'
import { PeerSession, type SessionMapping } from './session.ts'
import { withTimeout } from '../protocol/with-timeout.ts'
import { newMapStats, type MapState, type MapStats, type MapStatus, type PeerSettings } from './settings.ts'
import type { PortMap } from './options.ts'
import { Reconnector } from '../../common/reconnector.ts'
import { Semaphore } from '../../../limits/semaphore.ts'
import { TrafficRateMeter } from '../../../limits/rate-meter.ts'
import { Backoff, type BackoffInit } from '../../../limits/backoff.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import type { BufferBudget } from '../../../limits/buffer-budget.ts'
import type { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { LinkClosedError } from '../../../errors.ts'
import { reasonOf } from '../../../text/printable.ts'
import type { Timer } from '../../../types.ts'

/** Connections to the service being made at one time: a burst of users must not overload it. */
const MAX_DIALS = 128

/** Milliseconds for a service to accept a probe (gotunnel protocol, section 4). */
const PROBE_TIMEOUT = 1000

export interface PortMappingEvents {
  onOnline (map: PortMap, mode: 'strict' | 'compatible'): void
  onOffline (map: PortMap, err: Error, wait: number): void
  /** The server rejects the port, for another reason than before; the next attempt follows after `wait` milliseconds. */
  onRefused (map: PortMap, err: RefusedError, wait: number): void
  /** @param reason of the last failed connection to it */
  onService (map: PortMap, isUp: boolean, reason: string | undefined): void
}

export class PortMapping implements SessionMapping {
  readonly map: PortMap
  readonly settings: PeerSettings
  readonly stats = newMapStats()
  readonly log: RateLimitedLog
  /** Buffers for users of all maps, by map. */
  readonly buffers: BufferBudget
  readonly unanswered: UnansweredWatch
  /** Data connections, each with the promise of its end. */
  readonly connections = new Map<DataConnection, Promise<void>>()
  readonly semaphore = new Semaphore(MAX_DIALS)
  readonly #events: PortMappingEvents
  readonly #rates: TrafficRateMeter
  readonly #backoff: Backoff
  /** Used while the server rejects the port. */
  readonly #slowBackoff: Backoff
  /** The last rejection that was reported. */
  #rejection: GotunnelRefusal | undefined
  #isGivenUp = false
  readonly #health = new Health()
  readonly #stopping = new AbortController()
  readonly #reconnector: Reconnector
  #state: MapState = 'idle'
  #reason: string | undefined
  #session: PeerSession | undefined
  #onlineAt: number | undefined
  #probeTimer: Timer | undefined
  /** Data connections being made only to be closed. */
  #declining = 0
  #isProbing = false
  /** The error of the last failed connection to the service. */
  #serviceError: string | undefined
  /** When a user's connection to the service last failed. */
  #failedAt = -Infinity

  constructor (map: PortMap, settings: PeerSettings, backoff: BackoffInit | undefined, log: RateLimitedLog, { buffers, unanswered }: Pick<PortMapping, 'buffers' | 'unanswered'>, events: PortMappingEvents) {
    this.map = map
    this.settings = settings
    this.log = log
    this.buffers = buffers
    this.unanswered = unanswered
    this.#events = events
    this.#rates = new TrafficRateMeter(settings.clock.now())
    this.#backoff = new Backoff({ clock: settings.clock, ...backoff })
    this.#slowBackoff = new Backoff({ clock: settings.clock, ...settings.refusedBackoff })
    this.#reconnector = new Reconnector({
      clock: settings.clock,
      signal: this.#stopping.signal,
      attempt: (signal) => this.#attempt(signal),
      onLost: (err) => this.#lost(err)
    })
  }

  get state (): MapState { return this.#state }

  get #hasProbes (): boolean { return this.settings.probeInterval > 0 }

  get isStopped (): boolean { return this.#stopping.signal.aborted }

  /** The counters and gauges. */
  get numbers (): MapStats { return { ...this.stats, bufferedBytes: this.buffers.heldBy(this) } }

  /** Samples the counters, for rates. */
  sample (now: number): void { this.#rates.sample(this.stats, now) }

  status (now: number): MapStatus {
    const { remotePort, local } = this.map
    return {
      ...this.numbers,
      remotePort,
      local: endpointText(local),
      state: this.#state,
      mode: this.#session === undefined ? undefined : this.#session.isStrict ? 'strict' : 'compatible',
      service: this.#health.isUp ? 'up' : 'down',
      reason: this.#reason,
      connected: this.#onlineAt === undefined ? undefined : Math.round((now - this.#onlineAt) / 1000),
      ...this.#rates.perSecond
    }
  }

  /** Runs until `stop`. A rejected port is retried rarely, as the server's settings may change; never rejects. */
  async run (): Promise<void> {
    await this.#reconnector.run()
    if (!this.#isGivenUp) this.#state = 'stopped'
  }

  /** Retries a rejected port at once: the server may have been replaced. */
  retry (): void { if (this.#state === 'degraded') this.#reconnector.wake() }

  /** Stops without further attempts; state and reason are kept. */
  giveUp (): void {
    this.#isGivenUp = true
    this.stop()
  }

  /** @returns milliseconds until the next attempt */
  #lost (err: Error): number {
    this.stats.failures++
    this.#reason = reasonOf(err)
    if (err instanceof RefusedError && err.isPermanent) return this.#rejected(err)
    const wait = this.#backoff.next()
    this.#state = 'waiting'
    this.#events.onOffline(this.map, err, wait)
    return wait
  }

  #rejected (err: RefusedError): number {
    const wait = this.#slowBackoff.next()
    this.#state = 'degraded'
    if (this.#rejection !== err.reason) this.#events.onRefused(this.map, err, wait)
    this.#rejection = err.reason
    return wait
  }

  /** Leaves the server. Users that are being served stay. */
  stop (): void {
    this.#stopping.abort(new LinkClosedError('the peer was closed'))
    this.#session?.end(this.#stopping.signal.reason)
  }

  /** Records whether a connection to the service could be made. Of users that fail at once only one counts, so that a short outage is not `down`. */
  reportService (isThere: boolean, err?: Error): void {
    this.#serviceError = err?.message ?? this.#serviceError
    if (!this.#hasProbes) return // without probes it would never be found up again
    const now = this.settings.clock.now()
    if (!isThere && now - this.#failedAt < IN_DOUBT) return
    if (!isThere) this.#failedAt = now
    if (this.#health.see(isThere)) this.#sendServiceState()
    else if (!isThere) this.#scheduleProbe()
  }

  /**
   * Compatible mode: makes the data connection for a user that is not served, as the server would give the next one to it. It is closed
   * at once, which ends the user.
   */
  decline (session: ControlSession, message: OpenDataChannel): void {
    if (this.#declining >= MAX_DIALS) {
      session.end(new Error('the server asks for more connections than can be made')) // the next registration starts with an empty queue
      return
    }
    this.#declining++
    const made = withTimeout(this.settings.clock, this.settings.dialTimeout, this.#stopping.signal, async (timeoutSignal) => await dialData(session, message, timeoutSignal))
    made.then((link) => { link.abort(new LinkClosedError('the user is declined')) }, () => {}).finally(() => { this.#declining-- })
  }

  async #attempt (signal: AbortSignal): Promise<void> {
    this.#state = 'connecting'
    try {
      await this.#serve(signal)
    } finally {
      this.#session = this.#onlineAt = undefined
      this.settings.clock.clear(this.#probeTimer)
    }
  }

  async #serve (signal: AbortSignal): Promise<void> {
    const { mode, token, name, dialTimeout, proxyProtocol, clock } = this.settings
    const { remotePort, local } = this.map
    const register = { type: 'register', local_port: local.port, remote_port: remotePort, protocol: 'tcp', token, name }
    const { answer, rest: link } = await withTimeout(clock, dialTimeout, signal, async (timeoutSignal) => {
      const dialled = await dialServer(this.settings, mode === 'compatible' ? register : { ...register, tunpipe: STRICT, acknowledge: 1, addresses: proxyProtocol ? 1 : undefined }, timeoutSignal)
      return await answerOf(dialled, this.settings.tls !== undefined, timeoutSignal)
    })
    const isStrict = mode !== 'compatible' && answer.tunpipe === STRICT
    if (mode === 'strict' && !isStrict) {
      const err = new RefusedError('the server does not offer strict mode', 'no_strict')
      link.abort(err)
      throw err
    }
    const session = this.#session = new PeerSession(this, link, isStrict, isStrict && answer.acknowledge === 1)
    this.#state = 'online'
    this.#onlineAt = this.settings.clock.now()
    this.#reason = undefined
    this.#backoff.online()
    this.#slowBackoff.online()
    this.#rejection = undefined
    this.#events.onOnline(this.map, isStrict ? 'strict' : 'compatible')
    if (!this.#health.isUp) this.#sendServiceState() // the server assumes that the service of a new registration is up
    if (this.#hasProbes) void this.#runProbe()
    if (signal.aborted) session.end(signal.reason)
    await session.run()
  }

  /**
   * An original server listens again after `online_port`, but no longer knows the client to ask for data connections: it closes every
   * user at once, and keeps the port until it restarts. So the port is registered anew instead, which works.
   */
  #sendServiceState (): void {
    const { isUp } = this.#health
    const session = this.#session
    if (isUp && session?.isStrict === false) session.end(new Error('the service is back, and the port is registered anew'))
    else session?.send({ type: isUp ? 'online_port' : 'offline_port', port: this.map.remotePort })
    this.#events.onService(this.map, isUp, this.#serviceError)
  }

  /** Schedules the next probe. */
  #scheduleProbe (): void {
    this.settings.clock.clear(this.#probeTimer)
    if (!this.#hasProbes || this.#session === undefined) return
    this.#probeTimer = this.settings.clock.set(this.#health.next(this.settings.probeInterval), () => { void this.#runProbe() }).unref()
  }

  async #runProbe (): Promise<void> {
    if (this.#isProbing) return // started by the previous connection; it probes the same service
    this.#isProbing = true
    const { dial, clock } = this.settings
    const isThere = await withTimeout(clock, PROBE_TIMEOUT, undefined, async (signal) => await dial({ ...this.map.local, signal, clock })).then((link) => {
      link.abort(new LinkClosedError('only a probe'))
      return true
    }, (err: Error) => {
      this.#serviceError = err.message
      return false
    })
    this.#isProbing = false
    if (this.#session === undefined) return
    if (this.#health.see(isThere)) this.#sendServiceState()
    this.#scheduleProbe()
  }
}
