/** Reads the link below, and holds that up, for a bounded time, while links are full or too many answers wait to be written. */
import { LinkMuxError } from './errors.ts'
import { ResetCode } from './frame.ts'
import type { Settings } from './config.ts'
import type { UnreadTotal } from './incoming.ts'
import type { FrameScheduler } from './scheduler.ts'
import type { VirtualLink } from './link.ts'
import type { Batch, Timer } from '../../types.ts'

type AnyVirtualLink = VirtualLink<string | number>

export interface LowerReaderInit<In> {
  source: AsyncIterator<Batch<In>>
  settings: Settings
  total: UnreadTotal
  scheduler: Pick<FrameScheduler<unknown>, 'afterWrite' | 'isHeldUp'>
  /** All links, to find the one with the most unread bytes. */
  links: () => Iterable<AnyVirtualLink>
  decode: (batch: Batch<In>) => void
  /** The link below has ended: without an error when orderly. */
  onEnd: (err?: Error) => void
}

/**
 * One await per read. The frames of a read are delivered together, link by link.
 *
 * While a link without credit is full, or all links together are, nothing is read. After `stallTimeout` the links that are to blame end with
 * `ERR_LINK_STALLED`: those that are full, else the one with the most unread bytes (link-mux protocol, section 5.2). Nor is anything read
 * while too many answers wait to be written; when they still do after `stallTimeout`, the connection ends with `ERR_MUX_STALLED` (section 5.3).
 */
export class LowerReader<In> {
  readonly #init: LowerReaderInit<In>
  /** Links with frames of the current read. */
  #touched: AnyVirtualLink[] = []
  readonly #full = new Set<AnyVirtualLink>()
  #timer: Timer | undefined
  #isStopped = false

  constructor (init: LowerReaderInit<In>) {
    this.#init = init
  }

  start (): void { this.#read() }

  stop (): void {
    this.#isStopped = true
    this.#resume()
  }

  /** The link has got frames of the current read. */
  touch (link: AnyVirtualLink): void { this.#touched.push(link) }

  /** The link has been read, or has ended. */
  onTaken (link: AnyVirtualLink): void {
    if (!link.isFull) this.#full.delete(link)
    if (this.#timer !== undefined && !this.#isFull) this.#resume()
  }

  get #isFull (): boolean { return this.#full.size > 0 || this.#init.total.unread >= this.#init.settings.maxUnread }

  #read (): void { this.#init.source.next().then(this.#onRead, this.#onBroken) }

  readonly #onRead = ({ done, value }: IteratorResult<Batch<In>>): void => {
    if (this.#isStopped) return
    if (done === true) {
      this.#init.onEnd()
      return
    }
    try {
      this.#init.decode(value)
    } catch (err) {
      this.#deliver()
      this.#init.onEnd(err as Error)
      return
    }
    this.#deliver()
    this.#go()
  }

  /** Reads on, once that is possible. */
  #go (): void {
    if (this.#isStopped) return
    if (this.#init.scheduler.isHeldUp) this.#awaitWrite()
    else if (this.#isFull) this.#pause()
    else this.#read()
  }

  readonly #onBroken = (err: Error): void => { if (!this.#isStopped) this.#init.onEnd(err) }

  #deliver (): void {
    const touched = this.#touched
    if (touched.length === 0) return
    this.#touched = []
    for (const link of touched) {
      link.source.deliver()
      if (link.isFull) this.#full.add(link)
    }
  }

  #awaitWrite (): void {
    const { scheduler, settings: { clock, stallTimeout }, onEnd } = this.#init
    const timer = clock.set(stallTimeout, () => { onEnd(new LinkMuxError('ERR_MUX_STALLED', `the other side did not take the answers for ${stallTimeout} ms`)) })
    scheduler.afterWrite(() => { // called when the connection ends as well
      clock.clear(timer)
      this.#go()
    })
  }

  #pause (): void {
    const { clock, stallTimeout } = this.#init.settings
    this.#timer = clock.set(stallTimeout, this.#onStalled)
  }

  #resume (): void {
    if (this.#timer === undefined) return
    this.#init.settings.clock.clear(this.#timer)
    this.#timer = undefined
    this.#go()
  }

  readonly #onStalled = (): void => {
    const blamed = this.#full.size > 0 ? [...this.#full] : largest(this.#init.links())
    const { stallTimeout } = this.#init.settings
    for (const link of blamed) {
      link.reset(ResetCode.STALLED, new LinkMuxError('ERR_LINK_STALLED', `link ${link.id} was not read for ${stallTimeout} ms`))
      this.#full.delete(link)
    }
    if (this.#timer === undefined) return // resumed meanwhile
    this.#timer = undefined
    this.#go()
  }
}

/** The link with the most unread bytes. */
function largest (links: Iterable<AnyVirtualLink>): AnyVirtualLink[] {
  let found: AnyVirtualLink | undefined
  for (const link of links) if (found === undefined || link.unread > found.unread) found = link
  return found === undefined ? [] : [found]
}
