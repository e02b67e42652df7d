/** A candy server: accepts connections, authenticates clients, and forwards packets between them. */
import { Admission } from './admission.ts'
import { LeaseStore } from './lease-store.ts'
import { receiver } from './control.ts'
import { CandyMessageError } from '../protocol/messages.ts'
import type { Network, NetworkContext } from './network.ts'
import { Networks, type NetworkChanges } from './networks.ts'
import type { ForwardingPlane } from './forwarding-plane.ts'
import { readRelay, RELAY_FRAMES, type CandyNetworksInit, type CandyRelayInit, type CandyRelayOptions, type RelaySettings } from './settings.ts'
import type { Tap } from './member.ts'
import { clientOf, Session } from './session.ts'
import { closeFor } from '../protocol/closings.ts'
import { addStats, type CandyNetworkStats, type CandyRelayStats, type CandyRejectReason } from './stats.ts'
import { networkStatus, type CandyRelayStatus } from './status.ts'
import { Taps, type TapFilter } from './taps.ts'
import { AcceptedConnections } from '../../common/accepted-connections.ts'
import { lingeringClose } from '../../common/lingering-close.ts'
import { reject } from '../../common/reject.ts'
import { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import type { Handler } from '../../../transforms/type-demux.ts'
import { WebSocketProtocolError, type Tolerance, type WebSocketFramesInit, type WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import type { ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../limits/connection-limiter.ts'
import { LinkClosedError } from '../../../errors.ts'
import { silent } from '../../../log.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { printable } from '../../../text/printable.ts'
import type { Batch, Clock } from '../../../types.ts'

/**
 * An accepted link. Without a path it is for `/`; without a slot it goes through the limiter of the relay now.
 */
export type CandyRelayLink = WebSocketLink & ConnectionInfo

const TICK = 1000

/** Bytes of an unknown path that are logged. */
const MAX_LOGGED_PATH = 64

/**
 * ```ts
 * const relay = new CandyRelay({ password, dhcp: '10.77.0.0/24' })
 * for await (const link of listenWebSocket({ port: 8080, frames: relay.frames, limiter: relay.limiter })) void relay.accept(link)
 * ```
 */
export class CandyRelay {
  /** Every connection goes through it; a listener with this limiter rejects connections before their handshake. */
  readonly limiter: ConnectionLimiter
  readonly leases: LeaseStore
  /** Frame settings for its listener: messages of at most 1500 bytes (candy protocol, section 1.1). */
  readonly frames: Readonly<Omit<WebSocketFramesInit, 'role'>>
  /** Read for each frame, so that it can change. */
  readonly #tolerate: Tolerance
  readonly #clock: Clock
  #settings: RelaySettings
  readonly #context: NetworkContext
  readonly #forwardingPlane: ForwardingPlane | undefined
  readonly #networks: Networks
  readonly #admission: Admission
  readonly #receive: Handler<Session>
  readonly #sessions = new Set<Session>()
  readonly #connections: AcceptedConnections
  readonly #timer: Interval
  readonly #taps = new Taps()
  #accepted = 0
  /** Rejections before a network was known. */
  readonly #refused = { path: 0 }
  /** Milliseconds of a monotonic clock, as of the last tick: exact enough for timeouts. */
  #ticks: number
  #closing = false

  /** @throws {OptionError} when an option is invalid */
  constructor (init: CandyRelayInit)
  /**
   * @internal
   * @param forwardingPlane forwards packets in place of the relay
   */
  constructor (init: CandyRelayInit, forwardingPlane: ForwardingPlane | undefined)
  constructor (init: CandyRelayInit, forwardingPlane?: ForwardingPlane) {
    const { leases = new LeaseStore(), log = silent, clock = systemClock } = init
    const settings = this.#settings = readRelay(init)
    this.limiter = new ConnectionLimiter(settings.limiter)
    this.leases = leases
    this.#connections = new AcceptedConnections(this.limiter, log, clock)
    this.#clock = clock
    this.#tolerate = { unmasked: settings.lenient }
    this.frames = { ...RELAY_FRAMES, clock, tolerate: this.#tolerate }
    this.#ticks = clock.now()
    this.#forwardingPlane = forwardingPlane
    this.#context = { clock, log: new RateLimitedLog(log), queued: 0, queueTotal: settings.queueTotal, parts: 1, forwardingPlane }
    this.#networks = new Networks(this.#context, leases)
    this.#networks.configure(settings.networks)
    const admission = this.#admission = new Admission({ ...settings, clock })
    this.#receive = receiver(admission, (session) => { this.#tap(session) })
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the listener keeps the process alive
  }

  /** The sum over all networks and connections. */
  get stats (): CandyRelayStats {
    const { refused, ...connections } = this.connectionStats
    const stats = { ...connections, ...this.#networks.stats }
    addStats(stats.refused, refused)
    return stats
  }

  /** Counters that belong to no network: connections, and rejections before a network was known. */
  get connectionStats (): Omit<CandyRelayStats, keyof CandyNetworkStats> & { refused: Pick<Record<CandyRejectReason, number>, 'path' | 'protocol' | 'source' | 'limit'> } {
    const stats = this.#forwardingPlane?.limiterStats(this.limiter) ?? this.limiter.stats
    return {
      connections: this.#sessions.size,
      halfOpen: stats.halfOpen,
      accepted: this.#accepted,
      refused: { ...this.#refused, ...this.#connections.refused(stats) }
    }
  }

  /** Logs a connection that does not speak WebSocket; called by the owner of the listener. */
  protocolMismatch (mismatch: ProtocolMismatch): void { this.#connections.protocolMismatch(mismatch) }

  /** Counters of each network, by path; empty for one without a path. */
  get networkStats (): Array<CandyNetworkStats & { path: string }> {
    return Array.from(this.#networks, ({ stats, settings: { path = '' } }) => ({ path, ...stats }))
  }

  /** @internal */
  get networks (): Iterable<Network> { return this.#networks }

  /** The current networks and members, for display. */
  status (): CandyRelayStatus {
    const now = this.#clock.now()
    return { ...this.stats, networks: Array.from(this.#networks, (network) => networkStatus(network, now)) }
  }

  /** Serves one connection; settles when it has ended, and never rejects. */
  accept (link: CandyRelayLink): Promise<void> {
    this.#accepted++
    return this.#connections.accept(link, (slot) => this.#accept(link, slot))
  }

  /**
   * Changes the settings. Connections whose network, password, range and routes are the same stay.
   *
   * @throws {OptionError} when a setting is invalid; then nothing has changed
   */
  configure (init: CandyRelayOptions & CandyNetworksInit): NetworkChanges {
    const settings = readRelay(init)
    this.limiter.configure(settings.limiter)
    this.#settings = settings
    this.#tolerate.unmasked = settings.lenient
    this.#context.queueTotal = settings.queueTotal
    this.#admission.configure(settings)
    this.#forwardingPlane?.configure(settings)
    return this.#networks.configure(settings.networks)
  }

  /** Adds a tap; the function that it returns removes it. */
  tap (filter: TapFilter, tap: Tap): () => void {
    const update = (): void => {
      for (const session of this.#sessions) this.#tap(session)
    }
    this.#taps.add(filter, tap)
    update()
    return () => {
      this.#taps.remove(tap)
      update()
    }
  }

  /**
   * Pings and ends silent clients. The relay itself calls it once a second.
   *
   * @internal
   * @param now milliseconds of a monotonic clock
   */
  tick (now: number): void {
    const { authTimeout, dropAfter, pingAfter } = this.#settings
    this.#ticks = now
    this.#context.log.tick()
    for (const network of this.#networks) network.tick(now)
    for (const session of this.#sessions) {
      const silence = now - session.heardAt
      if (session.address === 0 && now - session.since >= authTimeout) session.reject('timeout', `no AUTH, expected within ${authTimeout} ms`)
      else if (silence >= dropAfter) session.reject('timeout', `nothing received, expected a frame within ${dropAfter} ms`)
      else if (silence >= pingAfter) session.link.ping()
    }
  }

  /** Closes all connections with 1001 and accepts no more; settles when they have ended. */
  async close (): Promise<void> {
    this.#closing = true
    this.#timer.stop()
    for (const network of this.#networks) network.close('stopping')
    await this.#connections.gone()
  }

  async #accept (link: CandyRelayLink, slot: ConnectionSlot | undefined): Promise<void> {
    if (slot === undefined) {
      closeFor(link, 'limit')
      link.abort(new LinkClosedError('too many connections')) // without a close frame, as that would keep the connection open longer
      return
    }
    const { remote, path = '/' } = link
    const network = this.#networks.find(path)
    if (this.#closing) await lingeringClose(link, this.#clock, (link) => { closeFor(link, 'stopping') })
    else if (network === undefined) await this.#unknownPath(link, path)
    else await this.#serve(new Session(link, network, remote, slot, this.#ticks))
  }

  async #unknownPath (link: CandyRelayLink, path: string): Promise<void> {
    const what = { detail: `path ${printable(path, MAX_LOGGED_PATH)}, expected that of a network` }
    await reject({ refused: this.#refused, log: this.#context.log }, 'path', { remote: link.remote }, what, (reason) => lingeringClose(link, this.#clock, (link) => { closeFor(link, reason) }))
  }

  async #serve (session: Session): Promise<void> {
    const { link, slot } = session
    this.#sessions.add(session)
    this.#forwardingPlane?.addSession(session)
    slot.evict = () => {
      session.end('limit')
      session.drop(new LinkClosedError('made room for another'))
    }
    const heard = (): void => { session.heardAt = this.#ticks }
    link.onText = link.onPong = heard // text is ignored, but proves that the client is alive
    if (this.#forwardingPlane === undefined) link.onFrames = (frames) => session.throttled(frames)
    link.onPing = (greeting) => {
      heard()
      if (session.client === '') session.client = clientOf(greeting)
      session.original.greeted(greeting)
    }
    try {
      await link.flow((batch) => {
        heard()
        this.#take(session, batch)
      })
      session.end('done')
    } catch (err) {
      if (err instanceof WebSocketProtocolError) session.reject('malformed', err.message) // the frame layer has sent the close frame
      else this.#lost(session, err as Error)
    } finally {
      this.#sessions.delete(session)
    }
  }

  #lost (session: Session, err: Error): void {
    this.#connections.lost(session.remote, err)
    session.drop(err)
  }

  /** Handles the messages of one read. A separate function without retained references, so that the buffer of a silent client's last read can be collected. */
  #take (session: Session, batch: Batch): void {
    session.refill()
    if (!session.ended && this.#forwardingPlane === undefined) session.tapped(batch, 'in')
    try {
      for (const message of batch) {
        if (session.ended) break
        session.received++
        this.#receive(message, session)
      }
    } catch (err) {
      if (!(err instanceof CandyMessageError)) throw err
      session.reject('malformed', err.message)
    } finally {
      session.network.flush(session)
      batch.length = 0
    }
  }

  #tap (session: Session): void {
    session.taps = this.#taps.of(session)
    this.#forwardingPlane?.setTaps(session)
  }
}
