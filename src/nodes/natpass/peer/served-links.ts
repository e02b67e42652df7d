/** The links that other clients have open here, for display. */
import type { NatpassServedLinkStatus } from './settings.ts'
import type { LinkRequest, LinkResponse } from '../protocol/link-codec.ts'
import { LinkTraffic, type TrafficCounts } from '../protocol/link-traffic.ts'
import type { LinkType } from '../protocol/message-types.ts'
import { printable } from '../../../text/printable.ts'
import type { Opening } from '../../../transforms/link-mux/index.ts'

type ServedOpening = Opening<LinkRequest, LinkResponse>

export class ServedLinks {
  readonly #open = new Map<ServedOpening, Omit<NatpassServedLinkStatus, keyof TrafficCounts> & { readonly traffic: LinkTraffic }>()

  /** What the other client says is bounded from here on. */
  add (opening: ServedOpening, type: LinkType): void {
    const { client, request: { name }, traffic = new LinkTraffic() } = opening.request
    this.#open.set(opening, { id: String(opening.id), client: printable(client), rule: printable(name ?? ''), type, traffic })
  }

  delete (opening: ServedOpening): void { this.#open.delete(opening) }

  status (): NatpassServedLinkStatus[] { return [...this.#open.values()].map(({ traffic, ...link }) => ({ ...link, ...traffic.counts() })) }
}
