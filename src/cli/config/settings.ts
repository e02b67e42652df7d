/** Settings come in layers: flags, then the environment, then the file. The same schema checks all of them. */
import type { z } from 'zod'
import { UsageError } from '../usage-error.ts'

/** Keys and what was given for them; a section is such an object itself. */
export interface Values { [key: string]: unknown }

/** Names that other programs know and ours do not, each with what to say to whoever gives it. */
export type UnsupportedOptions = Readonly<Record<string, string>>

export interface ConfigSource {
  readonly values: Values
  /** The key as its user knows it: `--dhcp`, or `relay.yaml:7: candy.dhcp`. */
  name (path: readonly string[]): string
}

/** A configuration file, read. */
export interface ConfigFile extends ConfigSource {
  /** As the user called it. */
  readonly file: string
  /** What the user should know, but what stops nothing. */
  readonly warnings: readonly string[]
  /** It is one of the original candy. */
  readonly isOriginal: boolean
}

export interface Settings<T> {
  values: T
  /** How to name a key in a complaint about it: by the layer that it came from. */
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

/** How many keys of the path exist; those of a list are numbers. */
function depth (values: unknown, path: readonly string[]): number {
  const [key, ...rest] = path
  return (isSection(values) || Array.isArray(values)) && key !== undefined && Object.hasOwn(values, key) ? 1 + depth((values as Values)[key], rest) : 0
}

/** The path that an issue of zod is about. It stands at the section whose key is unknown, not at the key. */
function pathOf (issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String)
  return issue.code === 'unrecognized_keys' ? [...path, issue.keys[0]] : path
}

/**
 * Merges the layers, the first one wins, and checks the result. Throws `UsageError` for the first thing that is wrong.
 *
 * @param sources - a key that is missing altogether is named by the last layer that has the section it belongs to
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
