/** A shell of a page: browsers come and go, the link stays, and who attaches again gets what was missed. */
import type { WebSocket } from 'ws'
import { Browser } from './browser.ts'
import { ReplayBuffer } from '../shell/replay-buffer.ts'
import type { ShellExit } from '../../protocol/link-codec.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { AsyncQueue } from '../../../../streams/async-queue.ts'
import { consume } from '../../../../streams/consume.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { Batch, Clock, Link, Timer } from '../../../../types.ts'

/** Bytes of input that wait for the link; beyond it the browser has to wait. */
const INPUT_QUEUE = 256 * 1024

/** Close codes that pages and other users know; the last one is theirs, and ends the shell (RFC 6455, section 7.4.2). */
export const CLOSED = { over: 1000, goingAway: 1001, elsewhere: 4001, left: 4002 } as const

/** An open shell, wherever it runs. */
export interface OpenedShell {
  /** Unique, and not to be guessed; of letters and digits. */
  readonly id: string
  /** Output and input, in bytes. Ends with the program. */
  readonly link: Omit<Link, 'port'>
  /** @throws {ShellError} when the size is out of range */
  resize (rows: number, cols: number): void
  /** Settles when the program has ended. */
  readonly exited: Promise<ShellExit>
  /** The connection to it is lost, and may come back. */
  readonly isLost?: boolean
  /** Called when `isLost` changes. */
  onLost?: (() => void) | undefined
}

export interface PageShellInit {
  readonly clock: Clock
  /** Milliseconds that a shell stays without a browser. */
  readonly keepTimeout: number
  /** Called once, when there is nothing left to attach to. */
  onGone (): void
}

export class PageShell {
  readonly #opened: OpenedShell
  readonly #init: PageShellInit
  readonly #replay = new ReplayBuffer()
  readonly #input: AsyncQueue
  #browser: Browser | undefined
  /** Runs while there is no browser. */
  #leaving: Timer | undefined
  /** What the last message says, once the shell has ended. */
  #end: object | undefined
  #isGone = false

  constructor (opened: OpenedShell, init: PageShellInit) {
    this.#opened = opened
    this.#init = init
    this.#input = new AsyncQueue({ weigh: ({ length }) => length, onPull: () => { this.#browser?.resume() } })
    opened.link.sink(this.#input).catch(() => {}) // its end is that of the source
    opened.onLost = () => { this.#tellLost() }
    void this.#run()
    this.#left()
  }

  /** Only its last output is left. */
  get hasEnded (): boolean { return this.#end !== undefined }

  /** @throws {ShellError} when the size is out of range */
  resize (rows: number, cols: number): void { this.#opened.resize(rows, cols) }

  /**
   * Takes the place of the browser before.
   *
   * @param from - the position in the output that the browser has: 0 for a new page
   */
  attach (socket: WebSocket, from: number): void {
    this.#browser?.close(CLOSED.elsewhere, 'opened elsewhere')
    this.#init.clock.clear(this.#leaving)
    const browser: Browser = new Browser(socket, this.#init.clock, (bytes) => { this.#typed(browser, bytes) }, (code) => {
      if (this.#browser !== browser) return
      this.#left()
      if (code === CLOSED.left) this.#gone()
    })
    this.#browser = browser
    const { bytes, lost } = this.#replay.since(from)
    browser.tell({ type: 'attached', position: this.#replay.end, replay: bytes.length, lost })
    void browser.send(bytes)
    if (this.#opened.isLost === true) this.#tellLost()
    this.#tellEnd()
  }

  /** Ends the shell, and its browser. */
  close (): void {
    this.#browser?.close(CLOSED.goingAway, '')
    this.#gone()
  }

  async #run (): Promise<void> {
    try {
      await consume(this.#opened.link, (batch) => this.#output(batch))
      this.#end = { type: 'exit', ...await this.#opened.exited }
    } catch (err) {
      this.#end = { type: 'lost', reason: reasonOf(err as Error) }
    }
    this.#input.end()
    this.#tellEnd()
  }

  #output (batch: Batch): Promise<void> | undefined {
    const bytes = Buffer.concat(batch) // the memory of a batch is ours only until this returns
    this.#replay.push(bytes)
    return this.#browser?.send(bytes)
  }

  #typed (browser: Browser, bytes: Uint8Array): void {
    if (browser !== this.#browser) return
    this.#input.push(bytes)
    if (this.#input.size > INPUT_QUEUE) browser.pause()
  }

  #tellLost (): void { this.#browser?.tell({ type: this.#opened.isLost === true ? 'waiting' : 'back' }) }

  #tellEnd (): void {
    if (this.#end === undefined) return
    this.#browser?.tell(this.#end)
    this.#browser?.close(CLOSED.over, '')
  }

  /** There is no browser. */
  #left (): void {
    this.#browser = undefined
    if (this.#isGone) return
    this.#leaving = this.#init.clock.set(this.#init.keepTimeout, () => { this.#gone() }).unref()
  }

  #gone (): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#init.clock.clear(this.#leaving)
    this.#opened.link.abort(new LinkClosedError('its page is closed'))
    this.#init.onGone()
  }
}
