/** A client that has proved the secret: its id, its connection, its links. */
import { keepalive } from '../protocol/messages.ts'
import { Outbox, type QueueBudget } from './outbox.ts'
import type { NatpassRejectReason, ClientTraffic } from './stats.ts'
import type { VirtualLink } from './virtual-link.ts'
import type { Endpoint } from '../../../types.ts'

/** Milliseconds between two keep-alives of the relay (natpass protocol, section 3). */
const KEEPALIVE_INTERVAL = 10_000

export interface ClientInit {
  id: string
  remote: Endpoint
  budget: QueueBudget
  /** Called once when the relay ends it, and its outbox has: what was written so far should still arrive. */
  onEnd: () => void
  /** Milliseconds of a monotonic clock. */
  now: number
}

export class Client {
  readonly id: string
  /** UTF-8. */
  readonly idBytes: Buffer
  readonly remote: Endpoint
  readonly outbox: Outbox
  readonly links = new Set<VirtualLink<Client>>()
  /** The link of the last message: mostly that of the next one as well. */
  lastLink: VirtualLink<Client> | undefined
  readonly since: number
  /** When the last message arrived. */
  heardAt: number
  readonly traffic: ClientTraffic = { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 }
  /** Why the relay has ended it. */
  ended: NatpassRejectReason | undefined
  readonly #onEnd: () => void
  #keepaliveAt: number

  constructor ({ id, remote, budget, onEnd, now }: ClientInit) {
    this.id = id
    this.idBytes = Buffer.from(id)
    this.remote = remote
    this.outbox = new Outbox(budget, now)
    this.since = this.heardAt = now
    this.#onEnd = onEnd
    this.#keepaliveAt = now + KEEPALIVE_INTERVAL
  }

  /** Sends a message of the relay. A client that does not read them is ended. */
  notify (frame: Uint8Array): void {
    if (this.ended !== undefined) return
    if (this.outbox.notify(frame)) this.traffic.framesOut++
    else this.end('write_timeout')
  }

  /**
   * Once a second.
   *
   * @param dropAfter milliseconds without a message after which it is ended
   * @param stallTimeout milliseconds without progress after which it counts as stalled
   */
  tick (now: number, dropAfter: number, stallTimeout: number): void {
    this.outbox.tick(now, stallTimeout)
    if (now - this.heardAt >= dropAfter) return this.end('timeout')
    if (now < this.#keepaliveAt) return
    this.#keepaliveAt = now + KEEPALIVE_INTERVAL
    this.notify(keepalive(this.id))
  }

  /** Ends the connection. May be called more than once. */
  end (reason: NatpassRejectReason): void {
    if (this.ended !== undefined) return
    this.ended = reason
    this.outbox.close()
    this.#onEnd()
  }
}
