/** A shell at another client, which is attached to again when a connection was lost (natpass protocol, section 6.4). */
import { isLoss } from './loss.ts'
import { ResumableLink } from './resumable-link.ts'
import { verifySize, type TerminalSize } from './terminal-size.ts'
import { NatpassReset, type LinkRequest, type LinkResponse, type ShellExit } from '../../protocol/link-codec.ts'
import type { LinkTraffic } from '../../protocol/link-traffic.ts'
import { NatpassRefusedError } from '../errors.ts'
import type { OpenedShell } from '../page/page-shell.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { LinkRefusedError, type MuxLink } from '../../../../transforms/link-mux/index.ts'
import { every } from '../../../../streams/clock.ts'
import type { Clock, Timer } from '../../../../types.ts'

/** Milliseconds for attaching again; between two attempts, and until an answer is asked for again: nothing tells that the other end is back. */
const ATTACH_TIMEOUT = 30_000
const RETRY = 500
const ASK_AGAIN = 5000

export interface RemoteShellInit {
  request: LinkRequest
  /** The link that it begins with. */
  link: MuxLink<LinkResponse>
  /** Opens a link over the current connection to the server. */
  open (request: LinkRequest, signal: AbortSignal): Promise<MuxLink<LinkResponse>>
  /** Asks again for one that is being opened. */
  askAgain (request: LinkRequest): void
  /** Sends a size over that. */
  resize (size: TerminalSize): void
  clock: Clock
  /** Nothing more comes. Called once. */
  onGone (): void
}

export class RemoteShell implements OpenedShell {
  readonly id: string
  readonly link: ResumableLink
  readonly exited: Promise<ShellExit>
  onLost: (() => void) | undefined
  readonly #init: RemoteShellInit
  readonly #token: Uint8Array | undefined
  #exit: ShellExit = { code: undefined, signal: undefined }
  #size: TerminalSize | undefined
  #hasEnded = false
  #deadline: number | undefined
  #timer: Timer | undefined
  #attempt: AbortController | undefined
  #settle: (exit: ShellExit) => void = () => {}

  constructor (init: RemoteShellInit) {
    this.#init = init
    this.id = String(init.link.id)
    this.#token = init.link.response.token
    this.exited = new Promise((resolve) => { this.#settle = resolve })
    this.link = new ResumableLink({
      isLoss,
      onLost: (err) => { this.#lost(err) },
      onEnd: () => { this.#ended() }
    })
    if (this.#token !== undefined) this.link.keep()
    this.link.attach(init.link)
  }

  /** Its connection is lost, and it is being attached to again. */
  get isLost (): boolean { return this.#deadline !== undefined }

  get traffic (): LinkTraffic | undefined { return this.#init.request.traffic }

  /** @throws {ShellError} `ERR_SHELL_SIZE` */
  resize (rows: number, columns: number): void {
    this.#size = verifySize(rows, columns)
    if (!this.isLost) this.#init.resize(this.#size)
  }

  /** The other end has told how the program has ended. */
  tellExit (exit: ShellExit): void { this.#exit = exit }

  #lost (err: Error): void {
    if (this.#hasEnded) {
      this.link.abort(err)
      return
    }
    this.#deadline = this.#init.clock.now() + ATTACH_TIMEOUT
    this.onLost?.()
    void this.#attach()
  }

  async #attach (): Promise<void> {
    const { clock } = this.#init
    const attempt = this.#attempt = new AbortController()
    const request = { ...this.#init.request, again: { id: this.id, token: this.#token as Uint8Array, received: this.link.received } }
    const left = Math.max(0, (this.#deadline ?? 0) - clock.now())
    const timer = clock.set(left, () => { attempt.abort(new LinkClosedError('the other end does not answer')) })
    const asking = every(clock, ASK_AGAIN, () => { this.#init.askAgain(request) })
    try {
      const link = await this.#init.open(request, attempt.signal)
      this.#deadline = undefined
      this.onLost?.()
      this.link.attach(link, link.response.received)
      if (this.#size !== undefined) this.#init.resize(this.#size)
    } catch (err) {
      if (isRefused(err) || clock.now() >= (this.#deadline ?? 0)) this.link.abort(err as Error)
      else if (!this.link.isOver) this.#timer = clock.set(RETRY, () => { void this.#attach() }).unref()
    } finally {
      clock.clear(timer)
      asking.stop()
    }
  }

  #ended (): void {
    this.#hasEnded = true
    this.#init.clock.clear(this.#timer)
    this.#attempt?.abort(new LinkClosedError('the shell is over'))
    this.#settle(this.#exit)
    this.#init.onGone()
  }
}

/** By the other end, that is: the server refuses while that is away. */
const isRefused = (err: unknown): boolean =>
  err instanceof NatpassRefusedError && err.cause instanceof LinkRefusedError && err.cause.reason !== NatpassReset.UNREACHABLE
