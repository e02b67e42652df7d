/** A virtual link between two clients, as the relay knows it. */
import type { LinkType } from '../protocol/message-types.ts'
import { LinkQueue, type Outbox } from './outbox.ts'

/** One end of links: a client with what waits for it. */
export interface LinkEnd {
  readonly outbox: Outbox
}

export interface VirtualLinkInit<E extends LinkEnd> {
  id: string
  /** Undefined: a number that is none of ours. */
  type: LinkType | undefined
  opener: E
  /** May be the opener itself. */
  target: E
}

export class VirtualLink<E extends LinkEnd = LinkEnd> {
  readonly id: string
  /** UTF-8. */
  readonly idBytes: Buffer
  readonly type: LinkType | undefined
  readonly opener: E
  readonly target: E
  readonly #toTarget: LinkQueue
  readonly #toOpener: LinkQueue

  constructor ({ id, type, opener, target }: VirtualLinkInit<E>) {
    this.id = id
    this.idBytes = Buffer.from(id)
    this.type = type
    this.opener = opener
    this.target = target
    this.#toTarget = new LinkQueue(target.outbox)
    this.#toOpener = target === opener ? this.#toTarget : new LinkQueue(opener.outbox)
  }

  /** Only its ends may use a link. */
  belongsTo (end: E): boolean { return end === this.opener || end === this.target }

  otherEnd (end: E): E { return end === this.opener ? this.target : this.opener }

  /** What waits for that end. */
  queueTo (end: E): LinkQueue { return end === this.target ? this.#toTarget : this.#toOpener }
}
