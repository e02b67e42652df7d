/** The text of the clipboard: the selection `CLIPBOARD`, which a program owns and gives to those who ask it. */
import type { Display } from './display.ts'
import { cutText } from './text-limit.ts'
import type { Property, XEvent } from './x11-package.ts'
import { MAX_CLIPBOARD } from '../../../protocol/desktop.ts'
import type { Clock } from '../../../../../types.ts'

/** Milliseconds that the program which owns the clipboard has to give its text. */
const TIMEOUT = 1000

const INPUT_ONLY = 2
const PROPERTY_CHANGE = 0x400000
const REPLACE = 0
const APPEND = 2
const NEW_VALUE = 0

/** Atoms that every server has. */
const ATOM = 4
const INTEGER = 19
const STRING = 31

const NAMES = ['CLIPBOARD', 'TARGETS', 'TIMESTAMP', 'INCR', 'UTF8_STRING', 'TEXT', 'text/plain;charset=utf-8', 'TUNPIPE_TEXT'] as const
type Atoms = Readonly<Record<typeof NAMES[number], number>>

export class Clipboard {
  readonly #display: Display
  readonly #clock: Clock
  readonly #atoms: Atoms
  readonly #window: number
  readonly #waiting = new Set<(event: XEvent) => void>()
  /** What this process owns, and since when, in milliseconds of the server. */
  #own: { readonly text: string, readonly time: number } | undefined
  #reading: Promise<string> | undefined
  /** The text that is about to be taken over: of those that come meanwhile the last one counts. */
  #next: string | undefined

  constructor (display: Display, atoms: Atoms, clock: Clock) {
    this.#display = display
    this.#atoms = atoms
    this.#clock = clock
    this.#window = display.client.AllocID()
    display.client.CreateWindow(this.#window, display.root, 0, 0, 1, 1, 0, 0, INPUT_ONLY, 0, { eventMask: PROPERTY_CHANGE })
    display.on((event) => { this.#take(event) })
  }

  /** @throws {DisplayError} */
  static async open (display: Display, clock: Clock): Promise<Clipboard> {
    const atoms = await Promise.all(NAMES.map((name) => display.ask<number>((done) => { display.client.InternAtom(false, name, done) })))
    return new Clipboard(display, Object.fromEntries(NAMES.map((name, index) => [name, atoms[index]])) as unknown as Atoms, clock)
  }

  /** Takes the clipboard over. A text that is too long is cut. Never rejects. */
  async write (text: string): Promise<void> {
    const isWriting = this.#next !== undefined
    this.#next = text
    if (isWriting) return
    try {
      const time = await this.#now()
      this.#own = { text: cutText(Buffer.from(this.#next), MAX_CLIPBOARD), time }
      this.#display.client.SetSelectionOwner(this.#window, this.#atoms.CLIPBOARD, time)
    } catch {} // the connection has ended, or the server does nothing any more
    this.#next = undefined
  }

  /** Its text, cut where it is too long; empty when there is none, or its owner does not answer. Never rejects. */
  async read (): Promise<string> {
    if (this.#own !== undefined) return this.#own.text
    this.#reading ??= this.#ask().catch(() => '').finally(() => { this.#reading = undefined })
    return await this.#reading
  }

  async #ask (): Promise<string> {
    const { client } = this.#display
    const { CLIPBOARD, UTF8_STRING, TUNPIPE_TEXT: property } = this.#atoms
    const until = this.#clock.now() + TIMEOUT
    const time = await this.#now()
    for (const target of [UTF8_STRING, STRING]) {
      const answered = this.#event(until, (event) => event.name === 'SelectionNotify' && event.requestor === this.#window && event.target === target && event.time === time)
      client.ConvertSelection(this.#window, CLIPBOARD, target, property, time)
      if ((await answered).property === 0) continue
      const text = await this.#received(until)
      return target === STRING ? text.toString('latin1').slice(0, MAX_CLIPBOARD / 2) : cutText(text, MAX_CLIPBOARD)
    }
    return ''
  }

  /** What the owner has put into the property, at once or in parts. A little more than the most, when it is too long. */
  async #received (until: number): Promise<Buffer> {
    const { TUNPIPE_TEXT: property, INCR } = this.#atoms
    const isNew = (event: XEvent): boolean => event.name === 'PropertyNotify' && event.wid === this.#window && event.atom === property && event.state === NEW_VALUE
    const first = await this.#property()
    let next = this.#event(until, isNew)
    this.#display.client.DeleteProperty(this.#window, property) // asks for the next part, where there are parts
    if (first.type !== INCR) {
      next.catch(() => {})
      return first.data
    }
    let text = Buffer.alloc(0)
    while (text.length <= MAX_CLIPBOARD) {
      await next
      const { data } = await this.#property()
      if (data.length === 0) break
      text = Buffer.concat([text, data])
      next = this.#event(until, isNew)
      this.#display.client.DeleteProperty(this.#window, property)
    }
    next.catch(() => {})
    return text
  }

  async #property (): Promise<Property> {
    const { client } = this.#display
    return await this.#display.ask<Property>((done) => { client.GetProperty(0, this.#window, this.#atoms.TUNPIPE_TEXT, 0, 0, MAX_CLIPBOARD / 4 + 1, done) })
  }

  /** The time of the server, which requests about selections have to name. */
  async #now (): Promise<number> {
    const { TIMESTAMP } = this.#atoms
    const changed = this.#event(this.#clock.now() + TIMEOUT, ({ name, wid, atom }) => name === 'PropertyNotify' && wid === this.#window && atom === TIMESTAMP)
    this.#display.client.ChangeProperty(APPEND, this.#window, TIMESTAMP, INTEGER, 32, [])
    return (await changed).time
  }

  /** The next event of a kind. Rejects when it does not come in time. */
  async #event (until: number, isWanted: (event: XEvent) => boolean): Promise<XEvent> {
    return await new Promise((resolve, reject) => {
      const take = (event: XEvent): void => {
        if (!isWanted(event)) return
        this.#waiting.delete(take)
        this.#clock.clear(timer)
        resolve(event)
      }
      const timer = this.#clock.set(Math.max(0, until - this.#clock.now()), () => {
        this.#waiting.delete(take)
        reject(new Error('no answer in time'))
      })
      this.#waiting.add(take)
    })
  }

  #take (event: XEvent): void {
    for (const take of this.#waiting) take(event)
    if (event.name === 'SelectionClear' && event.owner === this.#window) this.#own = undefined
    if (event.name === 'SelectionRequest' && event.owner === this.#window) this.#answer(event)
  }

  /** Gives the text to a program that asks for it. */
  #answer ({ time, requestor, selection, target, property: wanted }: XEvent): void {
    const { client } = this.#display
    const property = wanted === 0 ? target : wanted // as old programs ask
    const content = selection === this.#atoms.CLIPBOARD && this.#own !== undefined ? this.#contentOf(target, this.#own) : undefined
    if (content !== undefined) client.ChangeProperty(REPLACE, requestor, property, content.type, content.format, content.data)
    client.SendEvent(requestor, 0, 0, { name: 'SelectionNotify', time, requestor, selection, target, property: content === undefined ? 0 : property })
  }

  #contentOf (target: number, { text, time }: { text: string, time: number }): { type: number, format: number, data: Buffer | number[] } | undefined {
    const { TARGETS, TIMESTAMP, UTF8_STRING, TEXT, 'text/plain;charset=utf-8': PLAIN } = this.#atoms
    switch (target) {
      case TARGETS: return { type: ATOM, format: 32, data: [TARGETS, TIMESTAMP, UTF8_STRING, PLAIN, TEXT, STRING] }
      case TIMESTAMP: return { type: INTEGER, format: 32, data: [time] }
      case PLAIN: return { type: PLAIN, format: 8, data: Buffer.from(text) }
      case UTF8_STRING:
      case TEXT: return { type: UTF8_STRING, format: 8, data: Buffer.from(text) }
      case STRING: return { type: STRING, format: 8, data: Buffer.from(text.replaceAll(/[^\0-\xff]/gu, '?'), 'latin1') }
      default: return undefined
    }
  }
}
