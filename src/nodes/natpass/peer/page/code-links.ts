/** The links of a page to code-server of another client. */
import { CodeChannel } from '../code/code-channel.ts'
import { LinkClosedError } from '../../../../errors.ts'
import type { MuxLink } from '../../../../transforms/link-mux/index.ts'
import type { Clock, Timer } from '../../../../types.ts'

/** Links at one time. */
const MAX_LINKS = 8

/** Milliseconds that a link stays without a request and a WebSocket: the tabs are closed. */
const IDLE_TIMEOUT = 5 * 60_000

export interface CodeLinksInit {
  /**
   * Opens a link. A rejection is shown to the user.
   *
   * @param signal - aborted when nobody waits for it any more
   */
  openCode (signal: AbortSignal): Promise<MuxLink>
  readonly clock: Clock
}

export class CodeLinks {
  readonly #init: CodeLinksInit
  readonly #links = new Map<string, CodeLink>()
  #opening = 0

  constructor (init: CodeLinksInit) { this.#init = init }

  get (id: string): CodeLink | undefined { return this.#links.get(id) }

  /** There is no room for another one. */
  get isFull (): boolean { return this.#links.size + this.#opening >= MAX_LINKS }

  /** The id of a new link. @throws as `openCode` */
  async open (signal: AbortSignal): Promise<string> {
    this.#opening++
    const link = await this.#init.openCode(signal).finally(() => { this.#opening-- })
    const id = String(link.id)
    const channel = new CodeChannel(link)
    this.#links.set(id, new CodeLink(channel, this.#init.clock))
    void channel.run().then(() => { this.#links.delete(id) })
    return id
  }

  /** Ends all. */
  close (): void { for (const { channel } of this.#links.values()) channel.close(new LinkClosedError('the page is closed')) }
}

export class CodeLink {
  readonly channel: CodeChannel
  readonly #clock: Clock
  #timer: Timer | undefined

  constructor (channel: CodeChannel, clock: Clock) {
    this.channel = channel
    this.#clock = clock
    this.touch()
  }

  /** Somebody uses it. */
  touch (): void {
    this.#clock.clear(this.#timer)
    this.#timer = this.#clock.set(IDLE_TIMEOUT, () => {
      if (this.channel.size > 0) this.touch()
      else this.channel.close(new LinkClosedError('nobody uses it'))
    }).unref()
  }
}
