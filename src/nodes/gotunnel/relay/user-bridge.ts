/** Joins the users of a port with what brings them to their service: counts and holds up what passes, and ends those that stand still. */
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
  /** What is kept for all users, by identity. */
  readonly buffers: BufferBudget
  /** Ends users, and data connections in use, that are gone without a word. */
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

  /** Until both are at their end; never rejects. Data comes on a connection that ends with its user, when too much is kept for that. */
  async join (user: AcceptedLink, data: Link, connection: { abort (err: Error): void }): Promise<void> {
    user.slot?.establish()
    const { unanswered } = this.#context
    const gone = (err: Error): void => {
      this.#counters.drop('silent')
      for (const link of [user, connection]) link.abort(err)
    }
    unanswered.add(user, gone)
    unanswered.add(data, gone)
    const account = this.#context.buffers.open(this.#identity, () => {
      this.#counters.drop('stalled')
      this.#context.log.log('warn', { port: this.#port, identity: this.#identity.name }, 'a user that stands still was ended: too much is kept for all users')
      for (const link of [user, connection]) link.abort(new LinkClosedError('too much is kept for users that stand still'))
    })
    try {
      await bridge(user, data, { forward: this.#meter('bytesIn', 'forward'), backward: this.#meter('bytesOut', 'backward'), account })
    } catch {
      // One of the two is gone, and so is the other by now.
    } finally {
      unanswered.delete(user)
      unanswered.delete(data)
    }
  }

  /** The limit may become another one in the middle. */
  #meter (name: 'bytesIn' | 'bytesOut', direction: 'forward' | 'backward'): Meter {
    return (bytes) => {
      this.#counters.add(name, bytes)
      return this.#identity.shaper?.[direction].wait(bytes)
    }
  }
}
