/** The desktop that a page shows: pictures to its browser, events to the other end (natpass protocol, section 4.2). */
import type { WebSocket } from 'ws'
import { Browser } from './browser.ts'
import { DesktopInput, readEvent, type DesktopEvent } from './desktop-events.ts'
import { pictureFrame } from './desktop-picture.ts'
import { CLOSED } from './page-shell.ts'
import { TEXT } from '../../protocol/desktop.ts'
import { MessageType } from '../../protocol/message-types.ts'
import { bodyOf, messageOfBody, type MessageInit } from '../../protocol/messages.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { AsyncQueue } from '../../../../streams/async-queue.ts'
import { consume } from '../../../../streams/consume.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { MuxLink } from '../../../../transforms/link-mux/index.ts'
import type { Batch, Clock, Timer } from '../../../../types.ts'

/** Bytes of events that wait for the link; beyond it the browser has to wait. */
const INPUT_QUEUE = 64 * 1024

/** Bytes that a browser has and has not drawn yet; beyond it the other end has to wait. Only of one that tells what it has drawn. */
const UNDRAWN = 4 << 20

/** Milliseconds between two requests for a whole picture. */
const REFRESH = 1000

/** Questions for the text of the clipboard at one time. */
const MAX_QUESTIONS = 16

/** The close code of a browser that has sent something else than JSON (RFC 6455, section 7.4.1). */
const INVALID = 1007

/** What the user has chosen. */
export interface DesktopChoice {
  /** Percent; 100 is exact. */
  readonly quality: number
  readonly cursor: boolean
}

/** A link whose elements are messages without addresses, as `bodyOf` writes them. */
export type DesktopLink = Pick<MuxLink, 'id' | 'source' | 'flow' | 'sink' | 'abort' | 'halfClose' | 'dropped'>

export interface PageDesktopInit {
  readonly link: DesktopLink
  readonly choice: DesktopChoice
  readonly clock: Clock
  /** Milliseconds that it stays without a browser. */
  readonly keepTimeout: number
  /** Called with each part of a picture that is damaged, and not shown. */
  onDamage (): void
  /** Called once, when the link has ended or nobody is left. */
  onGone (): void
}

export class PageDesktop {
  readonly #init: PageDesktopInit
  readonly #link: DesktopLink
  readonly #queue: AsyncQueue
  readonly #input = new DesktopInput()
  readonly #questions = new Set<(text: string) => void>()
  #choice: DesktopChoice
  #browser: Browser | undefined
  /** Runs while there is no browser. */
  #leaving: Timer | undefined
  /** Runs from a picture that was not shown until a whole one is asked for. */
  #refreshing: Timer | undefined
  /** Bytes that this browser has got, and that it has drawn; Infinity until it has told once. */
  #sent = 0
  #drawn = Infinity
  #wake: (() => void) | undefined
  #dropped = 0
  /** Parts that the first browser gets, as long as none has come: one read, as their sender waits. Undefined when it would not. */
  #held: Buffer[] | undefined
  /** There were parts that a browser which comes now has not got. */
  #hasPicture = false
  #isGone = false

  constructor (init: PageDesktopInit) {
    this.#init = init
    this.#link = init.link
    this.#choice = init.choice
    this.#held = init.link.halfClose ? [] : undefined
    this.#queue = new AsyncQueue({ weigh: ({ length }) => length, onPull: () => { this.#browser?.resume() } })
    this.#link.sink(this.#queue).catch(() => {}) // its end is that of the source
    if (!this.#link.halfClose && this.#choice.cursor) this.#control() // the original has no eye for that of the request
    void this.#run()
    this.#left()
  }

  get id (): string { return String(this.#link.id) }

  /** Takes the place of the browser before. Asks for a whole picture, unless what has come so far waits for it. */
  attach (socket: WebSocket): void {
    this.#browser?.close(CLOSED.elsewhere, 'opened elsewhere')
    this.#init.clock.clear(this.#leaving)
    this.#release()
    const browser: Browser = new Browser(socket, this.#init.clock, (bytes) => { this.#happened(browser, bytes) }, () => {
      if (this.#browser === browser) this.#left()
    })
    this.#browser = browser
    this.#sent = 0
    this.#drawn = Infinity
    if (this.#hasPicture) this.#control()
    const held = this.#held ?? []
    this.#held = undefined
    for (const frame of held) void this.#show(frame)
    this.#goOn()
  }

  /** The other end learns it with the next request for a whole picture, as of a browser that attaches again. */
  prefer (choice: DesktopChoice): void { this.#choice = choice }

  /** @returns false when too much waits for the other end */
  choose (choice: DesktopChoice): boolean {
    this.#choice = choice
    return this.#control()
  }

  /** The text of the clipboard at the other end; undefined when too many ask for it, or too much waits. It comes, or `signal` is aborted. */
  clipboard (signal: AbortSignal): Promise<string> | undefined {
    if (this.#questions.size >= MAX_QUESTIONS || !this.#send({ _type: MessageType.vncClipboard, vclipboard: { set: false, _type: TEXT, data: '' } })) return undefined
    this.#forget() // the answer comes behind it
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#questions.delete(answer)
        reject(signal.reason)
      }
      const answer = (text: string): void => {
        signal.removeEventListener('abort', leave)
        resolve(text)
      }
      if (signal.aborted) return leave()
      this.#questions.add(answer)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  /** Sets the text of the clipboard at the other end. @returns false when too much waits for it */
  setClipboard (data: string): boolean { return this.#send({ _type: MessageType.vncClipboard, vclipboard: { set: true, _type: TEXT, data } }) }

  /** Ends it. @param code - for its browser */
  close (code: number, reason: string): void {
    this.#browser?.close(code, reason)
    this.#gone(new LinkClosedError('its page is closed'))
  }

  async #run (): Promise<void> {
    let err: Error = new LinkClosedError('the other end has ended it')
    try {
      await consume(this.#link, (batch) => this.#arrived(batch))
    } catch (caught) {
      err = caught as Error
    }
    if (this.#isGone) return
    this.#browser?.tell({ type: 'lost', reason: reasonOf(err) })
    this.#browser?.close(CLOSED.over, '')
    this.#gone(err)
  }

  /** Returns a promise when the other end has to wait for the browser. */
  #arrived (batch: Batch): Promise<void> | undefined {
    let busy: Promise<void> | undefined
    for (const body of batch) {
      const { _type: type, vimg, vclipboard } = messageOfBody(body)
      if (type as unknown === MessageType.vncImage) busy = this.#shown(vimg) ?? busy
      else if (type as unknown === MessageType.vncClipboard) this.#told(vclipboard?.data ?? '')
    }
    if (this.#link.dropped > this.#dropped) {
      this.#dropped = this.#link.dropped
      this.#refresh()
    }
    return this.#link.halfClose ? busy : undefined
  }

  #shown (image: MessageInit['vimg']): Promise<void> | undefined {
    const frame = pictureFrame(image)
    if (frame !== undefined) return this.#show(frame)
    this.#init.onDamage()
    if (this.#browser === undefined) this.#hasPicture = true
    else this.#refresh()
    return undefined
  }

  #show (frame: Buffer): Promise<void> | undefined {
    const browser = this.#browser
    if (browser === undefined && this.#held !== undefined) {
      this.#held.push(frame)
      return new Promise((resolve) => { this.#wake = resolve })
    }
    this.#hasPicture = true
    if (browser === undefined) return undefined // who comes asks for a whole one
    if (!this.#link.halfClose && (browser.isSlow || this.#isBehind)) { // its sender does not wait
      this.#refresh()
      return undefined
    }
    this.#sent += frame.length
    const sending = browser.sendWhole(frame)
    return this.#isBehind ? new Promise((resolve) => { this.#wake = resolve }) : sending
  }

  get #isBehind (): boolean { return this.#sent - this.#drawn > UNDRAWN }

  /** What waits for the first browser is not shown to it: it asks for a whole picture. */
  #forget (): void {
    if (this.#held === undefined) return
    this.#hasPicture ||= this.#held.length > 0
    this.#held = undefined
    this.#goOn()
  }

  #goOn (): void {
    this.#wake?.()
    this.#wake = undefined
  }

  #told (text: string): void {
    const questions = [...this.#questions]
    this.#questions.clear()
    for (const answer of questions) answer(text)
  }

  #happened (browser: Browser, bytes: Uint8Array): void {
    if (browser !== this.#browser) return
    let event: DesktopEvent | undefined
    try {
      event = readEvent(Buffer.from(bytes).toString())
    } catch {
      browser.close(INVALID, 'not JSON')
      this.#left()
      return
    }
    if (event === undefined) return
    if (event.action === 'drawn') {
      this.#drawn = Math.min(this.#sent, (this.#drawn === Infinity ? 0 : this.#drawn) + event.payload.bytes)
      if (event.payload.damaged === true) this.#refresh()
      if (!this.#isBehind) this.#goOn()
      return
    }
    this.#queue.push(this.#input.bodyOf(event))
    if (this.#queue.size > INPUT_QUEUE) browser.pause()
  }

  /** Something was not shown: a whole picture is asked for, once the browser is ready for it. */
  #refresh (): void {
    if (this.#refreshing !== undefined || this.#isGone) return
    this.#refreshing = this.#init.clock.set(REFRESH, () => {
      this.#refreshing = undefined
      if (this.#browser?.isSlow === true || this.#isBehind) this.#refresh()
      else this.#control()
    }).unref()
  }

  /** The other end sends a whole picture next. */
  #control (): boolean {
    const { quality, cursor } = this.#choice
    return this.#send({ _type: MessageType.vncControl, vctrl: { quality, cursor } })
  }

  #send (message: MessageInit): boolean {
    if (this.#queue.size > INPUT_QUEUE) return false
    this.#queue.push(bodyOf(message))
    return true
  }

  #release (): void {
    for (const body of this.#input.release()) this.#queue.push(body)
  }

  /** There is no browser. */
  #left (): void {
    this.#browser = undefined
    this.#sent = 0
    this.#drawn = Infinity
    this.#goOn()
    if (this.#isGone) return
    this.#release()
    this.#leaving = this.#init.clock.set(this.#init.keepTimeout, () => { this.#gone(new LinkClosedError('its page is closed')) }).unref()
  }

  #gone (reason: Error): void {
    if (this.#isGone) return
    this.#isGone = true
    const { clock } = this.#init
    clock.clear(this.#leaving)
    clock.clear(this.#refreshing)
    this.#queue.end()
    this.#link.abort(reason)
    this.#goOn()
    this.#init.onGone()
  }
}
