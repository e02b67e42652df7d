/** The page of a desktop rule: an HTTP server on the control end (natpass protocol, section 4.2). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answer, whenGone } from './answers.ts'
import { readForm } from './form.ts'
import { desktopPage } from './html.ts'
import { loadDesktopAssets, type PageAssets } from './page-assets.ts'
import { PageDesktop, type DesktopChoice, type DesktopLink } from './page-desktop.ts'
import { CLOSED } from './page-shell.ts'
import { queryOf, Site, type SiteInit } from './site.ts'
import { MAX_CLIPBOARD } from '../../protocol/desktop.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { throttle } from '../../../../limits/throttle.ts'
import { orAborted } from '../../../../streams/or-aborted.ts'
import { systemClock } from '../../../../streams/clock.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { Clock } from '../../../../types.ts'

/** Bytes of an event of a browser. */
const MAX_MESSAGE = 4096

/** Bytes of the form that text for the clipboard comes in. */
const MAX_CLIPBOARD_FORM = 3 * MAX_CLIPBOARD + 64

/** Milliseconds. */
const OPEN_TIMEOUT = 20_000
const KEEP_TIMEOUT = 10_000
const CLIPBOARD_TIMEOUT = 3000

/** Of the original, where the request does not say it. */
const DEFAULT_QUALITY = 50

export interface DesktopPageInit extends SiteInit {
  /**
   * Opens the desktop. A rejection is shown to its user.
   *
   * @param signal - aborted when nobody waits for it any more, and never once it is open
   */
  openDesktop (choice: DesktopChoice, signal: AbortSignal): Promise<{ readonly link: DesktopLink, readonly onGone: () => void }>
  /** Milliseconds until the desktop has to be open. Default: 20 s. */
  readonly openTimeout?: number
  /** Milliseconds that it stays without a browser. Default: 10 s. */
  readonly keepTimeout?: number
}

export interface DesktopPage {
  /** With the port in use. */
  readonly url: string
  /** Ends the desktop, and stops listening. */
  close (): Promise<void>
}

/** Listens and serves. @throws an error of the system when it cannot listen */
export async function serveDesktopPage (init: DesktopPageInit): Promise<DesktopPage> {
  const server = new DesktopServer(init, await loadDesktopAssets())
  await server.listen()
  return server
}

class DesktopServer implements DesktopPage {
  readonly #init: DesktopPageInit
  readonly #clock: Clock
  readonly #site: Site
  /** Logged: a link that damages pictures is broken. */
  readonly #tellDamage: (what: object) => void
  /** A rule has one. */
  #desktop: PageDesktop | undefined
  /** The one that is being opened. */
  #opening: AbortController | undefined

  constructor (init: DesktopPageInit, assets: PageAssets) {
    this.#init = init
    this.#clock = init.clock ?? systemClock
    this.#tellDamage = throttle((what: object, count: number) => { init.log?.log('warn', { ...what, count }, 'parts of a picture are damaged, and not shown') }, { clock: this.#clock })
    this.#site = new Site(init, {
      assets,
      index: desktopPage(init.name, assets),
      maxMessage: MAX_MESSAGE,
      routes: {
        '/new': { POST: (request, response) => this.#open(request, response) },
        '/ctrl': { POST: (request, response) => this.#choose(request, response) },
        '/clipboard': { GET: (_request, response) => this.#clipboard(response), POST: (request, response) => this.#setClipboard(request, response) }
      },
      taker: (id) => {
        const desktop = this.#desktop
        return desktop?.id !== id ? undefined : (socket) => { desktop.attach(socket) }
      }
    })
  }

  get url (): string { return this.#site.url }

  async listen (): Promise<void> { await this.#site.listen() }

  async close (): Promise<void> {
    this.#opening?.abort(new LinkClosedError('the page is closed'))
    this.#desktop?.close(CLOSED.goingAway, '')
    await this.#site.close()
  }

  /** With the id of a desktop that a page has lost as `again` in the query: it may still be there, and another one is not taken from its user. */
  async #open (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const choice = await choiceOf(request)
    if (choice === undefined) return answer(response, 413, 'too long\n')
    const lost = queryOf(request).get('again')
    if (lost !== null && this.#desktop?.id === lost) {
      this.#desktop.prefer(choice)
      return answer(response, 200, lost)
    }
    if (lost !== null && (this.#desktop ?? this.#opening) !== undefined) return answer(response, 409, 'the desktop was opened elsewhere\n')
    this.#opening?.abort(new LinkClosedError('the desktop was opened elsewhere'))
    this.#desktop?.close(CLOSED.elsewhere, 'opened elsewhere')
    const opening = this.#opening = new AbortController()
    const { openTimeout = OPEN_TIMEOUT, keepTimeout = KEEP_TIMEOUT } = this.#init
    const timer = this.#clock.set(openTimeout, () => { opening.abort(new LinkClosedError('timeout')) })
    const left = whenGone(response)
    const leave = (): void => { opening.abort(left.reason) }
    left.addEventListener('abort', leave, { once: true })
    try {
      const asked = this.#init.openDesktop(choice, opening.signal)
      asked.then(({ link, onGone }) => { // also when nobody waits for it any more
        if (!opening.signal.aborted) return
        link.abort(opening.signal.reason)
        onGone()
      }, () => {})
      const { link, onGone } = await orAborted(asked, opening.signal)
      const desktop = this.#desktop = new PageDesktop({
        link,
        choice,
        clock: this.#clock,
        keepTimeout,
        onDamage: () => { this.#tellDamage({ page: this.url }) },
        onGone: () => {
          if (this.#desktop === desktop) this.#desktop = undefined
          onGone()
        }
      })
      answer(response, 200, desktop.id)
    } catch (err) {
      answer(response, 502, reasonOf(err as Error))
    } finally {
      left.removeEventListener('abort', leave)
      this.#clock.clear(timer)
      if (this.#opening === opening) this.#opening = undefined
    }
  }

  async #choose (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const choice = await choiceOf(request)
    if (choice === undefined) return answer(response, 413, 'too long\n')
    if (this.#desktop === undefined) return noDesktop(response)
    confirm(response, this.#desktop.choose(choice))
  }

  async #clipboard (response: ServerResponse): Promise<void> {
    if (this.#desktop === undefined) return noDesktop(response)
    const late = new AbortController()
    const timer = this.#clock.set(CLIPBOARD_TIMEOUT, () => { late.abort() })
    try {
      const text = this.#desktop.clipboard(AbortSignal.any([late.signal, whenGone(response)]))
      if (text === undefined) confirm(response, false)
      else answer(response, 200, await text)
    } catch {
      answer(response, 504, 'the other end does not tell what its clipboard has\n')
    } finally {
      this.#clock.clear(timer)
    }
  }

  async #setClipboard (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request, MAX_CLIPBOARD_FORM)
    const text = form?.get('data') ?? ''
    if (form === undefined || Buffer.byteLength(text) > MAX_CLIPBOARD) return answer(response, 413, `too long, at most ${MAX_CLIPBOARD} bytes\n`)
    if (this.#desktop === undefined) return noDesktop(response)
    confirm(response, this.#desktop.setClipboard(text))
  }
}

const noDesktop = (response: ServerResponse): void => { answer(response, 404, 'no desktop is open\n') }

function confirm (response: ServerResponse, isSent: boolean): void {
  if (isSent) answer(response, 200, 'ok')
  else answer(response, 503, 'the other end is too slow\n')
}

/** By the query or the form; undefined when that is too long. What cannot be read is as in the original: 50, and no cursor. */
async function choiceOf (request: IncomingMessage): Promise<DesktopChoice | undefined> {
  const form = await readForm(request)
  if (form === undefined) return undefined
  const query = queryOf(request)
  const field = (name: string): string => form.get(name) ?? query.get(name) ?? ''
  const quality = /^\d{1,9}$/.test(field('quality')) ? Number(field('quality')) : DEFAULT_QUALITY
  return { quality: Math.min(100, Math.max(1, quality)), cursor: /^(1|t|T|true|TRUE|True)$/.test(field('show_cursor')) }
}
