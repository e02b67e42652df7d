/** The names of keys in `vnc_keyboard` (natpass protocol, section 4.2), and the symbols of X for them. */

/** Keys that are no characters. Those behind `space` are names of this implementation. */
const NAMED: ReadonlyMap<string, number> = new Map(Object.entries({
  backspace: 0xff08,
  tab: 0xff09,
  enter: 0xff0d,
  esc: 0xff1b,
  delete: 0xffff,
  home: 0xff50,
  left: 0xff51,
  up: 0xff52,
  right: 0xff53,
  down: 0xff54,
  pageup: 0xff55,
  pagedown: 0xff56,
  end: 0xff57,
  shift: 0xffe1,
  control: 0xffe3,
  alt: 0xffe9,
  cmd: 0xffeb,
  space: 0x20,
  insert: 0xff63,
  pause: 0xff13,
  printscreen: 0xff61,
  menu: 0xff67,
  capslock: 0xffe5,
  numlock: 0xff7f,
  scrolllock: 0xff14,
  altgr: 0xfe03
}))

export const SHIFT = 0xffe1
/** What reaches the third character of a key. */
export const LEVEL_3 = 0xfe03

const F1 = 0xffbe
const FUNCTION_KEY = /^f([1-9]|1[0-9]|2[0-4])$/

/** Characters that are names of keys, whatever is held with them. */
const KEY = /^[a-z0-9\-=[\]\\;',./]$/

/** Symbols of other characters are their numbers, above this one where they are not of Latin-1. */
const UNICODE = 0x1000000

export interface KeySymbol {
  readonly symbol: number
  /** It is a character to be typed as it is, by whatever modifiers that takes. */
  readonly isCharacter: boolean
}

/** Undefined for a name that is none. Any other single character is its own name. */
export function keySymbol (name: string): KeySymbol | undefined {
  const named = NAMED.get(name)
  if (named !== undefined) return { symbol: named, isCharacter: false }
  const number = FUNCTION_KEY.exec(name)?.[1]
  if (number !== undefined) return { symbol: F1 + Number(number) - 1, isCharacter: false }
  const point = name.codePointAt(0)
  if (point === undefined || name.length !== String.fromCodePoint(point).length || isControl(point)) return undefined
  return { symbol: point > 0xff ? UNICODE + point : point, isCharacter: !KEY.test(name) }
}

/** Also halves of characters. */
const isControl = (point: number): boolean => point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0xd800 && point < 0xe000)
