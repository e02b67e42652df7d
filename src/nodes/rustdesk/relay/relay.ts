/** A RustDesk relay: two connections that name the same uuid are joined (RustDesk protocol, section 5). */
import { AddressList } from './address-list.ts'
import { Bandwidth } from './bandwidth.ts'
import { runCommand } from './console.ts'
import type { RelayPeer } from './ends.ts'
import { IncompleteMessages } from './incomplete.ts'
import { Pair, type PairContext } from './pair.ts'
import { PendingTable } from './pending.ts'
import { firstOfBytes, firstOfMessages, readRequest, type FirstMessage } from './request.ts'
import { readRelay, type RelaySettings, type RustdeskRelayInit, type RustdeskRelayOptions } from './settings.ts'
import { newRefused, newTotals, type RustdeskRejectReason, type RustdeskRelayStats } from './stats.ts'
import { statusOf, type RustdeskRelayStatus } from './status.ts'
import { Waiting, type EarlyTotal } from './waiting.ts'
import { foldAddress } from '../protocol/addresses.ts'
import { RefusalLog } from '../refusal-log.ts'
import { AcceptedConnections } from '../../common/accepted-connections.ts'
import { lingeringEnd } from '../../common/lingering-close.ts'
import type { ConfigureResult } from '../../common/serve.ts'
import { LinkClosedError } from '../../../errors.ts'
import { BufferBudget } from '../../../limits/buffer-budget.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../limits/connection-limiter.ts'
import { SourceCounts } from '../../../limits/source-counts.ts'
import { silent, type Logger } from '../../../log.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { consumeSource } from '../../../streams/consume.ts'
import { FrameSizeError } from '../../../transforms/length-codecs.ts'
import { ProtobufError } from '../../../transforms/protobuf/index.ts'
import { WebSocketProtocolError, type WebSocketLink } from '../../../transforms/websocket-frames/index.ts'
import type { ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import type { Endpoint, Link } from '../../../types.ts'

const TICK = 1000

/** Ticks between two looks at the files of the lists. */
const LISTS = 3

/** Milliseconds without progress after which a pair may be ended when too much is kept for all. */
const STALLED = 10_000

/** Who is refused. */
type Caller = Pick<RelayPeer, 'remote' | 'websocket'>

/** What the parts of a relay share. */
interface RelayState extends PairContext {
  settings: RelaySettings
}

/**
 * ```ts
 * const relay = new RustdeskRelay({ key })
 * for await (const link of listenTcp({ port: 21117, limiter: relay.limiter })) void relay.acceptTcp(link)
 * ```
 */
export class RustdeskRelay {
  /** Every connection goes through it. */
  readonly limiter: ConnectionLimiter
  readonly #pairs = new Set<Pair>()
  /** Pairs by the addresses of their ends. */
  readonly #ofSource = new SourceCounts()
  readonly #state: RelayState
  readonly #pending: PendingTable<Waiting>
  readonly #early: EarlyTotal = { held: 0 }
  /** Connections without a first message. */
  readonly #halfOpen = new Set<Link>()
  readonly #connections: AcceptedConnections
  readonly #log: Logger
  readonly #refused = newRefused()
  readonly #refusals: RefusalLog
  readonly #timer: Interval
  #ticks = 0
  /** Reads the files of the lists. */
  #refreshing: Promise<void> | undefined
  #isClosing = false

  /** @throws {OptionError} when an option is invalid */
  constructor ({ log = silent, clock = systemClock, ...init }: RustdeskRelayInit) {
    const settings = readRelay(init)
    this.limiter = new ConnectionLimiter(settings.limiter)
    this.#connections = new AcceptedConnections(this.limiter, log, clock)
    this.#log = log
    this.#refusals = new RefusalLog(log, clock)
    this.#pending = new PendingTable(settings)
    const buffers = new BufferBudget({ limit: settings.bufferTotal, stalledAfter: STALLED, clock })
    this.#state = {
      settings,
      clock,
      bandwidth: new Bandwidth(settings.speeds, clock),
      buffers,
      incomplete: new IncompleteMessages(buffers),
      blacklist: new AddressList(settings.blacklist),
      blocklist: new AddressList(settings.blocklist),
      totals: newTotals()
    }
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the listeners keep the process alive
  }

  /** The counters, as of now. */
  get stats (): RustdeskRelayStats {
    const { totals: { ended, ...totals }, buffers } = this.#state
    return {
      ...totals,
      halfOpen: this.limiter.stats.halfOpen,
      pairs: this.#pairs.size,
      pending: this.#pending.size,
      bufferedBytes: buffers.held + this.#early.held,
      ended: { ...ended },
      refused: { ...this.#refused, ...this.#connections.refused(this.limiter.stats) }
    }
  }

  /** The current pairs and counters, for display. */
  status (): RustdeskRelayStatus { return { ...this.stats, members: statusOf(this.#pairs) } }

  /** Runs a command of the console: what it prints. */
  command (line: string): string { return runCommand({ ...this.#state, pairs: this.#pairs }, line) }

  /** Serves one connection of TCP; settles when it has ended, and never rejects. */
  acceptTcp (link: Link & ConnectionInfo): Promise<void> {
    return this.#connections.accept(link, (slot) => this.#accept(link, slot, () => firstOfBytes(link)))
  }

  /** The same of WebSocket. */
  acceptWebSocket (link: WebSocketLink & ConnectionInfo): Promise<void> {
    return this.#connections.accept(link, (slot) => this.#accept(link, slot, () => firstOfMessages(link), link))
  }

  /** Logs a connection that speaks another protocol; called by the owner of the listener. */
  protocolMismatch (mismatch: ProtocolMismatch): void { this.#connections.protocolMismatch(mismatch) }

  /** Reads the files of the lists, if they have changed. @throws an error of the system when one cannot be read */
  refreshLists (): Promise<void> {
    const { blacklist, blocklist } = this.#state
    this.#refreshing ??= Promise.all([blacklist.refresh(), blocklist.refresh()]).then(() => {}).finally(() => { this.#refreshing = undefined })
    return this.#refreshing
  }

  /**
   * Changes the settings. Pairs stay; the bandwidth of one pair is that of new pairs.
   *
   * @throws {OptionError} when a setting is invalid; then nothing has changed
   */
  configure (init: RustdeskRelayOptions): ConfigureResult {
    const { requestTimeout, pairTimeout, idleTimeout, blacklist, blocklist } = this.#state.settings
    const settings = readRelay({ ...init, requestTimeout, pairTimeout, idleTimeout, blacklist, blocklist })
    this.#state.settings = settings
    this.limiter.configure(settings.limiter)
    this.#pending.bounds = settings
    this.#state.bandwidth.configure(settings.speeds)
    this.#state.buffers.limit = settings.bufferTotal
    return { ended: 0 }
  }

  /**
   * Ends idle and blocked pairs. The relay itself calls it once a second.
   *
   * @internal
   * @param now milliseconds of a monotonic clock
   */
  tick (now: number): void {
    this.#refusals.tick()
    for (const pair of this.#pairs) pair.tick(now)
    this.#state.incomplete.relieve()
    if (++this.#ticks % LISTS === 0) this.refreshLists().catch((err: Error) => { this.#log.warn({ err }, 'a list of addresses cannot be read, it stays as it was') })
  }

  /** Accepts no more connections, ends all pairs, and settles when they have ended. */
  async close (): Promise<void> {
    this.#isClosing = true
    this.#timer.stop()
    const err = new LinkClosedError('the relay is stopping')
    for (const link of this.#halfOpen) link.abort(err)
    for (const { peer } of this.#pending) peer.link.abort(err)
    for (const pair of this.#pairs) pair.end('stopping')
    await this.#connections.gone()
  }

  async #accept (link: Link & ConnectionInfo, slot: ConnectionSlot | undefined, first: () => Promise<FirstMessage | undefined>, websocket?: WebSocketLink): Promise<void> {
    if (slot === undefined || this.#isClosing) {
      link.abort(new LinkClosedError('too many connections'))
      return
    }
    const remote = { ...link.remote, host: foldAddress(link.remote.host) }
    try {
      await this.#serve(link, remote, slot, first, websocket)
    } catch (err) {
      this.#lost({ remote, websocket }, err as Error)
    }
    link.abort(new LinkClosedError('the connection has ended'))
  }

  #lost (from: Caller, err: Error): void {
    if (err instanceof FrameSizeError || err instanceof ProtobufError || err instanceof WebSocketProtocolError) this.#refuse('malformed', from, err.message)
    else this.#connections.lost(from.remote, err)
  }

  async #serve (link: Link, remote: Endpoint, slot: ConnectionSlot, read: () => Promise<FirstMessage | undefined>, websocket: WebSocketLink | undefined): Promise<void> {
    const { blocklist, settings: { key } } = this.#state
    if (blocklist.has(remote.host)) return this.#refuse('blocked', { remote, websocket })
    const first = await this.#first(link, { remote, websocket }, read)
    if (first === undefined) return
    const { message, early } = first
    if (websocket !== undefined) websocket.onText = () => {} // it carries nothing, also while it waits
    const request = readRequest(message, key)
    const peer: RelayPeer = { remote, link, early, websocket, wants: 'id' in request ? request.id : '' }
    if ('reason' in request) return await this.#refuseKindly(request.reason, peer)
    if (!this.#mayPair(slot)) return await this.#refuseKindly('pairs_source', peer)
    const waiting = this.#pending.take(request.uuid)
    if (waiting !== undefined && !this.#mayPair(waiting.slot)) { // others of its address were faster
      waiting.end('pairs_source')
      return await this.#refuseKindly('unpaired', peer)
    }
    if (waiting === undefined) await this.#wait(request.uuid, peer, slot)
    else await waiting.pairWith(slot, () => this.#join(waiting, peer, slot))
  }

  /** Undefined when there is none in time, or none at all. */
  async #first (link: Link, from: Caller, read: () => Promise<FirstMessage | undefined>): Promise<FirstMessage | undefined> {
    const { clock, settings: { requestTimeout } } = this.#state
    let isLate = false
    const timer = clock.set(requestTimeout, () => {
      isLate = true
      link.abort(new LinkClosedError('no first message in time'))
    })
    this.#halfOpen.add(link)
    try {
      return await read()
    } catch (err) {
      if (!isLate) throw err
      this.#refuse('timeout', from)
      return undefined
    } finally {
      clock.clear(timer)
      this.#halfOpen.delete(link)
    }
  }

  async #wait (uuid: string, peer: RelayPeer, slot: ConnectionSlot): Promise<void> {
    const { clock, settings: { pairTimeout } } = this.#state
    const waiting = new Waiting(peer, slot, this.#early)
    const entry = this.#pending.add(uuid, slot.source, waiting)
    if (entry === undefined) return await this.#refuseKindly('pending_source', peer)
    this.#pending.surplus?.end('pending')
    const ending = await waiting.until(clock, pairTimeout)
    this.#pending.remove(entry)
    if (ending === undefined) return // it was paired, and that pair has ended
    if (ending === 'unpaired') await this.#refuseKindly(ending, peer)
    else this.#refuse(ending, peer)
  }

  #mayPair ({ source, isCounted }: ConnectionSlot): boolean {
    return !isCounted || this.#ofSource.hasRoom(source, this.#state.settings.maxPairsPerSource)
  }

  async #join ({ peer: first, slot: firstSlot }: Waiting, second: RelayPeer, slot: ConnectionSlot): Promise<void> {
    const pair = new Pair(this.#state, first, second)
    const sources = new Set([firstSlot.source, slot.source])
    for (const source of sources) this.#ofSource.add(source)
    this.#pairs.add(pair)
    this.#state.totals.paired++
    await pair.run(slot.source)
    this.#pairs.delete(pair)
    for (const source of sources) this.#ofSource.remove(source)
  }

  #refuse (reason: RustdeskRejectReason, { remote, websocket }: Caller, detail?: string): void {
    this.#refused[reason]++
    this.#refusals.add({ reason, way: websocket === undefined ? 'tcp' : 'websocket', client: remote, detail })
  }

  /** Without a word, as the original does. The end is one in order, not a reset. */
  async #refuseKindly (reason: RustdeskRejectReason, peer: RelayPeer): Promise<void> {
    const { link, early } = peer
    this.#refuse(reason, peer)
    early.take()
    await lingeringEnd(link, this.#state.clock, consumeSource(early, (batch) => { batch.length = 0 }))
  }
}
