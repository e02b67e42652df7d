/** Joins users of a port with their data connections: counts and shapes traffic, and ends stalled users. */
import type { Identity } from './identities.ts'
import type { TrafficCounters } from './stats.ts'
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import type { BufferBudget } from '../../../limits/buffer-budget.ts'
import type { UnansweredWatch } from '../../../limits/unanswered-watch.ts'
import { LinkClosedError } from '../../../errors.ts'
import { bridge } from '../../../streams/bridge.ts'
import type { Meter } from '../../../streams/meter.ts'
import type { AcceptedLink } from '../../../transports/tcp.ts'
import type { Link } from '../../../types.ts'

export interface BridgeContext {
  readonly log: RateLimitedLog
  /** Buffers of all users, by identity. */
  readonly buffers: BufferBudget
  /** Ends users, and data connections in use, whose other end has vanished. */
  readonly unanswered: UnansweredWatch
}

export class UserBridge {
  readonly #context: BridgeContext
  readonly #port: number
  readonly #identity: Identity
  readonly #counters: TrafficCounters

  constructor (context: BridgeContext, port: number, identity: Identity, counters: TrafficCounters) {
    this.#context = context
    this.#port = port
    this.#identity = identity
    this.#counters = counters
  }

  /** Forwards until both have ended; never rejects. `connection` carries the data, and is aborted with a user that stalls. */
  async join (user: AcceptedLink, data: Link, connection: { abort (err: Error): void }): Promise<void> {
    user.slot?.establish()
    const onUnanswered = (err: Error): void => {
      this.#counters.drop('silent')
      for (const link of [user, connection]) link.abort(err)
    }
    const account = this.#context.buffers.open(this.#identity, () => {
      this.#counters.drop('stalled')
      this.#context.log.log('warn', { port: this.#port, identity: this.#identity.name }, 'a user that stands still was ended: too much is kept for all users')
      for (const link of [user, connection]) link.abort(new LinkClosedError('too much is kept for users that stand still'))
    })
    try {
      const bridged = bridge(user, data, { forward: this.#meter('bytesIn', 'forward'), backward: this.#meter('bytesOut', 'backward'), account })
      await this.#context.unanswered.during([user, data], onUnanswered, bridged)
    } catch {
      // one of the two has ended; the bridge has aborted the other
    }
  }

  /** The limit is read for each batch, as it may change. */
  #meter (name: 'bytesIn' | 'bytesOut', direction: 'forward' | 'backward'): Meter {
    return (bytes) => {
      this.#counters.add(name, bytes)
      return this.#identity.shaper?.[direction].wait(bytes)
    }
  }
}
