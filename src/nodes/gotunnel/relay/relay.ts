/** A gotunnel server: clients register ports, and connections of users to these ports are forwarded to the clients. */
import { serveData, type DataContext } from './data-channel.ts'
import { serveClient, type ClientContext } from './register.ts'
import { withDrainTimeout } from '../protocol/with-drain-timeout.ts'
import { Identities, type Identity } from './identities.ts'
import { MAX_FIRST_FRAME, readFirst } from '../protocol/messages.ts'
import type { MappedPort } from './port.ts'
import { PortRegistry, type RegistryContext } from './port-registry.ts'
import { rejectConnection, type PendingConnection } from './register-response.ts'
import { readRelay, type GotunnelRelayInit, type GotunnelRelayOptions, type RelaySettings } from './settings.ts'
import type { Session } from './session.ts'
import { newRefused, newTraffic, type GotunnelRelayStats, type GotunnelRejectReason } from './stats.ts'
import { StatusSampler, type GotunnelRelayStatus } from './status.ts'
import { UserLimiters } from './user-limiters.ts'
import { AcceptedConnections } from '../../common/accepted-connections.ts'
import { AuthThrottle } from '../../common/auth-throttle.ts'
import { reject } from '../../common/reject.ts'
import type { ConfigureResult } from '../../common/serve.ts'
import { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { BufferBudget } from '../../../limits/buffer-budget.ts'
import { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import { LinkClosedError } from '../../../errors.ts'
import { silent } from '../../../log.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { firstFrame } from '../../../transforms/first-frame.ts'
import { FrameSizeError, u32be } from '../../../transforms/length-codecs.ts'
import type { ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { detectProtocol } from '../../../transports/protocol-detection.ts'
import { listenTcp } from '../../../transports/tcp.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../limits/connection-limiter.ts'
import { normalizeAddress } from '../../../net/client-address.ts'
import type { Clock, Endpoint, Link } from '../../../types.ts'

const TICK = 1000

/** Ticks between two attempts to listen on a port that was in use. */
const RETRY = 5

/** Milliseconds for users to finish when the relay stops. */
const DRAIN = 3000

/** The context that the connections share: the contexts of all parts of the relay. */
interface RelayState extends RegistryContext, ClientContext, DataContext {
  settings: RelaySettings
  readonly refused: Record<GotunnelRejectReason, number>
  readonly rejectLog: { readonly refused: Record<GotunnelRejectReason, number>, readonly log: RateLimitedLog }
  isClosing: boolean
  now: number
}

/** An accepted link. Without a slot it goes through the limiter of the relay now. */
export type GotunnelRelayLink = Link & ConnectionInfo

/**
 * ```ts
 * const relay = new GotunnelRelay({ identities: [{ name: 'home', token, ports: '10000-20000' }] })
 * for await (const link of listenTcp({ port: 17000, limiter: relay.limiter })) void relay.accept(link)
 * ```
 */
export class GotunnelRelay {
  /** Every control and data connection goes through it. */
  readonly limiter: ConnectionLimiter
  readonly #state: RelayState
  readonly #registry: PortRegistry
  readonly #connections: AcceptedConnections
  readonly #timer: Interval
  /** Connections without a first frame. */
  readonly #halfOpen = new Set<Link>()
  readonly #sampler: StatusSampler
  #ticks = 0
  /** Rejected users that were logged. */
  #logged = { source: 0, total: 0 }

  /** @throws {OptionError} when an option is invalid */
  constructor ({ log = silent, clock = systemClock, listenForUsers = listenTcp, ...init }: GotunnelRelayInit) {
    const settings = readRelay(init)
    this.limiter = new ConnectionLimiter(settings.limiter)
    this.#connections = new AcceptedConnections(this.limiter, log, clock)
    const refused = newRefused()
    const context = {
      settings,
      clock,
      identities: new Identities(clock),
      used: new Set<MappedPort>(),
      users: new UserLimiters(settings),
      listenForUsers,
      buffers: new BufferBudget({ limit: settings.bufferTotal, stalledAfter: settings.stallTimeout, clock }),
      unanswered: new UnansweredWatch(settings.unansweredTimeout, clock),
      throttle: new AuthThrottle(settings.authFailures, clock),
      log: new RateLimitedLog(log),
      rejectLog: { refused, log: new RateLimitedLog(log) },
      refused,
      traffic: newTraffic(),
      heldMessages: 0,
      isClosing: false,
      idleConnections: 0,
      now: clock.now()
    }
    const registry = this.#registry = new PortRegistry(context)
    this.#state = Object.assign(context, { registry, ports: registry.ports })
    this.#state.identities.configure(settings.identities)
    this.#state.users.configure(settings, this.#state.identities)
    this.#sampler = new StatusSampler(this)
    this.#sampler.sample(clock.now())
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the listener keeps the process alive
  }

  /** The counters, as of now. */
  get stats (): GotunnelRelayStats {
    const { refused, traffic, registry: { sessions, ports }, heldMessages, buffers } = this.#state
    return {
      ...traffic,
      halfOpen: this.limiter.stats.halfOpen,
      clients: sessions.size,
      heldMessages,
      bufferedBytes: buffers.held,
      ports: ports.size,
      refused: { ...refused, ...this.#connections.refused(this.limiter.stats) },
      turnedAway: { ...this.#state.users.all.stats.rejected }
    }
  }

  /** The current identities, ports and clients, for display. */
  status (): GotunnelRelayStatus { return this.#sampler.status(this.#state.clock.now()) }

  /** @internal */
  get clock (): Clock { return this.#state.clock }

  /** @internal */
  get identities (): Iterable<Identity> { return this.#state.identities }

  /**
   * Bytes buffered for the users of one identity.
   *
   * @internal
   */
  bufferedBy (identity: Identity): number { return this.#state.buffers.heldBy(identity) }

  /**
   * Rejected users of one identity.
   *
   * @internal
   */
  rejectedOf (identity: Identity): GotunnelRelayStats['turnedAway'] { return this.#state.users.rejectedOf(identity) }

  /**
   * Clients without a port so far.
   *
   * @internal
   */
  get waiting (): Session[] { return this.#registry.waiting }

  /** @internal */
  get ports (): Iterable<MappedPort> { return this.#registry.ports.values() }

  /** Serves one connection to the control port; settles when it has ended, and never rejects. */
  accept (link: GotunnelRelayLink): Promise<void> {
    return this.#connections.accept(link, (slot) => this.#accept(link, slot))
  }

  /** Logs a connection that speaks another protocol; called by the owner of the listener. */
  protocolMismatch (mismatch: ProtocolMismatch): void { this.#connections.protocolMismatch(mismatch) }

  /**
   * Changes the settings. Clients whose identity and port are still allowed stay, also with a new token. Users of a
   * port that is no longer allowed stay, those of a removed identity do not.
   *
   * @throws {OptionError} when a setting is invalid; then nothing has changed
   */
  configure (init: GotunnelRelayOptions): ConfigureResult {
    const { firstFrameTimeout, dropAfter, waitTimeout, acknowledgeTimeout, unansweredTimeout, stallTimeout, bind } = this.#state.settings
    const settings = readRelay({ ...init, firstFrameTimeout, dropAfter, waitTimeout, acknowledgeTimeout, unansweredTimeout, stallTimeout, bind })
    this.limiter.configure(settings.limiter)
    this.#state.throttle.configure(settings.authFailures)
    this.#state.settings = settings
    this.#state.buffers.limit = settings.bufferTotal
    const removed = this.#state.identities.configure(settings.identities)
    this.#state.users.configure(settings, this.#state.identities)
    for (const port of this.#registry.ports.values()) port.configure()
    let ended = 0
    for (const session of this.#registry.sessions) {
      const reason = this.#registry.policyViolation(session)
      if (reason === undefined) continue
      ended++
      // The token may belong to an identity of another name by now: then the client has to register again.
      const isKnown = reason === 'token' && this.#state.identities.find(session.proof) !== undefined
      session.end('removed', isKnown ? 'changed' : reason)
    }
    for (const port of this.#state.used) if (removed.includes(port.identity)) port.abortUsers()
    return { ended }
  }

  /**
   * Ends silent clients and users that have waited too long. The relay itself calls it once a second.
   *
   * @internal
   * @param now milliseconds of a monotonic clock
   */
  tick (now: number): void {
    const { log, rejectLog, registry, settings: { dropAfter } } = this.#state
    const { sessions, ports } = registry
    this.#state.now = now
    this.#sampler.sample(now)
    log.tick()
    rejectLog.log.tick()
    this.#logRejected()
    for (const session of sessions) {
      if (now - session.heardAt >= dropAfter) session.end('timeout')
    }
    for (const port of ports.values()) port.tick()
    if (++this.#ticks % RETRY !== 0) return
    for (const port of ports.values()) if (port.wantsOnline) port.open().catch(() => {})
    for (const session of this.waiting) if (!ports.has(session.remotePort)) void registry.bind(session)
  }

  /** Accepts no more connections, ends all clients, lets users finish for a moment, and settles when all have ended. */
  async close (): Promise<void> {
    this.#state.isClosing = true
    this.#timer.stop()
    for (const port of this.#registry.ports.values()) port.end()
    for (const session of this.#registry.sessions) session.end('removed', 'stopping')
    for (const link of this.#halfOpen) link.abort(new LinkClosedError('the relay is stopping')) // without waiting for their first frame
    await withDrainTimeout(this.#state.clock, this.#connections.gone(), DRAIN, () => { for (const port of this.#state.used) port.abortUsers() })
  }

  #logRejected (): void {
    const { log, users: { all: { stats: { rejected } } } } = this.#state
    for (const reason of ['source', 'total'] as const) {
      const count = rejected[reason] - this.#logged[reason]
      if (count > 0) log.log('warn', { count }, reason === 'source' ? 'users turned away: too many from one address' : 'users turned away: too many in all, or of their identity beside what others have reserved')
    }
    this.#logged = { ...rejected }
  }

  async #accept (link: GotunnelRelayLink, slot: ConnectionSlot | undefined): Promise<void> {
    const { remote } = link
    if (slot === undefined || this.#state.isClosing) {
      link.abort(new LinkClosedError('too many connections'))
      return
    }
    try {
      await this.#serve(link, remote, slot)
    } catch (err) {
      link.abort(err as Error)
      this.#lost(remote, err as Error)
    }
  }

  #lost (remote: Endpoint, err: Error): void {
    const detected = err instanceof FrameSizeError && err.first !== undefined ? detectProtocol(err.first) : undefined
    if (detected !== undefined && detected.protocol !== 'unknown') this.protocolMismatch({ detected, expected: 'gotunnel', remote })
    else if (err instanceof FrameSizeError) reject(this.#state.rejectLog, 'malformed', { remote }, { detail: err.message }, () => {})
    else this.#connections.lost(remote, err)
  }

  async #serve (link: Link, remote: Endpoint, slot: ConnectionSlot): Promise<void> {
    const state = this.#state
    const timer = state.clock.set(state.settings.firstFrameTimeout, () => {
      state.refused.timeout++
      link.abort(new LinkClosedError('no first frame in time'))
    })
    this.#halfOpen.add(link)
    const { frame, rest } = await firstFrame(link, u32be, { maxFrame: MAX_FIRST_FRAME }).finally(() => {
      state.clock.clear(timer)
      this.#halfOpen.delete(link)
    })
    if (frame === undefined) { // closed without a first frame, as a probe does
      link.abort(new LinkClosedError('nothing was said'))
      return
    }
    // a socket of IPv6 reports IPv4 addresses as mapped ones
    const connection: PendingConnection = { link: rest, remote: { ...remote, host: normalizeAddress(remote.host) }, slot }
    const message = readFirst(frame)
    if (message.type === 'data_channel') return await serveData(state, connection, message)
    if (state.throttle.isThrottled(connection.slot)) return await rejectConnection(state, connection, 'rate')
    const proof = state.identities.proofOf(message.token)
    const identity = state.identities.find(proof)
    if (identity !== undefined) return await serveClient(state, connection, message, identity, proof)
    await rejectConnection(state, connection, 'token', { name: message.name.slice(0, 64).replaceAll(/[^\x20-\x7e]/g, '?') })
  }
}
