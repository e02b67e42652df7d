/** The data connections of a port in strict mode: each serves one user after the other, and is idle in between. */
import { isIP } from 'node:net'
import { IdleConnectionPool, type IdleConnectionTotals } from './idle-connection-pool.ts'
import type { Session } from './session.ts'
import type { RelaySettings } from './settings.ts'
import type { TrafficCounters } from './stats.ts'
import type { UserBridge } from './user-bridge.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { normalizeAddress } from '../../../net/client-address.ts'
import { LinkClosedError } from '../../../errors.ts'
import { encodeJson } from '../../../transforms/json.ts'
import type { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'
import type { AcceptedLink } from '../../../transports/tcp.ts'
import type { Clock, Endpoint } from '../../../types.ts'

const SILENT = 'the data connection does not answer'

export interface SequentialDataContext extends IdleConnectionTotals {
  readonly clock: Clock
  readonly settings: Pick<RelaySettings, 'acknowledgeTimeout'>
}

/** The port of these connections. */
export interface SequentialDataPort {
  /** The session that is asked for data connections. */
  readonly owner: Pick<Session, 'answers' | 'wantsAddresses'>
  readonly wantsOnline: boolean
  /** A user has ended. */
  onServed (user: AcceptedLink | undefined): void
  /** The data connection given to a user does not answer; the user has waited since then, or has left. */
  onSilent (user: AcceptedLink, since: number, hasLeft: boolean): void
}

export class SequentialData {
  readonly #context: SequentialDataContext
  readonly #port: SequentialDataPort
  readonly #bridge: UserBridge
  readonly #counters: TrafficCounters
  readonly #idlePool: IdleConnectionPool
  /** Open connections, with the user that each serves. */
  readonly #serving = new Map<SequentialStreams, AcceptedLink | undefined>()

  constructor (context: SequentialDataContext, port: SequentialDataPort, bridge: UserBridge, counters: TrafficCounters) {
    this.#context = context
    this.#port = port
    this.#bridge = bridge
    this.#counters = counters
    this.#idlePool = new IdleConnectionPool(context)
  }

  /** All open connections. */
  get links (): Iterable<SequentialStreams> { return this.#serving.keys() }

  /** Takes an idle connection. Returns a function that serves a user over it; undefined when none is idle. */
  take (): ((user: AcceptedLink) => Promise<void>) | undefined {
    const taken = this.#idlePool.take()
    if (taken === undefined) return undefined
    const { streams, isFresh } = taken
    return (user) => isFresh ? this.#serveNext(user, streams) : this.#tryIdle(user, streams)
  }

  /** A new connection serves its user, and then others. Settles when it has ended; never rejects. */
  async serveUsers (user: AcceptedLink, streams: SequentialStreams): Promise<void> {
    const { owner } = this.#port
    streams.onIdle = () => {
      owner.answers++
      this.#port.onServed(this.#serving.get(streams))
      this.#serving.set(streams, undefined)
      // not idle but ended: connections of a client that has left, and those whose liveness is not known
      if (streams.acknowledges && this.#port.owner === owner && this.#port.wantsOnline) this.#idlePool.add(streams)
      else streams.close()
    }
    void this.#serveNext(user, streams)
    await streams.ended
    this.#port.onServed(this.#serving.get(streams))
    this.#serving.delete(streams)
    this.#idlePool.remove(streams)
  }

  /** Ends connections that have been idle for too long. */
  tick (): void { this.#idlePool.tick() }

  /** Ends idle connections. */
  endIdle (): void { this.#idlePool.close() }

  /**
   * Tries an idle connection: no byte of the user is sent before the other end has answered. Without an answer the user gets another one,
   * and all idle ones are ended, as the same failure may have broken them.
   */
  async #tryIdle (user: AcceptedLink, streams: SequentialStreams): Promise<void> {
    const { now: since, clock, settings: { acknowledgeTimeout } } = this.#context
    const { slot } = user
    let hasLeft = false
    if (slot !== undefined) slot.onRelease = () => { hasLeft = true }
    const data = streams.open(this.#streamHeaderOf(user))
    const timer = clock.set(acknowledgeTimeout, () => { streams.abort(new LinkClosedError(SILENT)) })
    const isThere = await streams.acknowledged().then(() => true, () => false)
    clock.clear(timer)
    if (isThere && this.#serving.has(streams)) {
      this.#serving.set(streams, user)
      await this.#bridge.join(user, data, streams)
      return
    }
    streams.abort(new LinkClosedError(SILENT))
    this.#idlePool.close()
    this.#port.onSilent(user, since, hasLeft)
  }

  /** The user counts until its link has ended: its bytes may wait for a client that does not read. */
  async #serveNext (user: AcceptedLink, streams: SequentialStreams): Promise<void> {
    this.#serving.set(streams, user)
    const { clock, settings: { acknowledgeTimeout } } = this.#context
    const timer = streams.acknowledges
      ? clock.set(acknowledgeTimeout, () => {
        this.#counters.drop('silent')
        streams.abort(new LinkClosedError(SILENT))
      })
      : undefined
    await this.#bridge.join(user, streams.open(this.#streamHeaderOf(user), () => { clock.clear(timer) }), streams)
    clock.clear(timer)
  }

  #streamHeaderOf (user: AcceptedLink): Uint8Array {
    return encodeJson(this.#port.owner.wantsAddresses ? { source: textOf(user.remote), destination: textOf(user.local) } : {})
  }
}

/** Undefined for a user that has left meanwhile, and for a link without an address. */
function textOf ({ host, port }: Endpoint): string | undefined {
  return isIP(host) === 0 ? undefined : endpointText({ host: normalizeAddress(host), port })
}
