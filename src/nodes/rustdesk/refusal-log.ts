/**
 * Log lines about what is refused, for programs such as fail2ban: one form, `event`, `reason`, `way` and `client` in front of all that a client
 * has chosen. The first lines of each address are written however much others do, as far as addresses are real.
 */
import { KeyedTokenBuckets } from '../../limits/keyed-token-buckets.ts'
import { RateLimitedLog } from '../../limits/rate-limited-log.ts'
import type { Logger } from '../../log.ts'
import { clientKey } from '../../net/client-address.ts'
import { printable } from '../../text/printable.ts'
import type { Clock, Endpoint } from '../../types.ts'

/** Lines about one address, at once and a second; of an IPv6 /64 as well. */
const OF_CLIENT = { burst: 10, rate: 1 }

/** Lines a second about all connections, and about datagrams, whose senders may be forged. */
const OF_CONNECTIONS = 1000
const OF_DATAGRAMS = 20

export interface Refusal {
  /** One word that stays the same in later versions. */
  readonly reason: string
  readonly way: 'udp' | 'tcp' | 'websocket' | 'nat_test'
  /** Its address, folded. */
  readonly client: Endpoint
  /** Whom it counts for, see `clientKey`, where its address may be a claim of its own: that one is logged then. */
  readonly source?: string | undefined
  /** The id of the peer that it was about. */
  readonly id?: string | undefined
  /** What was wrong, for people. */
  readonly detail?: string | undefined
}

export class RefusalLog {
  readonly #clock: Clock
  readonly #connections: RateLimitedLog
  readonly #datagrams: RateLimitedLog
  readonly #clients = new KeyedTokenBuckets(OF_CLIENT)

  constructor (log: Logger, clock: Clock) {
    this.#clock = clock
    this.#connections = new RateLimitedLog(log, OF_CONNECTIONS)
    this.#datagrams = new RateLimitedLog(log, OF_DATAGRAMS)
  }

  add ({ reason, way, client: { host, port }, source = clientKey(host), id, detail }: Refusal): void {
    const isClaimed = source !== clientKey(host) // else anyone could have others banned
    const fields = { event: 'refused', reason, way, client: isClaimed ? source : host, port: isClaimed ? 0 : port, ...(isClaimed ? { claimed: host } : {}), ...(id === undefined ? {} : { id: printable(id) }), ...(detail === undefined ? {} : { detail: printable(detail) }) }
    if (way === 'udp') this.#datagrams.log('warn', fields, 'refused')
    else if (this.#clients.take(source, this.#clock.now())) this.#connections.log('warn', fields, 'refused')
  }

  /** Once a second. */
  tick (): void {
    this.#connections.tick()
    this.#datagrams.tick()
  }
}
