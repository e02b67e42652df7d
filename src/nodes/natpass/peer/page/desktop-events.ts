/** What a user does to a desktop: JSON of the browser becomes messages to the other end (natpass protocol, section 4.2). */
import { z } from 'zod'
import { Status } from '../../protocol/desktop.ts'
import { MessageType } from '../../protocol/message-types.ts'
import { bodyOf, type MessageInit } from '../../protocol/messages.ts'

/** Numbers of `vnc_mouse.button`; anything else is 0, unset, as of `vnc_status`. */
const BUTTONS: Readonly<Record<string, number>> = { left: 1, middle: 2, right: 3 }

/** Characters of the name of a key. */
const MAX_KEY = 16

/** Keys and buttons that are remembered as held. */
const MAX_HELD = 64

/** Steps of one event of a wheel. */
const MAX_STEPS = 100

const int32 = z.int32()
const steps = int32.transform((count) => Math.max(-MAX_STEPS, Math.min(MAX_STEPS, count)))
const word = z.string().max(MAX_KEY).optional()

const eventSchema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('mouse'), payload: z.object({ button: word, status: word, x: int32, y: int32 }) }),
  z.object({ action: z.literal('keyboard'), payload: z.object({ status: word, key: z.string().min(1).max(MAX_KEY) }) }),
  z.object({ action: z.literal('scroll'), payload: z.object({ x: steps, y: steps }) }),
  z.object({ action: z.literal('cad') }),
  z.object({ action: z.literal('drawn'), payload: z.object({ bytes: z.int().min(0), damaged: z.boolean().optional() }) })
])

/** An event of the browser; undefined when it is unknown or has a payload of another form, which is ignored. @throws {SyntaxError} when it is no JSON */
export const readEvent = (text: string): z.infer<typeof eventSchema> | undefined => eventSchema.safeParse(JSON.parse(text)).data

export type DesktopEvent = NonNullable<ReturnType<typeof readEvent>>

/** Makes messages of events, and knows which keys and buttons are held. */
export class DesktopInput {
  /** What releases each of them. */
  readonly #held = new Map<string, () => MessageInit>()
  #x = 0
  #y = 0

  /** A message for the other end, as links carry it. */
  bodyOf (event: Exclude<DesktopEvent, { action: 'drawn' }>): Uint8Array {
    switch (event.action) {
      case 'mouse': {
        const { payload: { button = '', status = '', x, y } } = event
        this.#x = x
        this.#y = y
        const btn = numberOf(BUTTONS, button)
        this.#holds(`button ${btn}`, status, () => mouse(this.#x, this.#y, Status.up, btn))
        return bodyOf(mouse(x, y, numberOf(Status, status), btn))
      }
      case 'keyboard': {
        const { payload: { status = '', key } } = event
        this.#holds(`key ${key}`, status, () => keyboard(Status.up, key))
        return bodyOf(keyboard(numberOf(Status, status), key))
      }
      case 'scroll': return bodyOf({ _type: MessageType.vncScroll, vscroll: event.payload })
      case 'cad': return bodyOf({ _type: MessageType.vncCad })
    }
  }

  /** Messages that release what is held, as nobody is there any more who could. */
  release (): Uint8Array[] {
    const bodies = [...this.#held.values()].reverse().map((release) => bodyOf(release()))
    this.#held.clear()
    return bodies
  }

  #holds (what: string, status: string, release: () => MessageInit): void {
    if (status === 'up') this.#held.delete(what)
    else if (status === 'down' && this.#held.size < MAX_HELD) this.#held.set(what, release)
  }
}

const numberOf = (table: Readonly<Record<string, number>>, name: string): number => Object.hasOwn(table, name) ? table[name] : 0

/** Coordinates below 0 are those of 32 bits, as the original has them. */
const mouse = (x: number, y: number, type: number, btn: number): MessageInit => ({ _type: MessageType.vncMouse, vmouse: { type, btn, x: x >>> 0, y: y >>> 0 } })

const keyboard = (type: number, key: string): MessageInit => ({ _type: MessageType.vncKeyboard, vkbd: { type, key } })
