/** A natpass server: clients prove the secret, and links between them are forwarded (natpass protocol, sections 2 and 3). */
import { Client } from './client.ts'
import { Handshakes, type Candidate, type Verdict } from './handshake.ts'
import { Links } from './links.ts'
import type { QueueBudget } from './outbox.ts'
import { Router } from './router.ts'
import { readRelay, type NatpassRelayInit, type NatpassRelayOptions, type RelaySettings } from './settings.ts'
import { newCounters, newRefused, type NatpassRejectReason, type NatpassRelayStats } from './stats.ts'
import { StatusSampler, type NatpassRelayStatus } from './status.ts'
import { Taps, type NatpassTap, type NatpassTapFilter } from './taps.ts'
import { AcceptedConnections } from '../../common/accepted-connections.ts'
import { AuthThrottle } from '../../common/auth-throttle.ts'
import { lingeringEnd } from '../../common/lingering-close.ts'
import { reject } from '../../common/reject.ts'
import type { ConfigureResult } from '../../common/serve.ts'
import { LinkClosedError } from '../../../errors.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../limits/connection-limiter.ts'
import { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { silent } from '../../../log.ts'
import { normalizeAddress } from '../../../net/client-address.ts'
import { every, systemClock, type Interval } from '../../../streams/clock.ts'
import { consume } from '../../../streams/consume.ts'
import { printable } from '../../../text/printable.ts'
import { ChecksumError } from '../../../transforms/checksum.ts'
import { FrameSizeError } from '../../../transforms/length-codecs.ts'
import { ProtobufError } from '../../../transforms/protobuf/wire.ts'
import type { ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import type { Batch, Clock, Endpoint, Link } from '../../../types.ts'

const TICK = 1000

/** An accepted link after `rawFrames`. Without a slot it goes through the limiter of the relay now. */
export type NatpassRelayLink = Link & ConnectionInfo

/** What the parts of a relay share. */
interface RelayState {
  settings: RelaySettings
  readonly clock: Clock
  readonly totals: ReturnType<typeof newCounters>
  readonly find: (id: string) => Client | undefined
}

/**
 * ```ts
 * const relay = new NatpassRelay({ secret })
 * for await (const link of listenTcp({ port: 6154, limiter: relay.limiter })) void relay.accept(overAccepted(link, rawFrames))
 * ```
 */
export class NatpassRelay {
  /** Every connection goes through it. */
  readonly limiter: ConnectionLimiter
  readonly #state: RelayState
  readonly #clients = new Map<string, Client>()
  readonly #links: Links
  readonly #router: Router
  readonly #handshakes: Handshakes
  readonly #connections: AcceptedConnections
  readonly #throttle: AuthThrottle
  readonly #budget: QueueBudget
  readonly #log: RateLimitedLog
  readonly #rejectLog: { readonly refused: Record<NatpassRejectReason, number>, readonly log: RateLimitedLog }
  /** Connections that have not proved the secret. */
  readonly #halfOpen = new Set<Link>()
  readonly #sampler = new StatusSampler()
  readonly #taps = new Taps()
  readonly #timer: Interval
  #isClosing = false

  /** @throws {OptionError} when an option is invalid */
  constructor ({ log = silent, clock = systemClock, ...init }: NatpassRelayInit) {
    const settings = readRelay(init)
    this.limiter = new ConnectionLimiter(settings.limiter)
    this.#connections = new AcceptedConnections(this.limiter, log, clock)
    this.#throttle = new AuthThrottle(settings.authFailures, clock)
    this.#handshakes = new Handshakes(settings)
    this.#budget = { held: 0, limit: settings.bufferTotal }
    this.#log = new RateLimitedLog(log)
    this.#rejectLog = { refused: newRefused(), log: new RateLimitedLog(log) }
    this.#state = { settings, clock, totals: newCounters(), find: (id) => this.#clients.get(id) }
    const links = this.#links = new Links(this.#state)
    this.#router = new Router(Object.assign(this.#state, { links, taps: this.#taps }))
    this.#timer = every(clock, TICK, () => { this.tick(clock.now()) }).unref() // the listener keeps the process alive
  }

  /** The counters, as of now. */
  get stats (): NatpassRelayStats {
    const { opened, links, refusedLinks, endedLinks, drops, ...traffic } = this.#state.totals
    return {
      ...traffic,
      halfOpen: this.limiter.stats.halfOpen,
      clients: this.#clients.size,
      links: { ...links },
      opened,
      refusedLinks: { ...refusedLinks },
      endedLinks: { ...endedLinks },
      drops: { ...drops },
      queuedBytes: this.#budget.held,
      refused: { ...this.#rejectLog.refused, ...this.#connections.refused(this.limiter.stats) }
    }
  }

  /** The current clients and counters, for display. */
  status (): NatpassRelayStatus {
    return { ...this.stats, members: this.#sampler.clients(this.#clients.values(), this.#state.clock.now()) }
  }

  /** Serves one connection; settles when it has ended, and never rejects. */
  accept (link: NatpassRelayLink): Promise<void> {
    return this.#connections.accept(link, (slot) => this.#accept(link, slot))
  }

  /** Logs a connection that speaks another protocol; called by the owner of the listener. */
  protocolMismatch (mismatch: ProtocolMismatch): void { this.#connections.protocolMismatch(mismatch) }

  /**
   * Shows forwarded messages to `tap`. Handshakes are never shown.
   *
   * @returns stops that
   */
  tap (filter: NatpassTapFilter, tap: NatpassTap): () => void {
    this.#taps.add(filter, tap)
    return () => { this.#taps.remove(tap) }
  }

  /**
   * Changes the settings. Clients stay, also with a new secret; links that new rules do not allow end.
   *
   * @throws {OptionError} when a setting is invalid; then nothing has changed
   */
  configure (init: NatpassRelayOptions): ConfigureResult {
    const { handshakeTimeout, dropAfter, stallTimeout } = this.#state.settings
    const settings = readRelay({ ...init, handshakeTimeout, dropAfter, stallTimeout })
    this.#state.settings = settings
    this.limiter.configure(settings.limiter)
    this.#throttle.configure(settings.authFailures)
    this.#handshakes.configure(settings)
    this.#budget.limit = settings.bufferTotal
    return { ended: this.#links.enforce() }
  }

  /**
   * Sends keep-alives and ends silent clients. The relay itself calls it once a second.
   *
   * @internal
   * @param now milliseconds of a monotonic clock
   */
  tick (now: number): void {
    const { dropAfter, stallTimeout } = this.#state.settings
    this.#log.tick()
    this.#rejectLog.log.tick()
    this.#sampler.sample(this.#clients.values(), now)
    for (const client of this.#clients.values()) client.tick(now, dropAfter, stallTimeout)
    this.#links.tick(now)
  }

  /** Accepts no more connections, ends all clients, and settles when they have ended. */
  async close (): Promise<void> {
    this.#isClosing = true
    this.#timer.stop()
    for (const link of this.#halfOpen) link.abort(new LinkClosedError('the relay is stopping'))
    for (const client of this.#clients.values()) client.end('removed')
    await this.#connections.gone()
  }

  async #accept (link: NatpassRelayLink, slot: ConnectionSlot | undefined): Promise<void> {
    const { remote } = link
    if (slot === undefined || this.#isClosing) {
      link.abort(new LinkClosedError('too many connections'))
      return
    }
    try {
      await this.#serve(link, { ...remote, host: normalizeAddress(remote.host) }, slot)
    } catch (err) {
      link.abort(err as Error)
      this.#lost(remote, err as Error)
    }
  }

  #lost (remote: Endpoint, err: Error): void {
    if (err instanceof FrameSizeError || err instanceof ChecksumError || err instanceof ProtobufError) reject(this.#rejectLog, 'malformed', { remote }, { detail: err.message }, () => {})
    else this.#connections.lost(remote, err)
  }

  async #serve (link: Link, remote: Endpoint, slot: ConnectionSlot): Promise<void> {
    const { clock, settings: { handshakeTimeout } } = this.#state
    let client: Client | undefined
    let isRejected = false
    const refuse = (reason: NatpassRejectReason): void => {
      isRejected = true
      clock.clear(timer)
      reject(this.#rejectLog, reason, { remote }, {}, () => { void lingeringEnd(link, clock, reading) }) // without a word, as the original does
    }
    const timer = clock.set(handshakeTimeout, () => { refuse('timeout') })
    const candidate: Candidate = { others: 0 }
    this.#halfOpen.add(link)
    const reading: Promise<void> = consume(link, (batch) => {
      if (client !== undefined) return this.#receive(client, batch)
      for (const [i, frame] of batch.entries()) {
        if (isRejected) return
        const verdict = this.#authenticate(candidate, frame, remote, slot)
        if (verdict === undefined) continue
        if ('reason' in verdict) return refuse(verdict.reason)
        clock.clear(timer)
        this.#halfOpen.delete(link)
        client = this.#register(verdict.id, link, remote, slot, reading)
        return this.#receive(client, batch.slice(i + 1))
      }
    })
    try {
      await reading
    } finally {
      clock.clear(timer)
      this.#halfOpen.delete(link)
      if (client !== undefined) this.#gone(client)
      link.abort(new LinkClosedError('the connection has ended'))
    }
  }

  #receive (client: Client, frames: Batch): Promise<void> | undefined {
    if (client.ended !== undefined || frames.length === 0) return
    client.heardAt = this.#state.clock.now()
    return this.#router.forward(client, frames)
  }

  #authenticate (candidate: Candidate, frame: Uint8Array, remote: Endpoint, slot: ConnectionSlot): Verdict {
    if (this.#throttle.isThrottled(slot)) return { reason: 'rate' }
    const verdict = this.#handshakes.read(candidate, frame, remote.host, this.#state.clock.date())
    if (verdict !== undefined && 'reason' in verdict && verdict.reason === 'secret') this.#throttle.failed(slot)
    return verdict
  }

  /** A newer connection of an id takes the place of the one before. */
  #register (id: string, link: Link, remote: Endpoint, slot: ConnectionSlot, reading: Promise<void>): Client {
    const { clock } = this.#state
    const before = this.#clients.get(id)
    if (before !== undefined) {
      this.#remove(before)
      before.end('replaced')
    }
    const client: Client = new Client({ id, remote, budget: this.#budget, onEnd: () => { void lingeringEnd(link, clock, reading, () => writing) }, now: clock.now() })
    link.poolReads?.()
    const writing = link.sink(client.outbox)
    writing.catch((err: Error) => { link.abort(err) })
    this.#clients.set(id, client)
    slot.establish()
    this.#log.log('info', { id: printable(id), remote, replaces: before !== undefined }, 'client connected')
    return client
  }

  #gone (client: Client): void {
    this.#remove(client)
    client.outbox.close()
    if (client.ended !== undefined) this.#rejectLog.refused[client.ended]++
    const { id, remote, ended } = client
    this.#log.log('info', { id: printable(id), remote, ...(ended === undefined ? {} : { reason: ended }) }, 'client gone')
  }

  #remove (client: Client): void {
    if (this.#clients.get(client.id) === client) this.#clients.delete(client.id)
    this.#links.endAll(client)
  }
}
