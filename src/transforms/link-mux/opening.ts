/** Links that the other side wants to open. */
import { LinkClosedError } from '../../errors.ts'
import { ResetCode } from './frame.ts'
import type { MuxLink } from './link.ts'

/** Options of a link, which both sides choose by what request and response say. */
export interface MuxLinkInit {
  /**
   * Keep message boundaries, as for datagrams: each element is one data frame of at most `maxMessage` bytes, neither joined nor split, and may
   * be empty. A longer one is `ERR_FRAME_SIZE` for `sink`, and dropped by `port`. What comes while too much waits for the reader is dropped
   * and counted. Default: false, a stream of bytes.
   */
  messages?: boolean
}

/** A link that the other side wants to open. It waits for `accept` or `reject`; until then the other side sends nothing on it. */
export interface Opening<Request, Response> {
  readonly id: string | number
  readonly request: Request
  /** Neither accepted nor rejected, and the other side still waits. */
  readonly isPending: boolean
  /** Aborted when the other side has given up, or the connection has ended, before this was answered. */
  readonly signal: AbortSignal
  /**
   * Accepts the link.
   *
   * @throws {LinkClosedError} when it was answered already, or the other side has given up
   * @throws what the codec throws for the response, as `FrameSizeError`; the opening can still be answered then
   */
  accept (response: Response, init?: MuxLinkInit): MuxLink<Response>
  /**
   * Refuses the link. Does nothing once it is answered or over.
   *
   * @param code default: `ResetCode.REFUSED`
   */
  reject (code?: number, response?: Response): void
}

/** What answers an opening. */
export interface OpeningOwner<Response> {
  /** @throws what the encoder throws; the opening goes on then */
  accept (response: Response, init: MuxLinkInit): MuxLink<Response>
  reject (code: number, response: Response | undefined): void
}

export class IncomingOpening<Request, Response> implements Opening<Request, Response> {
  readonly id: string | number
  readonly request: Request
  readonly #owner: OpeningOwner<Response>
  #link: MuxLink<Response> | undefined
  #isPending = true
  #controller: AbortController | undefined

  constructor (id: string | number, request: Request, owner: OpeningOwner<Response>) {
    this.id = id
    this.request = request
    this.#owner = owner
  }

  get isPending (): boolean { return this.#isPending }

  get signal (): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (!this.#isPending && this.#link === undefined) this.#controller.abort(new LinkClosedError('the opening is over'))
    }
    return this.#controller.signal
  }

  accept (response: Response, init: MuxLinkInit = {}): MuxLink<Response> {
    if (!this.#isPending) throw new LinkClosedError('this link does not wait to be accepted any more')
    this.#link = this.#owner.accept(response, init)
    this.#isPending = false
    return this.#link
  }

  reject (code: number = ResetCode.REFUSED, response?: Response): void {
    if (!this.#isPending) return
    this.#owner.reject(code, response)
    this.#isPending = false
  }

  /** The other side has given up. */
  cancel (err: Error): void {
    if (!this.#isPending) return
    this.#isPending = false
    this.#controller?.abort(err)
  }

  /** The handler has failed. */
  fail (err: Error): void {
    if (this.#isPending) this.reject(ResetCode.INTERNAL)
    else this.#link?.abort(err)
  }
}
