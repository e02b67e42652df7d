/** The connections of a relay: takes each through the limiter, serves it, and logs what breaks it. */
import type { ConnectionInfo } from '../../transports/connection-guard.ts'
import type { ProtocolMismatch } from '../../transports/first-read.ts'
import { ProtocolMismatchLog } from '../../transports/protocol-mismatch-log.ts'
import type { ConnectionLimiter, ConnectionLimiterStats, ConnectionSlot } from '../../limits/connection-limiter.ts'
import { LinkClosedError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { AnyLink, Clock, Endpoint } from '../../types.ts'

export class AcceptedConnections {
  readonly #limiter: ConnectionLimiter
  readonly #log: Logger
  readonly #mismatches: ProtocolMismatchLog
  /** One promise per connection; settles when the connection has ended. */
  readonly #serving = new Set<Promise<void>>()

  constructor (limiter: ConnectionLimiter, log: Logger, clock: Clock) {
    this.#limiter = limiter
    this.#log = log
    this.#mismatches = new ProtocolMismatchLog(log, clock)
  }

  /**
   * Serves a connection and releases its slot at the end. Never rejects if `serve` does not.
   *
   * @param serve gets the slot of the connection; undefined when the limiter rejects it
   */
  accept<L extends AnyLink & ConnectionInfo> (link: L, serve: (slot: ConnectionSlot | undefined) => Promise<void>): Promise<void> {
    const { remote, slot = this.#limiter.admit(remote.host, () => { link.abort(new LinkClosedError('made room for a newer connection')) }) } = link
    const serving = serve(slot).finally(() => {
      slot?.release()
      this.#serving.delete(serving)
    })
    this.#serving.add(serving)
    return serving
  }

  /** Logs what has broken a connection. An error without a code is a bug of the relay. */
  lost (remote: Endpoint, err: Error): void {
    const fields = { remote, reason: err.message }
    if ('code' in err) this.#log.debug(fields, 'connection lost')
    else this.#log.error({ ...fields, err }, 'connection ended by a fault of the relay')
  }

  /** The connection speaks another protocol than the relay. */
  protocolMismatch (mismatch: ProtocolMismatch): void { this.#mismatches.add(mismatch) }

  /**
   * Connections that were not served: for their protocol, or by the limiter.
   *
   * @param stats of the limiter, or the sum of several
   */
  refused ({ rejected, evicted }: Pick<ConnectionLimiterStats, 'rejected' | 'evicted'>): Record<'protocol' | 'source' | 'limit', number> {
    return { protocol: this.#mismatches.count, source: rejected.source, limit: rejected.total + evicted }
  }

  /** Settles when all connections being served have ended. */
  async gone (): Promise<void> { await Promise.all(this.#serving) }
}
