/** A candy server: takes connections, lets those in that know the password, and passes packets between them. */
import { Admission } from './admission.ts'
import { LeaseBook } from './lease-book.ts'
import { CandyMessageError, MessageType } from '../protocol/messages.ts'
import type { Network, Shared } from './network.ts'
import { Networks, type Reconfigured } from './networks.ts'
import type { Plane } from './plane.ts'
import { readRelay, type CandyNetworksInit, type CandyRelayInit, type CandyRelayOptions, type RelaySettings } from './settings.ts'
import type { Tap } from './member.ts'
import { clientOf, REFUSALS, Session } from './session.ts'
import { addStats, type CandyNetworkStats, type CandyRelayStats, type Refusal } from './stats.ts'
import { networkStatus, type CandyRelayStatus } from './status.ts'
import { addressed, forward } from './traffic.ts'
import { BoundedLog } from '../../../limits/bounded-log.ts'
import { typeDemux, type Handler } from '../../../transforms/type-demux.ts'
import { CloseCode, WebSocketProtocolError, type WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import type { Foreigner } from '../../../transports/first-read.ts'
import { ForeignerLog } from '../../../transports/foreigner-log.ts'
import { Gate, type Pass } from '../../../limits/gate.ts'
import { LinkClosedError } from '../../../errors.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { silent, type Logger } from '../../../log.ts'
import { printable } from '../../../text/printable.ts'
import type { Batch, Clock, Endpoint } from '../../../types.ts'

/** Where a link comes from, and what it asked for; a link of `listenWebSocket` is one itself. */
export interface Arrival {
  remote: Endpoint
  /** Path of the request. Default: `/`. */
  path?: string
  /** That of the relay's own gate, which it has been through already. Default: it goes through now. */
  pass?: Pass
}

/** Which traffic a tap is told of: that of one network, or of one of its members. */
export interface TapFilter {
  /** Path; empty for a network without one. */
  network: string
  /** Virtual address of a member. Default: all of them, and only what they send, so that nothing is told twice. */
  address?: number
}

const TICK = 1000

/** Bytes of an unknown path in the log. */
const MAX_LOGGED_PATH = 64

/**
 * ```ts
 * const relay = new CandyRelay({ password, dhcp: '10.77.0.0/24' })
 * for await (const link of listenWebSocket({ port: 8080, frames: RELAY_FRAMES, gate: relay.gate })) void relay.accept(link, link)
 * ```
 */
export class CandyRelay {
  /** Which every connection goes through; a listener that knows it lets fewer strangers in. */
  readonly gate: Gate
  readonly leases: LeaseBook
  readonly #clock: Clock
  #settings: RelaySettings
  readonly #shared: Shared
  readonly #plane: Plane | undefined
  readonly #networks: Networks
  readonly #admission: Admission
  readonly #receive: Handler<Session>
  readonly #sessions = new Set<Session>()
  /** Settle when their connection is gone. */
  readonly #serving = new Set<Promise<void>>()
  readonly #log: Logger
  readonly #foreigners: ForeignerLog
  readonly #timer: Interval
  readonly #taps = new Map<Tap, TapFilter>()
  #accepted = 0
  #unknownPaths = 0
  /** Milliseconds of a clock that only goes forward, as of the last tick: near enough for timeouts, and free to read. */
  #ticks: number
  #closing = false

  /**
   * @param plane passes packets on in its place
   * @throws {OptionError} when an option cannot work
   */
  constructor (init: CandyRelayInit, plane?: Plane) {
    const { leases = new LeaseBook(), log = silent, clock = systemClock } = init
    const settings = this.#settings = readRelay(init)
    this.gate = new Gate(settings.gate)
    this.leases = leases
    this.#log = log
    this.#clock = clock
    this.#ticks = clock.now()
    this.#foreigners = new ForeignerLog(log, clock)
    this.#plane = plane
    this.#shared = { clock, log: new BoundedLog(log), queued: 0, queueTotal: settings.queueTotal, parts: 1, plane }
    this.#networks = new Networks(this.#shared, leases)
    this.#networks.configure(settings.networks)
    const admission = this.#admission = new Admission({ ...settings, clock })
    // Other types, also ROUTE, which only a server sends, and empty messages are ignored (candy protocol, section 1.1).
    this.#receive = typeDemux<Session>({
      [MessageType.AUTH]: (message, session) => {
        session.pace.handshake()
        admission.auth(session, message)
        this.#tap(session)
      },
      [MessageType.FORWARD]: (message, session) => { forward(session, message) },
      [MessageType.DHCP]: (message, session) => {
        session.pace.handshake()
        admission.dhcp(session, message)
      },
      [MessageType.CONN]: (message, session) => { addressed(session, message, 'CONN') },
      [MessageType.VMAC]: (message, session) => {
        session.pace.handshake()
        admission.vmac(session, message)
      },
      [MessageType.DISCOVERY]: (message, session) => { addressed(session, message, 'DISCOVERY') },
      [MessageType.GENERAL]: (message, session) => { addressed(session, message, 'GENERAL') }
    }, { unknown: (_message, session) => { session.pace.ignored() } })
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the listener keeps the process alive
  }

  /** Added up for whoever asks. */
  get stats (): CandyRelayStats {
    const { refused, ...connections } = this.doorStats
    const stats = { ...connections, ...this.#networks.stats }
    addStats(stats.refused, refused)
    return stats
  }

  /** What is no matter of a network: connections, and those that did not get as far as one. */
  get doorStats (): Omit<CandyRelayStats, keyof CandyNetworkStats> & { refused: Pick<Record<Refusal, number>, 'path' | 'protocol' | 'source' | 'limit'> } {
    const { halfOpen, turnedAway, evicted } = this.#plane?.doors(this.gate) ?? this.gate.stats
    return {
      connections: this.#sessions.size,
      halfOpen,
      accepted: this.#accepted,
      refused: { path: this.#unknownPaths, protocol: this.#foreigners.count, source: turnedAway.source, limit: turnedAway.total + evicted }
    }
  }

  /** Somebody speaks another protocol than WebSocket: to be told by whoever listens. */
  foreign (foreigner: Foreigner): void { this.#foreigners.add(foreigner) }

  get networks (): Iterable<Network> { return this.#networks }

  /** Who is there, for whoever runs it. */
  status (): CandyRelayStatus {
    const now = this.#clock.now()
    return { ...this.stats, networks: Array.from(this.#networks, (network) => networkStatus(network, now)) }
  }

  /** Serves one connection; settles when it has ended, and never rejects. */
  accept (link: WebSocketLink, arrival: Arrival): Promise<void> {
    const serving = this.#accept(link, arrival).finally(() => { this.#serving.delete(serving) })
    this.#serving.add(serving)
    return serving
  }

  /**
   * Other settings from now on. Connections whose network, password, range and routes are the same stay.
   *
   * Throws `OptionError` when something cannot work; then nothing has changed.
   */
  configure (init: CandyRelayOptions & CandyNetworksInit): Reconfigured {
    const settings = readRelay(init)
    this.gate.configure(settings.gate)
    this.#settings = settings
    this.#shared.queueTotal = settings.queueTotal
    this.#admission.configure(settings)
    this.#plane?.configure(settings)
    return this.#networks.configure(settings.networks)
  }

  /** Tells a tap of traffic, until the function that it returns is called. */
  tap (filter: TapFilter, tap: Tap): () => void {
    const update = (): void => {
      for (const session of this.#sessions) this.#tap(session)
    }
    this.#taps.set(tap, filter)
    update()
    return () => {
      this.#taps.delete(tap)
      update()
    }
  }

  /**
   * Pings and drops silent clients. Called once a second by the relay itself.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  tick (now: number): void {
    const { authTimeout, dropAfter, pingAfter } = this.#settings
    this.#ticks = now
    this.#shared.log.tick()
    for (const network of this.#networks) network.tick(now)
    for (const session of this.#sessions) {
      const silence = now - session.heardAt
      if (session.address === 0 && now - session.since >= authTimeout) session.refuse('timeout', `no AUTH, expected within ${authTimeout} ms`)
      else if (silence >= dropAfter) session.refuse('timeout', `nothing received, expected a frame within ${dropAfter} ms`)
      else if (silence >= pingAfter) session.link.ping()
    }
  }

  /** Ends all connections with 1001 and takes no more; settles when they are gone. */
  async close (reason = 'the relay is stopping'): Promise<void> {
    this.#closing = true
    this.#timer.stop()
    for (const network of this.#networks) network.close(CloseCode.GOING_AWAY, reason)
    await Promise.all(this.#serving)
  }

  async #accept (link: WebSocketLink, { remote, path = '/', pass = this.gate.enter(remote.host, () => {}) }: Arrival): Promise<void> {
    this.#accepted++
    if (pass === undefined) {
      link.close(REFUSALS.limit.closeCode, REFUSALS.limit.reason)
      link.abort(new LinkClosedError('too many connections')) // an answer would take its time, which is what there is too little of
      return
    }
    try {
      const network = this.#networks.find(path)
      if (this.#closing) await turnAway(link, CloseCode.GOING_AWAY, 'the relay is stopping')
      else if (network === undefined) await this.#unknownPath(link, remote, path)
      else await this.#serve(new Session(link, network, remote, pass, this.#ticks))
    } finally {
      pass.leave()
    }
  }

  async #unknownPath (link: WebSocketLink, remote: Endpoint, path: string): Promise<void> {
    this.#unknownPaths++
    const why: Refusal = 'path'
    this.#shared.log.line('warn', { remote, why, reason: `path ${printable(path, MAX_LOGGED_PATH)}, expected that of a network` }, 'connection refused')
    await turnAway(link, REFUSALS.path.closeCode, REFUSALS.path.reason)
  }

  async #serve (session: Session): Promise<void> {
    const { link, pass } = session
    this.#sessions.add(session)
    this.#plane?.enter(session)
    pass.evict = () => {
      session.end(REFUSALS.limit.closeCode, REFUSALS.limit.reason)
      session.drop(new LinkClosedError('made room for another'))
    }
    const heard = (): void => { session.heardAt = this.#ticks }
    link.onText = link.onPong = heard // text is ignored, yet a sign of life
    if (this.#plane === undefined) link.onFrames = (frames) => session.paced(frames)
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
      session.end(CloseCode.NORMAL, '')
    } catch (err) {
      if (err instanceof WebSocketProtocolError) session.refuse('malformed', err.message) // the layer below has said so already
      else this.#lost(session, err as Error)
    } finally {
      this.#sessions.delete(session)
    }
  }

  #lost (session: Session, err: Error): void {
    const fields = { remote: session.remote, reason: err.message }
    if ('code' in err) this.#log.debug(fields, 'connection lost')
    else this.#log.error({ ...fields, err }, 'connection ended by a fault of the relay')
    session.drop(err)
  }

  /** What one read has brought, in one go. A function of its own, and it leaves nothing: a client that falls silent must not hold the memory of its last read. */
  #take (session: Session, batch: Batch): void {
    session.refill()
    if (!session.ended && this.#plane === undefined) session.tapped(batch, 'in')
    try {
      for (const message of batch) {
        if (session.ended) break // only the end of the connection is still of interest
        session.received++
        this.#receive(message, session)
      }
    } catch (err) {
      if (!(err instanceof CandyMessageError)) throw err
      session.refuse('malformed', err.message)
    } finally {
      session.network.flush(session)
      batch.length = 0
    }
  }

  /** Whether a connection is one that a tap wants to be told of may change with its address. */
  #tap (session: Session): void {
    const { network: { settings: { path = '' } }, address } = session
    const taps = [...this.#taps].flatMap(([tap, filter]): Tap[] => {
      if (filter.network !== path || address === 0) return []
      if (filter.address === undefined) return [(messages, direction, from) => { if (direction === 'in') tap(messages, direction, from) }]
      return filter.address === address ? [tap] : []
    })
    session.taps = taps.length === 0 ? undefined : taps
    this.#plane?.tap(session)
  }
}

/** Says why, and waits until the connection is gone. */
async function turnAway (link: WebSocketLink, closeCode: number, reason: string): Promise<void> {
  link.close(closeCode, reason)
  try {
    for await (const batch of link.source) batch.length = 0
  } catch {
    // It is gone, which is all that was wanted.
  }
}
