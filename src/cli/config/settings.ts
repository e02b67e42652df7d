/** Settings from several sources: flags, then the environment, then the file. One schema checks the result. */
import type { z } from 'zod'
import { UsageError } from '../usage-error.ts'

/** Keys and their values; a section is such an object itself. */
export interface Values { [key: string]: unknown }

/** Options of other programs that this one does not have, with the error text for each. */
export type UnsupportedOptions = Readonly<Record<string, string>>

export interface ConfigSource {
  readonly values: Values
  /** The key as the user knows it: `--dhcp`, or `relay.yaml:7: candy.dhcp`. */
  name (path: readonly string[]): string
}

/** The flags of a command. */
export interface Flags {
  /** The value of `--config`. */
  config: string | undefined
  /** The only protocol to run. Undefined: each that has a section. */
  protocol: string | undefined
  source: ConfigSource
}

/** A configuration file, read. */
export interface ConfigFile extends ConfigSource {
  /** The path as the user wrote it. */
  readonly file: string
  readonly warnings: readonly string[]
  /** The file is one of the original program of a protocol. */
  readonly isForeign: boolean
}

export interface Settings<T> {
  values: T
  /** The name of a key in an error, by the source that it came from. */
  name (path: readonly string[]): string
}

export function isSection (value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function merge (upper: Values, lower: Values): Values {
  const merged: Values = { ...lower }
  for (const [key, value] of Object.entries(upper)) {
    const below = merged[key]
    merged[key] = isSection(value) && isSection(below) ? merge(value, below) : value
  }
  return merged
}

/** How many keys of the path exist; keys of a list are indices. */
function depth (values: unknown, path: readonly string[]): number {
  const [key, ...rest] = path
  return (isSection(values) || Array.isArray(values)) && key !== undefined && Object.hasOwn(values, key) ? 1 + depth((values as Values)[key], rest) : 0
}

/** The path of an issue of zod, which for an unknown key is that of its section. */
function pathOf (issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String)
  return issue.code === 'unrecognized_keys' ? [...path, issue.keys[0]] : path
}

/**
 * Merges the sources, of which the first one wins, and checks the result.
 *
 * @param sources - a missing key is named by the last source that has its section
 * @throws {UsageError} for the first error
 */
export function resolveSettings<S extends z.ZodType> (schema: S, sources: readonly ConfigSource[]): Settings<z.output<S>> {
  const name = (path: readonly string[]): string => {
    const depths = sources.map(({ values }) => depth(values, path))
    const deepest = Math.max(...depths)
    const index = deepest === path.length ? depths.indexOf(deepest) : depths.lastIndexOf(deepest)
    return sources[index].name(path)
  }
  const merged = sources.reduceRight<Values>((lower, { values }) => merge(values, lower), {})
  const result = schema.safeParse(merged)
  if (result.success) return { values: result.data, name }
  const [issue] = result.error.issues
  throw new UsageError(`${name(pathOf(issue))}: ${issue.message}`)
}
