/** The links of a connection, and what its frames do to them (link-mux protocol, sections 3 to 5). */
import { LinkClosedError } from '../../errors.ts'
import { LinkMuxError, LinkRefusedError } from './errors.ts'
import { ResetCode, type MuxCodec, type MuxFrames } from './frame.ts'
import { VirtualLink, type MuxLink, type SharedConnection } from './link.ts'
import { IncomingOpening, type MuxLinkInit } from './opening.ts'
import { RecentIds } from './recent-ids.ts'
import type { FrameScheduler } from './scheduler.ts'
import type { Settings } from './config.ts'

/** Options of `LinkMux.open`. */
export interface OpenInit extends MuxLinkInit {
  /** Gives up: the other side is told, and `open` rejects with the reason. */
  signal?: AbortSignal
}

export interface LinkTableInit<Id extends string | number, Request, Response> {
  codec: Pick<MuxCodec<Id, Request, Response, never, unknown>, 'encoder' | 'maxData' | 'maxMessage' | 'reusesIds' | 'nextId' | 'mayOpen'>
  scheduler: Pick<FrameScheduler<unknown>, 'wake' | 'afterWrite' | 'control' | 'isHeldUp'>
  settings: Settings
  /** The other side opens a link. */
  onOpening: (opening: IncomingOpening<Request, Response>) => void
  /** The link has got the first frame of the current read. */
  onTouched: (link: VirtualLink<Id>) => void
  /** The reader of a link has taken something, or the link has ended. */
  onTaken: (link: VirtualLink<Id>) => void
  /** A link or an opening has ended. */
  onEnded: () => void
}

/** An opening of this side. */
interface Pending<Response> {
  messages: boolean
  resolve (link: MuxLink<Response>): void
  reject (err: Error): void
}

export class LinkTable<Id extends string | number, Request, Response> implements SharedConnection<Id> {
  readonly scheduler
  readonly encoder
  readonly maxData: number
  readonly maxMessage: number
  readonly settings: Settings
  readonly total = { unread: 0, windows: 0 }
  /** What the decoder calls for each frame of the other side. */
  readonly frames: MuxFrames<Id, Request, Response> = {
    open: (id, request, window) => { this.#onOpen(id, request, window) },
    accept: (id, response, window) => { this.#onAccept(id, response, window) },
    reject: (id, code, response) => { this.#onReject(id, code, response) },
    data: (id, bytes) => { this.#onData(id, bytes) },
    window: (id, bytes) => { this.#find(id)?.receiveWindow(bytes) },
    end: (id) => { this.#find(id)?.receiveEnd() },
    reset: (id, code) => { this.#onReset(id, code) }
  }

  readonly #init: LinkTableInit<Id, Request, Response>
  readonly #links = new Map<Id, VirtualLink<Id, Response>>()
  readonly #pending = new Map<Id, Pending<Response>>()
  readonly #openings = new Map<Id, IncomingOpening<Request, Response>>()
  readonly #recent = new RecentIds<Id>()
  #isClosed = false

  constructor (init: LinkTableInit<Id, Request, Response>) {
    this.#init = init
    this.scheduler = init.scheduler
    this.encoder = init.codec.encoder
    this.maxData = init.codec.maxData
    this.maxMessage = init.codec.maxMessage ?? init.codec.maxData
    this.settings = init.settings
  }

  get links (): number { return this.#links.size }

  get halfOpen (): number { return this.#pending.size + this.#openings.size }

  /** There is no link that could still send or get something, and no opening. */
  get isIdle (): boolean {
    if (this.halfOpen > 0) return false
    for (const link of this.#links.values()) if (!link.isOver) return false
    return true
  }

  all (): Iterable<VirtualLink<Id>> { return this.#links.values() }

  /** See `LinkMux`. */
  async open (request: Request, { signal, messages = false }: OpenInit = {}): Promise<MuxLink<Response>> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new LinkClosedError('the connection opens no more links')
    if (this.scheduler.isHeldUp) throw new LinkMuxError('ERR_LINK_LIMIT', 'too many control frames wait to be written')
    const id = this.#hasRoom(this.#pending.size) ? this.#init.codec.nextId(request) : undefined
    if (id === undefined) throw new LinkMuxError('ERR_LINK_LIMIT', 'too many links, or too many that were not accepted yet')
    if (this.#isKnown(id)) throw new LinkMuxError('ERR_MUX_PROTOCOL', `a link with the id ${id} is there already`)
    this.#recent.delete(id)
    this.encoder.open(id, request, this.settings.window)
    this.scheduler.control()
    const giveUp = (): void => {
      if (!this.#pending.has(id)) return
      this.#sendReset(id, ResetCode.CANCELLED)
      this.#settle(id)?.reject(signal?.reason)
    }
    signal?.addEventListener('abort', giveUp, { once: true })
    try {
      return await new Promise<MuxLink<Response>>((resolve, reject) => { this.#pending.set(id, { messages, resolve, reject }) })
    } finally {
      signal?.removeEventListener('abort', giveUp)
    }
  }

  /** Opens and accepts no more links. @param reason aborts those that are open */
  close (reason?: Error): void {
    this.#isClosed = true
    for (const opening of [...this.#openings.values()]) opening.reject(ResetCode.REFUSED)
    if (reason === undefined) return
    for (const link of [...this.#links.values()]) link.abort(reason)
    for (const id of [...this.#pending.keys()]) {
      this.#sendReset(id, ResetCode.CANCELLED)
      this.#settle(id)?.reject(reason)
    }
  }

  /** Ends all links. Those that have ended in both directions can still be read. */
  fail (err: Error): void {
    this.#isClosed = true
    for (const link of [...this.#links.values()]) if (!link.isOver) link.fail(err)
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(err)
    const openings = [...this.#openings.values()]
    this.#openings.clear()
    for (const opening of openings) opening.cancel(err)
  }

  onTaken (link: VirtualLink<Id>): void { this.#init.onTaken(link) }

  onEnded (link: VirtualLink<Id>): void {
    if (this.#links.delete(link.id)) this.#forget(link.id)
  }

  #onOpen (id: Id, request: Request, window: number | undefined): void {
    const mayOpen = this.#init.codec.mayOpen(id)
    if (!mayOpen || this.#isKnown(id)) {
      this.#sendReject(id, ResetCode.PROTOCOL)
    } else if (this.#isClosed) {
      this.#refuse(id, ResetCode.REFUSED)
    } else if (!this.#hasRoom(this.#openings.size)) {
      this.#refuse(id, ResetCode.LIMIT)
    } else {
      const opening = new IncomingOpening<Request, Response>(id, request, {
        accept: (response, init) => this.#accept(id, window, response, init),
        reject: (code, response) => {
          this.#sendReject(id, code, response)
          this.#openings.delete(id)
          this.#forget(id)
        }
      })
      this.#recent.delete(id)
      this.#openings.set(id, opening)
      this.#init.onOpening(opening)
    }
  }

  #accept (id: Id, credit: number | undefined, response: Response, init: MuxLinkInit): MuxLink<Response> {
    this.encoder.accept(id, response, credit === undefined ? undefined : this.settings.window)
    this.scheduler.control()
    this.#openings.delete(id)
    return this.#add(id, response, credit, init.messages)
  }

  #onAccept (id: Id, response: Response, window: number | undefined): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) {
      this.#find(id)?.violated('a second answer to its opening')
      return
    }
    this.#pending.delete(id)
    pending.resolve(this.#add(id, response, window, pending.messages))
  }

  #onReject (id: Id, code: number, response: Response | undefined): void {
    const pending = this.#settle(id)
    if (pending !== undefined) pending.reject(new LinkRefusedError(code, response))
    else this.#links.get(id)?.violated('a second answer to its opening')
  }

  #onData (id: Id, bytes: Uint8Array): void {
    const link = this.#links.get(id) ?? this.#find(id)
    if (link?.receive(bytes) === true) this.#init.onTouched(link)
  }

  #onReset (id: Id, code: number): void {
    const link = this.#links.get(id)
    if (link !== undefined) {
      link.receiveReset(code)
      return
    }
    this.#settle(id)?.reject(new LinkRefusedError(code, undefined))
    const opening = this.#openings.get(id)
    if (opening === undefined) return // it may come twice, and cross one of this side
    this.#openings.delete(id)
    this.#forget(id)
    opening.cancel(new LinkClosedError('the other side has given up the link'))
  }

  /** The link that a frame is for. One that is not accepted yet ends, as nothing may be sent on it; one that is unknown is reset, once. */
  #find (id: Id): VirtualLink<Id, Response> | undefined {
    const link = this.#links.get(id)
    if (link !== undefined || this.#recent.has(id)) return link
    const pending = this.#settle(id)
    const opening = this.#openings.get(id)
    this.#openings.delete(id)
    const isKnown = pending !== undefined || opening !== undefined
    this.#sendReset(id, isKnown ? ResetCode.PROTOCOL : ResetCode.UNKNOWN)
    this.#forget(id)
    if (!isKnown) return undefined
    const err = new LinkMuxError('ERR_MUX_PROTOCOL', `link ${id}: a frame before it was accepted`)
    pending?.reject(err)
    opening?.cancel(err)
    return undefined
  }

  #add (id: Id, response: Response, credit: number | undefined, messages = false): VirtualLink<Id, Response> {
    const link = new VirtualLink<Id, Response>({ id, response, credit, messages, connection: this })
    this.#links.set(id, link)
    return link
  }

  #isKnown (id: Id): boolean {
    return this.#links.has(id) || this.#pending.has(id) || this.#openings.has(id) || (this.#init.codec.reusesIds !== true && this.#recent.has(id))
  }

  #hasRoom (halfOpen: number): boolean { return halfOpen < this.settings.maxHalfOpen && this.links + this.halfOpen < this.settings.maxLinks }

  /** Takes an opening of this side out of the table. */
  #settle (id: Id): Pending<Response> | undefined {
    const pending = this.#pending.get(id)
    if (pending === undefined) return undefined
    this.#pending.delete(id)
    this.#forget(id)
    return pending
  }

  /** The link is over; frames that are under way are ignored. */
  #forget (id: Id): void {
    this.#recent.add(id)
    this.#init.onEnded()
  }

  #refuse (id: Id, code: number): void {
    this.#sendReject(id, code)
    this.#recent.add(id)
  }

  #sendReject (id: Id, code: number, response?: Response): void {
    this.encoder.reject(id, code, response)
    this.scheduler.control()
  }

  #sendReset (id: Id, code: number): void {
    this.encoder.reset(id, code)
    this.scheduler.control()
  }
}
