/** The pages of a shell rule: an HTTP server on the control end (natpass protocol, section 4.2). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answer, whenGone } from './answers.ts'
import { readForm, readNumber } from './form.ts'
import { terminalPage } from './html.ts'
import { loadTerminalAssets, type PageAssets } from './page-assets.ts'
import type { OpenedShell } from './page-shell.ts'
import { PageShells, type PageShellsInit } from './page-shells.ts'
import { Site, type SiteInit } from './site.ts'
import { systemClock } from '../../../../streams/clock.ts'

/** Bytes of a message of a browser. The page sends smaller ones. */
const MAX_MESSAGE = 1 << 20

export interface ShellPageInit extends SiteInit, Partial<Pick<PageShellsInit, 'maxShells' | 'openTimeout' | 'keepTimeout'>> {
  /**
   * Opens a shell for a browser. A rejection is shown to its user.
   *
   * @param signal - aborted when nobody waits for it any more, and never once the shell is open
   */
  openShell (signal: AbortSignal): Promise<OpenedShell>
}

export interface ShellPage {
  /** With the port in use. */
  readonly url: string
  /** Open shells. */
  readonly shells: number
  /** Ends all shells, and stops listening. */
  close (): Promise<void>
}

/**
 * Listens and serves.
 *
 * @throws {PageError} when xterm.js is not installed; an error of the system when it cannot listen
 */
export async function serveShellPage (init: ShellPageInit): Promise<ShellPage> {
  const server = new PageServer(init, await loadTerminalAssets())
  await server.listen()
  return server
}

class PageServer implements ShellPage {
  readonly #shells: PageShells
  readonly #site: Site

  constructor (init: ShellPageInit, assets: PageAssets) {
    const { clock = systemClock } = init
    this.#shells = new PageShells({ ...init, clock, openShell: (signal) => init.openShell(signal) })
    this.#site = new Site(init, {
      assets,
      index: terminalPage(init.name, assets),
      maxMessage: MAX_MESSAGE,
      routes: {
        '/new': { POST: (request, response) => this.#open(request, response) },
        '/resize': { POST: (request, response) => this.#resize(request, response) }
      },
      taker: (id) => {
        const shell = this.#shells.get(id)
        return shell === undefined ? undefined : (socket, query) => { shell.attach(socket, readNumber(query.get('from'))) }
      }
    })
  }

  get url (): string { return this.#site.url }

  get shells (): number { return this.#shells.size }

  async listen (): Promise<void> { await this.#site.listen() }

  async close (): Promise<void> {
    this.#shells.close()
    await this.#site.close()
  }

  async #open (request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await readForm(request) === undefined) return answer(response, 413, 'too long\n')
    const opened = await this.#shells.open(whenGone(response))
    if ('id' in opened) answer(response, 200, opened.id)
    else answer(response, opened.status, opened.text)
  }

  async #resize (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request)
    if (form === undefined) return answer(response, 413, 'too long\n')
    const shell = this.#shells.get(form.get('id') ?? '')
    if (shell === undefined) return answer(response, 404, 'no such shell\n')
    try {
      shell.resize(readNumber(form.get('rows')), readNumber(form.get('cols')))
    } catch {
      return answer(response, 400, 'no size of a terminal\n')
    }
    answer(response, 200, 'ok')
  }
}
