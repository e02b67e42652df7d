/** The shells of a page. */
import { PageShell, type OpenedShell } from './page-shell.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { oneLine, printable } from '../../../../text/printable.ts'
import type { Clock } from '../../../../types.ts'

const MAX_SHELLS = 16

/** Milliseconds. */
const OPEN_TIMEOUT = 10_000
const KEEP_TIMEOUT = 30_000

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
  #opening = 0
  readonly #closing = new AbortController()

  constructor (init: PageShellsInit) {
    this.#init = init
  }

  get size (): number { return this.#shells.size }

  get (id: string): PageShell | undefined { return this.#shells.get(id) }

  /** @param signal - nobody waits for the shell any more; does nothing once it is open */
  async open (signal: AbortSignal): Promise<{ readonly id: string } | NotOpened> {
    const { maxShells = MAX_SHELLS } = this.#init
    if (this.#shells.size + this.#opening >= maxShells) return { status: 503, text: `${maxShells} shells are open already` }
    this.#opening++
    try {
      const opened = await this.#open(AbortSignal.any([signal, this.#closing.signal]))
      return opened ?? { status: 502, text: 'timeout' } // as the original says it
    } catch (err) {
      return { status: 502, text: printable(oneLine((err as Error).message), 300) }
    } finally {
      this.#opening--
    }
  }

  /** Ends all shells, also those that are being opened. */
  close (): void {
    this.#closing.abort(new LinkClosedError('the page is closed'))
    for (const shell of this.#shells.values()) shell.close()
  }

  /** Undefined after the time-out. */
  async #open (signal: AbortSignal): Promise<{ readonly id: string } | undefined> {
    const { clock, openTimeout = OPEN_TIMEOUT, keepTimeout = KEEP_TIMEOUT } = this.#init
    const late = new AbortController()
    const timer = clock.set(openTimeout, () => { late.abort() })
    const over = AbortSignal.any([signal, late.signal])
    try {
      const opening = this.#init.openShell(over)
      // Not all that open shells know the signal: a shell that comes when nobody waits for it is ended.
      opening.then(({ link }) => { if (over.aborted) link.abort(new LinkClosedError('nobody waits for it')) }, () => {})
      const opened = await Promise.race([opening, aborted(over)])
      if (late.signal.aborted) return undefined
      if (opened === undefined) throw signal.reason
      const { id } = opened
      this.#shells.set(id, new PageShell(opened, { clock, keepTimeout, onGone: () => { this.#shells.delete(id) } }))
      return { id }
    } finally {
      clock.clear(timer)
    }
  }
}

const aborted = (signal: AbortSignal): Promise<undefined> => new Promise((resolve) => {
  if (signal.aborted) resolve(undefined)
  else signal.addEventListener('abort', () => { resolve(undefined) }, { once: true })
})
