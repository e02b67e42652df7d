/** The shells of a page. */
import { PageShell, type OpenedShell } from './page-shell.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { orAborted } from '../../../../streams/or-aborted.ts'
import { oneLine, printable } from '../../../../text/printable.ts'
import type { Clock } from '../../../../types.ts'

const MAX_SHELLS = 16

/** Milliseconds. */
const OPEN_TIMEOUT = 10_000
const KEEP_TIMEOUT = 30_000

/** Bytes of the text of a refusal. */
const MAX_TEXT = 300

export interface PageShellsInit {
  openShell (signal: AbortSignal): Promise<OpenedShell>
  readonly clock: Clock
  /** Shells at one time, those that are being opened included. Default: 16. */
  readonly maxShells?: number
  /** Milliseconds until a shell has to be open. Default: 10 s. */
  readonly openTimeout?: number
  /** Milliseconds that a shell stays without a browser. Default: 30 s. */
  readonly keepTimeout?: number
}

/** Why there is no shell: the status of HTTP, and a text for the user. */
export interface NotOpened {
  readonly status: 502 | 503
  readonly text: string
}

export class PageShells {
  readonly #init: PageShellsInit
  readonly #shells = new Map<string, PageShell>()
  /** Those that are being opened. */
  readonly #opening = new Set<AbortController>()

  constructor (init: PageShellsInit) {
    this.#init = init
  }

  get size (): number { return this.#shells.size }

  get (id: string): PageShell | undefined { return this.#shells.get(id) }

  /** @param signal - nobody waits for the shell any more; does nothing once it is open */
  async open (signal: AbortSignal): Promise<{ readonly id: string } | NotOpened> {
    const { maxShells = MAX_SHELLS } = this.#init
    if (this.#shells.size + this.#opening.size >= maxShells) [...this.#shells.values()].find(({ hasEnded }) => hasEnded)?.close()
    if (this.#shells.size + this.#opening.size >= maxShells) return { status: 503, text: `${maxShells} shells are open already` }
    const over = new AbortController()
    const leave = (): void => { over.abort(signal.reason) }
    this.#opening.add(over)
    signal.addEventListener('abort', leave, { once: true })
    try {
      return await this.#open(over)
    } catch (err) {
      return { status: 502, text: printable(oneLine((err as Error).message), MAX_TEXT) }
    } finally {
      signal.removeEventListener('abort', leave)
      this.#opening.delete(over)
    }
  }

  /** Ends all shells, also those that are being opened. */
  close (): void {
    for (const over of this.#opening) over.abort(new LinkClosedError('the page is closed'))
    for (const shell of this.#shells.values()) shell.close()
  }

  async #open (over: AbortController): Promise<{ readonly id: string }> {
    const { clock, openTimeout = OPEN_TIMEOUT, keepTimeout = KEEP_TIMEOUT } = this.#init
    const timer = clock.set(openTimeout, () => { over.abort(new LinkClosedError('timeout')) }) // as the original says it
    const { signal } = over
    try {
      const opening = this.#init.openShell(signal)
      // Not all that open shells know the signal: a shell that comes when nobody waits for it is ended.
      opening.then(({ link }) => { if (signal.aborted) link.abort(new LinkClosedError('nobody waits for it')) }, () => {})
      const opened = await orAborted(opening, signal)
      const { id } = opened
      this.#shells.set(id, new PageShell(opened, { clock, keepTimeout, onGone: () => { this.#shells.delete(id) } }))
      return { id }
    } finally {
      clock.clear(timer)
    }
  }
}
