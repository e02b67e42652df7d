/**
 * Options as data. A table of them gives the options of a node (`InitOf`), its settings (`SettingsOf`, defaults filled in) and checks;
 * the command line renders flags, keys of files, `--help` and the tables of the documentation from it.
 *
 * ```ts
 * export const relayOptions = {
 *   listen: { check: listenUrl(), isRequired: true, value: 'url', help: 'ws://HOST:PORT or wss://HOST:PORT' },
 *   authFailures: { check: wholeNumber(1), default: 120, value: 'count', help: 'wrong passwords from one address in a minute' }
 * } as const satisfies Options
 * type Init = InitOf<typeof relayOptions> // { listen: string | ListenUrl, authFailures?: number }
 * ```
 */
import type { z } from 'zod'
import { OptionError } from '../../../errors.ts'

/** How the command line takes an option that is not one flag with its value. */
export type OptionKind =
  /**
   * Also in a file named by `<name>-file`, and in a variable of the environment. Never repeated in a message. `emptyBy`: the option that
   * allows an empty one, or none. `knownToAll`: a value that is no secret, as it is the default of other programs.
   */
  | { readonly secret: { readonly noun: string, readonly variable: string, readonly emptyBy?: string | undefined, readonly knownToAll?: string | undefined } }
  /** A certificate chain and its key, each in a PEM file. */
  | { readonly tls: { readonly cert: string, readonly key: string } }
  /** Trusted certificates in a PEM file. */
  | { readonly ca: true }
  /** A list of sections, in files only. */
  | { readonly sections: Options }

export interface Option {
  /** The name of the flag and the key in files. Default: the property in kebab case. */
  readonly name?: string
  /** Another flag for it, of one letter: that of an original program. */
  readonly short?: string
  /** Of a value of a caller of the library. */
  readonly check: z.ZodType
  /** Of a value in flags and files, where that is another one: with another unit, say. Its output is an input of `check`. */
  readonly input?: z.ZodType
  readonly isRequired?: true
  /** The value in the settings when none is given. */
  readonly default?: unknown
  /** The default in `--help`: for one that is not `default` as it stands, such as `no limit`. */
  readonly defaultText?: string
  /** What the value is, in `--help`. Absent for a flag without a value. */
  readonly value?: string
  /** Several values, each with a flag of its own. */
  readonly isRepeatable?: true
  /** Values in files may be sections as well, which `check` takes. */
  readonly takesSections?: true
  /** One line for `--help`. Absent: an option of the library alone. */
  readonly help?: string
  /** The text of the documentation, in Markdown. Default: `help`. */
  readonly docs?: string
  readonly kind?: OptionKind
}

export type Options = Readonly<Record<string, Option>>

type IsSet<O extends Option> = O extends { readonly isRequired: true } ? true : O extends { readonly default: {} } ? true : false

/** The options of a node, as callers give them. */
export type InitOf<T extends Options> =
  & { [K in keyof T as T[K] extends { readonly isRequired: true } ? K : never]: z.input<T[K]['check']> }
  & { [K in keyof T as T[K] extends { readonly isRequired: true } ? never : K]?: z.input<T[K]['check']> | undefined }

/** The same checked and parsed, with defaults. It is a valid `InitOf` as well. */
export type SettingsOf<T extends Options> = { [K in keyof T]: IsSet<T[K]> extends true ? z.output<T[K]['check']> : z.output<T[K]['check']> | undefined }

/** Rejects the option at a path such as `['networks', 1, 'path']`. */
export type Reject = (path: ReadonlyArray<string | number>, detail: string) => never

/** Throws an `OptionError`. */
export const rejectOption: Reject = (path, detail) => { throw new OptionError(`${path.join('.')}: ${detail}`, { option: path.join('.'), detail }) }

/**
 * Checks options and fills in defaults. Properties that are not in the table are left out.
 *
 * @param at - the path of the options in an error
 * @throws {OptionError} for the first invalid one
 */
export function readOptions<T extends Options> (options: T, init: InitOf<T>, at: ReadonlyArray<string | number> = []): SettingsOf<T> {
  const given: Readonly<Record<string, unknown>> = init
  const settings: Record<string, unknown> = {}
  for (const [key, option] of Object.entries(options)) settings[key] = readOption(option, given[key], [...at, key])
  return settings as SettingsOf<T>
}

function readOption ({ check, isRequired, kind, default: fallback }: Option, value: unknown, path: ReadonlyArray<string | number>): unknown {
  if ((value === undefined && isRequired !== true) || (fallback !== undefined && value === fallback)) return fallback
  if (kind !== undefined && 'sections' in kind && Array.isArray(value) && value.length > 0) return value.map((item, i) => readOptions(kind.sections, item, [...path, i]))
  const result = check.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  return rejectOption([...path, ...issue.path.map((key) => typeof key === 'symbol' ? String(key) : key)], issue.message)
}

/** Rejects options that have been given although each section of a list has them. @param settings - without defaults */
export function rejectBeside (settings: object, options: Options, list: string, reject: Reject): void {
  const given: Readonly<Record<string, unknown>> = { ...settings }
  for (const [key, { default: fallback }] of Object.entries(options)) {
    if (given[key] !== undefined && !(given[key] === false && fallback === false)) reject([key], `of no use beside ${list}, expected below one of them`)
  }
}

/** Rejects a section whose `key` has the value of one before it. @param one - what a section is: `network` */
export function rejectTwins<K extends string> (sections: ReadonlyArray<{ readonly [key in K]?: string | undefined }>, key: K, at: readonly string[], one: string, reject: Reject): void {
  const seen = new Set<string>()
  for (const [i, { [key]: value }] of sections.entries()) {
    if (value === undefined) continue
    if (seen.has(value)) reject([...at, i, key], `the ${key} ${value} is that of another ${one} as well, expected one of its own`)
    seen.add(value)
  }
}
