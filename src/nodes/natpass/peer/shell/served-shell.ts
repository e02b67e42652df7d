/** A shell of another client, which stays for a while when a connection between them is lost (natpass protocol, section 6.4). */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { isLoss } from './loss.ts'
import { ResumableLink, type Carrier } from './resumable-link.ts'
import type { Shell } from './shell.ts'
import { TOKEN_BYTES, type Attachment, type ShellExit } from '../../protocol/link-codec.ts'
import type { LinkTraffic } from '../../protocol/link-traffic.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { bridge } from '../../../../streams/bridge.ts'
import { wrapLink } from '../../../../streams/wrap-link.ts'
import type { Batch, Clock, Timer } from '../../../../types.ts'

/** Milliseconds that a shell stays without the client that has opened it. */
const KEEP_TIMEOUT = 30_000

export interface ServedShellInit {
  shell: Shell
  /** The id of the client that has opened it. */
  client: string
  /** Of its link, and of those that follow it. */
  traffic: LinkTraffic | undefined
  clock: Clock
}

export class ServedShell {
  readonly token: Uint8Array = randomBytes(TOKEN_BYTES)
  readonly client: string
  readonly traffic: LinkTraffic | undefined
  readonly #shell: Shell
  readonly #clock: Clock
  readonly #stream: ResumableLink
  #leaving: Timer | undefined
  #exit: ShellExit | undefined
  #tellExit: (exit: ShellExit) => void = () => {}

  constructor ({ shell, client, traffic, clock }: ServedShellInit) {
    this.traffic = traffic
    this.#shell = shell
    this.client = client
    this.#clock = clock
    this.#stream = new ResumableLink({ isLoss, onLost: () => { this.#lost() } })
  }

  /** Bytes of input that were received. */
  get received (): number { return this.#stream.received }

  /** Whether a client may attach to it: the one that has opened it, with its token, when its link was lost, and what it has missed is kept. */
  mayAttach (client: string, { token, received }: Attachment): boolean {
    const stream = this.#stream
    return client === this.client && !stream.isAttached && !stream.isOver && token.length === TOKEN_BYTES && timingSafeEqual(token, this.token) && stream.keeps(received)
  }

  /**
   * Serves a link, and those that follow it. Settles when the shell is over, and all that it ran.
   *
   * @param link without half-close its end is that of both directions, and nobody attaches again
   * @param tellExit tells the other end how the program has ended
   */
  async serve (link: Carrier & { readonly halfClose: boolean }, tellExit: (exit: ShellExit) => void): Promise<void> {
    const { link: local } = this.#shell
    if (link.halfClose) this.#stream.keep()
    this.#attach(link.halfClose ? link : endingBoth(link, () => { this.#shell.link.abort(new LinkClosedError('the other end has left')) }), 0, tellExit)
    try {
      await bridge(this.#stream, wrapLink(local, { source: this.#output(), flow: undefined }))
    } catch {
      // either end has broken, and both are aborted by now
    } finally {
      this.#clock.clear(this.#leaving)
      local.abort(new LinkClosedError('the link has ended')) // what the program still runs
    }
  }

  /** Goes on over another link. See `mayAttach`. */
  attach (link: Carrier, received: number, tellExit: (exit: ShellExit) => void): void {
    this.#clock.clear(this.#leaving)
    this.#attach(link, received, tellExit)
  }

  resize (rows: number, columns: number): void { this.#shell.resize(rows, columns) }

  abort (err: Error): void { this.#stream.abort(err) }

  #attach (link: Carrier, received: number, tellExit: (exit: ShellExit) => void): void {
    this.#tellExit = tellExit
    if (this.#exit !== undefined) tellExit(this.#exit)
    this.#stream.attach(link, received)
  }

  #lost (): void {
    this.#leaving = this.#clock.set(KEEP_TIMEOUT, () => { this.#stream.abort(new LinkClosedError('the other end did not come back')) }).unref()
  }

  async * #output (): AsyncGenerator<Batch> {
    yield * this.#shell.link.source
    this.#exit = await this.#shell.exited
    this.#tellExit(this.#exit)
  }
}

/** A link without half-close: its end is that of both directions, so what was opened for it ends as well, whatever it still does. */
export function endingBoth (link: Carrier, end: () => void): Carrier {
  async function * read (): AsyncGenerator<Batch> {
    yield * link.source
    end()
  }
  return wrapLink(link, { source: read(), flow: undefined })
}
