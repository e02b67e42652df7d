/** Who may do something, as options and files tell: items of one kind, and files with one a line. */
import { z } from 'zod'
import { numeral } from '../nodes/common/options/checks.ts'
import { quoted } from '../text/phrases.ts'
import { readBounded } from './config/bounded-file.ts'
import { UsageError } from './usage-error.ts'

/** Some 15,000 ids. */
const MAX_FILE_BYTES = 1024 * 1024

/** An item of the option: one of those who may, a file of them, or everybody. */
export type AllowItem<T> = { readonly one: T } | { readonly file: string } | 'any'

/** What a list is about. */
export interface AllowKind<T> {
  /** One item, such as `an id`. */
  readonly what: string
  /** How it is written, and the same with its name, `an id of 64 hexadecimal digits`. */
  readonly expected: string
  readonly form: string
  /** What they may do, such as `connect`. */
  readonly action: string
  /** Undefined for a text that is none. */
  parse (text: string): T | undefined
}

/** Such a list as an option. */
export interface AllowList<T> {
  /** What its items are, for messages and help. */
  readonly expected: string
  /** Checks it. */
  readonly check: ReturnType<typeof listOf<T>>
  readItem (text: string): AllowItem<T> | undefined
  /**
   * All of the items, with those of files.
   *
   * @param key - how the user named the option
   * @returns `any`, or at least one
   * @throws {UsageError} when a file cannot be read, when a line of it is none, and when nobody is left
   */
  allowed (items: ReadonlyArray<AllowItem<T>>, key: string): 'any' | T[]
}

function listOf<T> (expected: string, readItem: (text: string) => AllowItem<T> | undefined) {
  return z.array(numeral('whom to allow', expected, readItem), { error: `not a list, expected ${expected}` }).min(1, { error: `empty, expected ${expected}` })
}

export function allowList<T> ({ what, expected, form, action, parse }: AllowKind<T>): AllowList<T> {
  const items = `${form}, @FILE with one a line, or any`
  const readItem = (text: string): AllowItem<T> | undefined => {
    if (text === 'any') return 'any'
    if (text.startsWith('@')) return text.length > 1 && !text.includes('\0') ? { file: text.slice(1) } : undefined
    const one = parse(text)
    return one === undefined ? undefined : { one }
  }
  /** One a line, and comments from `#` on. */
  const ofFile = (file: string, key: string): T[] => readBounded(file, key, MAX_FILE_BYTES).split(/\r?\n/).flatMap((line, i) => {
    const text = line.replace(/#.*/, '').trim()
    if (text === '') return []
    const one = parse(text)
    if (one === undefined) throw new UsageError(`${key}: ${file}:${i + 1}: not ${what} (${quoted(text)}), expected ${expected}`)
    return [one]
  })
  return {
    expected: items,
    check: listOf(items, readItem),
    readItem,
    allowed (items, key) {
      if (items.includes('any')) return 'any'
      const all = items.flatMap((item) => item === 'any' ? [] : 'one' in item ? item.one : ofFile(item.file, key))
      if (all.length === 0) throw new UsageError(`${key}: nobody may ${action}, as there is no ${what.replace(/^an? /, '')} in ${items.flatMap((item) => item !== 'any' && 'file' in item ? JSON.stringify(item.file) : []).join(' and ')}, expected one at least, or any`)
      return all
    }
  }
}
