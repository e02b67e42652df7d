/** The status of a relay: its clients and their links. Plain data, made on request. */
import type { Client } from './client.ts'
import type { ClientTraffic, NatpassRelayStats } from './stats.ts'
import type { ServerStatus } from '../../common/status.ts'
import { TrafficRateMeter, type TrafficRates } from '../../../limits/rate-meter.ts'
import { remoteText } from '../../../net/endpoint.ts'
import { printable } from '../../../text/printable.ts'

/** One client. */
export interface NatpassClientStatus extends ClientTraffic, TrafficRates {
  id: string
  /** Address and port. */
  source: string
  /** Links that it has opened, and that were opened to it. */
  links: number
  /** Bytes that wait for it. */
  queuedBytes: number
  /** It has read nothing for a while. */
  isStalled: boolean
  /** Seconds since its handshake. */
  connected: number
}

/** A relay, with its clients by id. */
export interface NatpassRelayStatus extends NatpassRelayStats {
  members: NatpassClientStatus[]
}

/** A relay on a port. */
export interface NatpassServerStatus extends NatpassRelayStatus, ServerStatus {}

/** Makes the status of clients, with rates between the last two samples. */
export class StatusSampler {
  readonly #rates = new WeakMap<Client, TrafficRateMeter>()

  /** @param now milliseconds of the relay's clock */
  sample (clients: Iterable<Client>, now: number): void {
    for (const client of clients) {
      const rates = this.#rates.get(client)
      if (rates === undefined) this.#rates.set(client, new TrafficRateMeter(now, client.traffic))
      else rates.sample(client.traffic, now)
    }
  }

  /** @param now milliseconds of the relay's clock */
  clients (clients: Iterable<Client>, now: number): NatpassClientStatus[] {
    return Array.from(clients, (client) => this.#client(client, now)).sort((a, b) => a.id < b.id ? -1 : 1)
  }

  #client (client: Client, now: number): NatpassClientStatus {
    const { id, remote, links, outbox, traffic, since } = client
    return {
      id: printable(id),
      source: remoteText(remote),
      links: links.size,
      queuedBytes: outbox.held,
      isStalled: outbox.isStalled,
      connected: Math.max(0, Math.round((now - since) / 1000)),
      ...traffic,
      ...(this.#rates.get(client)?.perSecond ?? { rateIn: 0, rateOut: 0 })
    }
  }
}
