/** The virtual links of a relay: opened by a request, owned by their two ends, ended by one of them or by the relay (natpass protocol, section 3). */
import type { Client } from './client.ts'
import { mayOpen } from './policy.ts'
import type { LinkEnding, LinkRefusal, RelayTotals } from './stats.ts'
import { VirtualLink } from './virtual-link.ts'
import { LINK_TYPES } from '../protocol/message-types.ts'
import { disconnect, refusal } from '../protocol/messages.ts'
import type { RelaySettings } from './settings.ts'
import type { Clock } from '../../../types.ts'

/** Characters of the id of a link; those of the original have 16. */
const MAX_ID = 64

/** What a refused client is told. */
const TEXTS: Record<LinkRefusal, (to: string) => string> = {
  unknown_client: (to) => `${to} is not connected`,
  policy: (to) => `not allowed to open that to ${to}`,
  link_id: () => 'the id of the link is missing, too long or in use',
  links: () => 'too many links',
  busy: (to) => `${to} does not read`,
  malformed: () => 'not a request'
}

/** Milliseconds for the other end to accept. The original waits up to a minute for a code-server. */
const ANSWER_TIMEOUT = 120_000

/** Characters of an id that are repeated in a text. */
const MAX_SHOWN = 64

export interface LinksContext {
  readonly settings: Pick<RelaySettings, 'rules' | 'maxLinks' | 'maxLinksTotal'>
  readonly clock: Clock
  readonly totals: RelayTotals
  /** The client of an id. */
  find (id: string): Client | undefined
}

/** A request for a link. */
export interface LinkRequest {
  id: string
  to: string
  /** The number of the type; undefined when the message has no request. */
  type: number | undefined
}

export class Links {
  readonly #context: LinksContext
  readonly #links = new Map<string, VirtualLink<Client>>()
  /** Those that were not accepted yet, the oldest first. */
  readonly #unanswered = new Map<VirtualLink<Client>, number>()

  constructor (context: LinksContext) { this.#context = context }

  get size (): number { return this.#links.size }

  get (id: string): VirtualLink<Client> | undefined { return this.#links.get(id) }

  /** Opens a link, or tells the client why not. */
  open (opener: Client, request: LinkRequest): VirtualLink<Client> | undefined {
    const { totals } = this.#context
    const asked = this.#links.get(request.id)
    if (asked?.opener === opener && asked.target.id === request.to && this.#unanswered.has(asked)) return asked // once more, by a client that waits
    const target = this.#context.find(request.to)
    const reason = this.#refuses(opener, target, request)
    if (reason !== undefined || target === undefined) {
      totals.refusedLinks[reason ?? 'unknown_client']++
      if (request.id !== '' && request.id.length <= MAX_ID) opener.notify(refusal(opener.id, request.id, TEXTS[reason ?? 'unknown_client'](request.to.slice(0, MAX_SHOWN))))
      return undefined
    }
    const link = new VirtualLink({ id: request.id, type: typeOf(request), opener, target })
    this.#links.set(link.id, link)
    this.#unanswered.set(link, this.#context.clock.now())
    opener.links.add(link)
    target.links.add(link)
    totals.opened++
    totals.links[link.type ?? 'other']++
    return link
  }

  /** The other end has accepted it. A measurement is over by that: the original ends no link of that type. */
  accepted (link: VirtualLink<Client>): void {
    this.#unanswered.delete(link)
    if (link.type === 'bench') this.forget(link)
  }

  /**
   * Ends links that nobody has accepted, as the original's clients do not answer to all types. Once a second.
   *
   * @param now milliseconds of a monotonic clock
   */
  tick (now: number): void {
    for (const [link, since] of this.#unanswered) {
      if (now - since < ANSWER_TIMEOUT) break
      this.end(link, 'unanswered')
    }
  }

  /** Forgets a link; what waits of it is still written. */
  forget (link: VirtualLink<Client>): void {
    if (this.#links.get(link.id) !== link) return
    this.#links.delete(link.id)
    this.#unanswered.delete(link)
    for (const end of [link.opener, link.target]) {
      end.links.delete(link)
      if (end.lastLink === link) end.lastLink = undefined
    }
    this.#context.totals.links[link.type ?? 'other']--
  }

  /**
   * Ends a link, and tells its ends once.
   *
   * @param reason `stalled`: what waits is dropped, as it cannot be delivered whole any more
   */
  end (link: VirtualLink<Client>, reason: LinkEnding): void {
    if (this.#links.get(link.id) !== link) return
    this.forget(link)
    this.#context.totals.endedLinks[reason]++
    for (const end of new Set([link.opener, link.target])) {
      const queue = link.queueTo(end)
      if (reason === 'stalled') queue.drop()
      if (end.ended !== undefined) continue
      queue.push(disconnect(end.id, link.id))
      end.traffic.framesOut++
      end.outbox.run()
    }
  }

  /** Ends all links of a client whose connection has ended. */
  endAll (client: Client): void {
    for (const link of [...client.links]) this.end(link, 'client')
  }

  /** Ends the links that the rules do not allow any more. @returns how many */
  enforce (): number {
    let ended = 0
    for (const link of [...this.#links.values()]) {
      if (mayOpen(this.#context.settings.rules, link.opener.id, link.target.id, link.type)) continue
      this.end(link, 'policy')
      ended++
    }
    return ended
  }

  #refuses (opener: Client, target: Client | undefined, request: LinkRequest): LinkRefusal | undefined {
    const { rules, maxLinks, maxLinksTotal } = this.#context.settings
    const { id, to, type } = request
    if (type === undefined) return 'malformed'
    if (id === '' || id.length > MAX_ID || this.#links.has(id)) return 'link_id'
    if (!mayOpen(rules, opener.id, to, typeOf(request))) return 'policy'
    if (target === undefined) return 'unknown_client'
    if (opener.links.size >= maxLinks || target.links.size >= maxLinks || this.#links.size >= maxLinksTotal) return 'links'
    return target.outbox.isOverloaded || opener.outbox.isOverloaded ? 'busy' : undefined
  }
}

const typeOf = ({ type }: LinkRequest): VirtualLink['type'] => type === undefined ? undefined : LINK_TYPES[type]
