/** A gotunnel server: clients register ports, and what users bring there goes to the clients. */
import { serveData } from './data-channel.ts'
import { bind, objection, serveClient } from './register.ts'
import { patiently } from '../protocol/drain.ts'
import { Identities, type Identity } from './identities.ts'
import { MAX_FIRST_FRAME, readFirst } from '../protocol/messages.ts'
import type { MappedPort } from './port.ts'
import { mayNotTry, refuse } from './refuse.ts'
import { REASONS } from '../protocol/reasons.ts'
import { readRelay, type GotunnelRelayInit, type GotunnelRelayOptions, type RelaySettings } from './settings.ts'
import type { Session } from './session.ts'
import type { Caller, Shared } from './shared.ts'
import { newRefused, newTraffic, type GotunnelRelayStats } from './stats.ts'
import { UserGates } from './user-gates.ts'
import { BoundedLog } from '../../../limits/bounded-log.ts'
import { BufferBudget } from '../../../limits/buffer-budget.ts'
import { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import { LinkClosedError } from '../../../errors.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { silent, type Logger } from '../../../log.ts'
import { firstFrame } from '../../../transforms/first-frame.ts'
import { FrameSizeError, u32be } from '../../../transforms/length-codecs.ts'
import type { Foreigner } from '../../../transports/first-read.ts'
import { ForeignerLog } from '../../../transports/foreigner-log.ts'
import { spokenBy } from '../../../transports/spoken.ts'
import { Gate, type Pass } from '../../../limits/gate.ts'
import { canonical } from '../../../net/source.ts'
import { SourceRate } from '../../../limits/source-rate.ts'
import type { Clock, Endpoint, Link } from '../../../types.ts'

const TICK = 1000

/** Ticks between two attempts to listen where that was not possible. */
const RETRY = 5

/** Milliseconds that users have to come to their end when the relay stops. */
const DRAIN = 3000

const failuresOf = ({ authFailures }: RelaySettings): SourceRate => new SourceRate({ rate: authFailures / 60, burst: authFailures })

/** Where a link comes from; a link of a listener is one itself. */
export interface Arrival {
  remote: Endpoint
  /** That of the relay's own gate, which it has been through already. Default: it goes through now. */
  pass?: Pass
}

/** What has come of other settings. */
export interface Reconfigured {
  /** Control connections that were ended. */
  ended: number
}

/**
 * ```ts
 * const relay = new GotunnelRelay({ identities: [{ name: 'home', token, ports: '10000-20000' }] })
 * for await (const link of listenTcp({ port: 17000, gate: relay.gate })) void relay.accept(link, link)
 * ```
 */
export class GotunnelRelay {
  /** Which every control and data connection goes through. */
  readonly gate: Gate
  readonly #shared: Shared
  readonly #log: Logger
  readonly #foreigners: ForeignerLog
  readonly #timer: Interval
  /** Settle when their connection is gone. */
  readonly #serving = new Set<Promise<void>>()
  /** Those that have not said yet what they are for. */
  readonly #silent = new Set<Link>()
  #ticks = 0
  /** Users turned away of which the log knows. */
  #told = { source: 0, total: 0 }

  /** Throws `OptionError` when an option cannot work. */
  constructor ({ log = silent, clock = systemClock, ...init }: GotunnelRelayInit) {
    const settings = readRelay(init)
    this.gate = new Gate(settings.gate)
    this.#log = log
    this.#foreigners = new ForeignerLog(log, clock)
    this.#shared = {
      settings,
      clock,
      identities: new Identities(clock),
      ports: new Map(),
      sessions: new Set(),
      used: new Set(),
      users: new UserGates(settings),
      buffers: new BufferBudget({ limit: settings.bufferTotal, stalledAfter: settings.stallTimeout, clock }),
      unanswered: new UnansweredWatch(settings.unansweredTimeout, clock),
      failures: failuresOf(settings),
      log: new BoundedLog(log),
      refusals: new BoundedLog(log),
      refused: newRefused(),
      traffic: newTraffic(),
      heldMessages: 0,
      isClosing: false,
      carriers: 0,
      now: clock.now()
    }
    this.#shared.identities.configure(settings.identities)
    this.#shared.users.configure(settings, this.#shared.identities)
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the listener keeps the process alive
  }

  get stats (): GotunnelRelayStats {
    const { refused, traffic, sessions, ports, heldMessages, buffers } = this.#shared
    const { halfOpen, turnedAway, evicted } = this.gate.stats
    return {
      ...traffic,
      halfOpen,
      clients: sessions.size,
      heldMessages,
      bufferedBytes: buffers.held,
      ports: ports.size,
      refused: { ...refused, protocol: this.#foreigners.count, source: turnedAway.source, limit: turnedAway.total + evicted },
      turnedAway: { ...this.#shared.users.all.stats.turnedAway }
    }
  }

  /** What it measures and waits by. */
  get clock (): Clock { return this.#shared.clock }

  get identities (): Iterable<Identity> { return this.#shared.identities }

  /** Bytes that are kept for the users of one identity. */
  bufferedBy (identity: Identity): number { return this.#shared.buffers.heldBy(identity) }

  /** Users of one identity that were not let in. */
  turnedAwayOf (identity: Identity): GotunnelRelayStats['turnedAway'] { return this.#shared.users.turnedAwayOf(identity) }

  /** Clients that have no port yet. */
  get waiting (): Session[] { return [...this.#shared.sessions].filter(({ isWaiting }) => isWaiting) }

  get ports (): Iterable<MappedPort> { return this.#shared.ports.values() }

  /** Serves one connection to the control port; settles when it has ended, and never rejects. */
  accept (link: Link, arrival: Arrival): Promise<void> {
    const serving = this.#accept(link, arrival).finally(() => { this.#serving.delete(serving) })
    this.#serving.add(serving)
    return serving
  }

  /** Somebody speaks another protocol than the one of the control port: to be told by whoever listens there. */
  foreign (foreigner: Foreigner): void { this.#foreigners.add(foreigner) }

  /**
   * Other settings from now on. Clients whose identity and port are still allowed stay, with a new token as well. Users of a
   * port that is not allowed any more stay, those of an identity that is gone do not.
   *
   * Throws `OptionError` when something cannot work; then nothing has changed.
   */
  configure (init: GotunnelRelayOptions): Reconfigured {
    const { firstFrameTimeout, dropAfter, waitTimeout, acknowledgeTimeout, bind } = this.#shared.settings
    const settings = readRelay({ ...init, firstFrameTimeout, dropAfter, waitTimeout, acknowledgeTimeout, bind })
    this.gate.configure(settings.gate)
    if (settings.authFailures !== this.#shared.settings.authFailures) this.#shared.failures = failuresOf(settings)
    this.#shared.settings = settings
    this.#shared.buffers.limit = settings.bufferTotal
    const removed = this.#shared.identities.configure(settings.identities)
    this.#shared.users.configure(settings, this.#shared.identities)
    for (const port of this.#shared.ports.values()) port.configure()
    let ended = 0
    for (const session of this.#shared.sessions) {
      const why = objection(this.#shared, session)
      if (why === undefined) continue
      ended++
      // Its token may be that of an identity with another name by now: then it is to come again.
      const isKnown = why === 'token' && this.#shared.identities.find(session.proof) !== undefined
      session.end('removed', isKnown ? 'the settings have changed' : REASONS[why])
    }
    for (const port of this.#shared.used) if (removed.includes(port.identity)) port.cut()
    return { ended }
  }

  /**
   * Drops silent clients and users that have waited too long. Called once a second by the relay itself.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  tick (now: number): void {
    const { log, refusals, sessions, ports, settings: { dropAfter } } = this.#shared
    this.#shared.now = now
    log.tick()
    refusals.tick()
    this.#tellTurnedAway()
    for (const session of sessions) {
      if (now - session.heardAt >= dropAfter) session.end('timeout', 'no ping')
    }
    for (const port of ports.values()) port.tick()
    if (++this.#ticks % RETRY !== 0) return
    for (const port of ports.values()) if (port.wantsOnline) port.open().catch(() => {})
    for (const session of this.waiting) if (!ports.has(session.remotePort)) void bind(this.#shared, session)
  }

  /** Takes no more, ends all clients, gives users a moment to come to their end, and settles when all are gone. */
  async close (): Promise<void> {
    this.#shared.isClosing = true
    this.#timer.stop()
    for (const port of this.#shared.ports.values()) port.end()
    for (const session of this.#shared.sessions) session.end('removed', 'the relay is stopping')
    for (const link of this.#silent) link.abort(new LinkClosedError('the relay is stopping')) // nobody waits for their first frame
    await patiently(this.#shared.clock, Promise.all(this.#serving), DRAIN, () => { for (const port of this.#shared.used) port.cut() })
  }

  #tellTurnedAway (): void {
    const { log, users: { all: { stats: { turnedAway } } } } = this.#shared
    for (const why of ['source', 'total'] as const) {
      const count = turnedAway[why] - this.#told[why]
      if (count > 0) log.line('warn', { count }, why === 'source' ? 'users turned away: too many from one address' : 'users turned away: too many in all, or of their identity beside what others have reserved')
    }
    this.#told = { ...turnedAway }
  }

  async #accept (link: Link, { remote, pass = this.gate.enter(remote.host, () => { link.abort(new LinkClosedError('made room')) }) }: Arrival): Promise<void> {
    if (pass === undefined || this.#shared.isClosing) {
      link.abort(new LinkClosedError('too many connections'))
      return
    }
    try {
      await this.#serve(link, remote, pass)
    } catch (err) {
      link.abort(err as Error)
      const fields = { remote, reason: (err as Error).message }
      const spoken = err instanceof FrameSizeError && err.first !== undefined ? spokenBy(err.first) : undefined
      if (spoken !== undefined && spoken.protocol !== 'unknown') {
        this.foreign({ spoken, expected: 'gotunnel', remote })
      } else if (err instanceof FrameSizeError) {
        this.#shared.refused.malformed++
        this.#shared.refusals.line('warn', { ...fields, why: 'malformed' }, 'connection refused')
      } else if ('code' in (err as Error)) {
        this.#log.debug(fields, 'connection lost')
      } else {
        this.#log.error({ ...fields, err }, 'connection ended by a fault of the relay')
      }
    } finally {
      pass.leave()
    }
  }

  async #serve (link: Link, remote: Endpoint, pass: Pass): Promise<void> {
    const shared = this.#shared
    const timer = shared.clock.set(shared.settings.firstFrameTimeout, () => {
      shared.refused.timeout++
      link.abort(new LinkClosedError('no first frame in time'))
    })
    this.#silent.add(link)
    const { frame, rest } = await firstFrame(link, u32be, { maxFrame: MAX_FIRST_FRAME }).finally(() => {
      shared.clock.clear(timer)
      this.#silent.delete(link)
    })
    if (frame === undefined) { // it left without a word, as a probe does
      link.abort(new LinkClosedError('nothing was said'))
      return
    }
    // An address of IPv4 has another form on a socket of IPv6.
    const caller: Caller = { link: rest, remote: { ...remote, host: canonical(remote.host) }, pass }
    const message = readFirst(frame)
    if (message.type === 'data_channel') return await serveData(shared, caller, message)
    if (mayNotTry(shared, caller)) return await refuse(shared, caller, 'rate')
    const proof = shared.identities.proofOf(message.token)
    const identity = shared.identities.find(proof)
    if (identity !== undefined) return await serveClient(shared, caller, message, identity, proof)
    await refuse(shared, caller, 'token', { name: message.name.slice(0, 64).replaceAll(/[^\x20-\x7e]/g, '?') })
  }
}
