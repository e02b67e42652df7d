/** The keys, by the extension XTEST. */
import type { Display } from './display.ts'
import { keySymbol, LEVEL_3, SHIFT } from './key-symbols.ts'
import type { Xtest } from './x11-package.ts'

const KEY_PRESS = 2
const KEY_RELEASE = 3

/** What a `MappingNotify` is about. */
const KEYBOARD = 1

/** Columns of a key in the table of the server: alone, with shift, with the key for the third level, with both. Others are other layouts. */
const COLUMNS = [0, 1, 4, 5]

/** Keys at one time. */
const MAX_HELD = 32

/** Keys without a symbol that get one for a while: programs look up a key some time after it was pressed. */
const MAX_SPARE = 8

interface Place {
  readonly keycode: number
  /** An index of `COLUMNS`. Undefined: the same with all modifiers. */
  readonly level: number | undefined
}

export class Keyboard {
  readonly #display: Display
  readonly #xtest: Xtest
  #places: ReadonlyMap<number, Place> = new Map()
  /** The first one has waited longest. */
  #spare: number[] = []
  /** Symbols that were given to keys without one, by keycode. */
  readonly #given = new Map<number, number>()
  /** Keycodes by the name that they were pressed by. */
  readonly #held = new Map<string, number>()

  constructor (display: Display, xtest: Xtest) {
    this.#display = display
    this.#xtest = xtest
    display.on(({ name, request }) => {
      if (name === 'MappingNotify' && request === KEYBOARD) void this.#load().catch(() => {}) // of a connection that has ended
    })
  }

  /** @throws {DisplayError} */
  static async open (display: Display, xtest: Xtest): Promise<Keyboard> {
    const keyboard = new Keyboard(display, xtest)
    await keyboard.#load()
    return keyboard
  }

  /** A key that is held is not pressed again: the server repeats it by itself. */
  press (name: string): void {
    const key = keySymbol(name)
    if (key === undefined || this.#held.has(name) || this.#held.size >= MAX_HELD) return
    const place = this.#places.get(key.symbol) ?? this.#give(key.symbol)
    if (place === undefined) return
    this.#held.set(name, place.keycode)
    const others = key.isCharacter ? this.#modifiers(place) : []
    for (const { keycode, isHeld } of others) this.#fake(isHeld ? KEY_RELEASE : KEY_PRESS, keycode)
    this.#fake(KEY_PRESS, place.keycode)
    for (const { keycode, isHeld } of others.reverse()) this.#fake(isHeld ? KEY_PRESS : KEY_RELEASE, keycode)
  }

  release (name: string): void {
    const keycode = this.#held.get(name)
    if (keycode === undefined) return
    this.#held.delete(name)
    this.#fake(KEY_RELEASE, keycode)
  }

  /** Releases all keys, and takes back the symbols that were given. */
  close (): void {
    for (const name of this.#held.keys()) this.release(name)
    for (const keycode of this.#given.keys()) this.#display.client.ChangeKeyboardMapping(keycode, 1, [0])
    this.#given.clear()
  }

  /** The modifiers that have to be otherwise for a character. */
  #modifiers ({ level }: Place): Array<{ keycode: number, isHeld: boolean }> {
    if (level === undefined) return []
    const wanted = [[SHIFT, level % 2 === 1], [LEVEL_3, level > 1]] as const
    return wanted.flatMap(([symbol, isWanted]) => {
      const keycode = this.#places.get(symbol)?.keycode
      if (keycode === undefined) return []
      const isHeld = [...this.#held.values()].includes(keycode)
      return isHeld === isWanted ? [] : [{ keycode, isHeld }]
    })
  }

  /** Gives a symbol to a key that has none. */
  #give (symbol: number): Place | undefined {
    const index = this.#spare.findIndex((keycode) => ![...this.#held.values()].includes(keycode))
    if (index < 0) return undefined
    const [keycode] = this.#spare.splice(index, 1)
    this.#spare.push(keycode)
    this.#given.set(keycode, symbol)
    this.#display.client.ChangeKeyboardMapping(keycode, 2, [symbol, symbol])
    const place = { keycode, level: undefined }
    this.#places = new Map([...this.#places].filter(([, other]) => other.keycode !== keycode)).set(symbol, place)
    return place
  }

  async #load (): Promise<void> {
    const { client, setup: { min_keycode: first, max_keycode: last } } = this.#display
    const table = await this.#display.ask<ReadonlyArray<readonly number[]>>((done) => { client.GetKeyboardMapping(first, last - first + 1, done) })
    const places = new Map<number, Place>()
    const spare: number[] = []
    table.forEach((symbols, index) => {
      const keycode = first + index
      const given = this.#given.get(keycode)
      if (symbols.every((symbol) => symbol === 0 || symbol === given)) {
        if (symbols.some((symbol) => symbol !== 0)) places.set(given ?? 0, { keycode, level: undefined })
        else this.#given.delete(keycode)
        spare.push(keycode)
      } else this.#given.delete(keycode) // a layout of the user has it now
    })
    // Symbols that take fewer modifiers win, and then keys that come first.
    COLUMNS.forEach((column, level) => {
      table.forEach((symbols, index) => {
        const symbol = symbols[column] ?? 0
        if (symbol !== 0 && !places.has(symbol)) places.set(symbol, { keycode: first + index, level })
      })
    })
    this.#places = places
    const known = this.#spare.filter((keycode) => spare.includes(keycode))
    this.#spare = [...known, ...spare.filter((keycode) => !known.includes(keycode))].slice(0, MAX_SPARE)
  }

  #fake (type: number, keycode: number): void { this.#xtest.FakeInput(type, keycode, 0, this.#display.root, 0, 0) }
}
