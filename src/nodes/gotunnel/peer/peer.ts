/** A gotunnel client: maps ports of a server to local services. */
import { EventEmitter, once } from 'node:events'
import { withDrainTimeout } from '../protocol/with-drain-timeout.ts'
import { PortMapping } from './port-mapping.ts'
import { readPeer, type GotunnelPeerEvents, type GotunnelPeerInit, type GotunnelPeerStatus, type MapStats, type PeerSettings } from './settings.ts'
import { tell, untilOnline } from '../../common/peer-events.ts'
import { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { SAMPLE_INTERVAL } from '../../../limits/rate-meter.ts'
import { BufferBudget } from '../../../limits/buffer-budget.ts'
import { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { LinkClosedError } from '../../../errors.ts'
import { every, type Interval } from '../../../streams/clock.ts'
import { silent } from '../../../log.ts'
import { reasonOf } from '../../../text/printable.ts'

/** Milliseconds for users to finish when the peer stops. */
const DRAIN = 3000

/**
 * ```ts
 * const peer = new GotunnelPeer({ server, token, name: 'home', maps: [{ remotePort: 10022, local: { host: '127.0.0.1', port: 22 } }] })
 * peer.start()
 * ```
 */
export class GotunnelPeer extends EventEmitter<GotunnelPeerEvents> {
  readonly #settings: PeerSettings
  readonly #mappings: PortMapping[]
  /** A port was online once. */
  #wasOnline = false
  readonly #timer: Interval
  #running: Promise<unknown> | undefined

  /** @throws {OptionError} when an option is invalid */
  constructor (init: GotunnelPeerInit) {
    super()
    const { log = silent, backoff } = init
    this.#settings = readPeer(init)
    const bounded = new RateLimitedLog(log)
    const { clock, bufferTotal: limit, stallTimeout: stalledAfter, unansweredTimeout } = this.#settings
    this.#timer = every(clock, SAMPLE_INTERVAL, () => {
      bounded.tick()
      for (const mapping of this.#mappings) mapping.sample(clock.now())
    }).unref()
    const shared = { buffers: new BufferBudget({ limit, stalledAfter, clock }), unanswered: new UnansweredWatch(unansweredTimeout, clock) }
    this.#mappings = this.#settings.maps.map((map) => new PortMapping(map, this.#settings, backoff, bounded, shared, {
      onOnline: (map, mode) => {
        log.info({ port: map.remotePort, mode }, 'online')
        tell(() => this.emit('online', map, mode))
        this.#wasOnline = true
        for (const mapping of this.#mappings) mapping.retry() // the server may have been replaced or reconfigured
      },
      onOffline: (map, err, wait) => {
        if (this.listenerCount('offline') === 0) log.warn({ port: map.remotePort, reason: reasonOf(err), wait: Math.round(wait) }, 'offline')
        tell(() => this.emit('offline', map, err, wait))
      },
      onRefused: (map, err, wait) => {
        const mayPass = this.#wasOnline && err.isRecoverable
        const isLast = !mayPass && this.#mappings.every(({ state }) => state === 'degraded')
        tell(() => this.emit('refused', map, err, isLast ? undefined : wait))
        if (!isLast) return
        for (const mapping of this.#mappings) mapping.giveUp()
        tell(() => this.emit('failed', err))
      },
      onService: (map, isUp, reason) => {
        log.warn({ port: map.remotePort, service: endpointText(map.local), ...(isUp ? {} : { reason }) }, isUp ? 'the service is back' : 'the service is down')
        tell(() => this.emit('service', map, isUp))
      }
    }))
  }

  /** Every port is connected to the server. */
  get isOnline (): boolean { return this.#mappings.every(({ state }) => state === 'online') }

  /** The server rejects some of the ports, but not all. */
  get isDegraded (): boolean {
    return !this.isOnline && this.#mappings.every(({ state }) => state === 'online' || state === 'degraded')
  }

  /** By port of the server. */
  get stats (): Array<MapStats & { remotePort: number }> {
    return this.#mappings.map(({ map: { remotePort }, numbers }) => ({ remotePort, ...numbers }))
  }

  /** The current state, for display. */
  status (): GotunnelPeerStatus {
    const { server, name, clock } = this.#settings
    const now = clock.now()
    return { server: endpointText(server), name, maps: this.#mappings.map((mapping) => mapping.status(now)) }
  }

  /** Starts to connect, and reconnects until `close`. May be called more than once, and after `close`. */
  start (): void { this.#running ??= this.#run() }

  /** Leaves the server, lets users finish for a moment, and settles when all have ended. */
  async close (): Promise<void> {
    this.#running ??= Promise.resolve() // makes a later start() do nothing
    for (const mapping of this.#mappings) mapping.stop()
    await this.#running
    for (const { connections } of this.#mappings) for (const connection of connections.keys()) if (!connection.isBusy) connection.abort(new LinkClosedError('the peer was closed'))
    const ends = Promise.all(this.#mappings.flatMap(({ connections }) => [...connections.values()]))
    await withDrainTimeout(this.#settings.clock, ends, DRAIN, () => {
      for (const { connections } of this.#mappings) for (const connection of connections.keys()) connection.abort(new LinkClosedError('the peer was closed'))
    })
    this.#timer.stop()
  }

  async #run (): Promise<void> {
    await Promise.all(this.#mappings.map((mapping) => mapping.run()))
  }
}

/**
 * Maps ports of a gotunnel server; settles when all are accepted, after any number of attempts.
 *
 * @throws the rejection by the server when it is permanent, or the reason of the signal
 */
export async function mapPorts ({ signal, ...init }: GotunnelPeerInit & { signal?: AbortSignal }): Promise<GotunnelPeer> {
  signal?.throwIfAborted()
  const peer = new GotunnelPeer(init)
  return await untilOnline(peer, {
    signal,
    onFailed: (fail) => { peer.once('refused', (_map, err) => { fail(err) }) },
    async online (signal) {
      while (!peer.isOnline) await once(peer, 'online', { signal })
    }
  })
}
