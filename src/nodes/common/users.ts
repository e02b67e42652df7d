/** TCP connections that are bridged to links of other nodes. */
import { bridge } from '../../streams/bridge.ts'
import type { Link } from '../../types.ts'

/** Counts them, and ends them together. */
export class Users {
  readonly #links = new Set<Pick<Link, 'abort'>>()
  /** Since the start. */
  accepted = 0

  /** Now. */
  get size (): number { return this.#links.size }

  /** Joins a user with a link until both have ended. Never rejects. */
  async join (user: Link, other: Link): Promise<void> {
    this.accepted++
    this.#links.add(user)
    try {
      await bridge(user, other)
    } catch {
      // both are aborted
    } finally {
      this.#links.delete(user)
    }
  }

  /** Ends all. */
  abort (err: Error): void { for (const link of this.#links) link.abort(err) }
}
