/** TCP connections that are bridged to links of other nodes. */
import type { Logger } from '../../log.ts'
import { endpointText } from '../../net/endpoint.ts'
import { bridge } from '../../streams/bridge.ts'
import { reasonOf } from '../../text/printable.ts'
import type { Opening } from '../../transforms/link-mux/index.ts'
import type { Address, Endpoint, Link } from '../../types.ts'

const ACCEPTED = new Uint8Array(0)

export interface ServeInit {
  transport: { dial (to: Address): Promise<Link> }
  log: Logger
  /** Who has opened the link, for the log. */
  who: object
}

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

  /**
   * Connects a link that the other side opens to a service.
   *
   * @throws what the dial throws; `LinkClosedError` when the other side has given up
   */
  async serve (opening: Opening<Uint8Array, Uint8Array>, to: Endpoint, { transport, log, who }: ServeInit): Promise<void> {
    const service = await transport.dial({ host: to.host, port: to.port, signal: opening.signal }).catch((err: Error) => {
      log.warn({ ...who, service: endpointText(to), reason: reasonOf(err) }, 'the service has not answered')
      throw err
    })
    try {
      void this.join(service, opening.accept(ACCEPTED))
    } catch (err) {
      service.abort(err as Error)
      throw err
    }
  }

  /** Ends all. */
  abort (err: Error): void { for (const link of this.#links) link.abort(err) }
}
