/** The flags of a command that runs once, checked. */
import { z } from 'zod'
import type { Options, SettingsOf } from '../../nodes/common/options/option.ts'
import { keysOf } from './keys.ts'
import { givenIn, sectionSchema } from './section.ts'
import { isSection, resolveSettings, type Flags, type Values } from './settings.ts'

/**
 * The settings of a table of options without files and secrets, by flags alone.
 *
 * @throws {UsageError} for the first invalid flag
 */
export function taskSettings<T extends Options> ({ source, protocol = '' }: Flags, options: T): SettingsOf<T> {
  const section = source.values[protocol]
  const shared = keysOf(options).flatMap(({ name }) => source.values[name] === undefined ? [] : [[name, source.values[name]]]) // `--json`, say
  const values: Values = { [protocol]: { ...(isSection(section) ? section : {}), ...Object.fromEntries(shared) } }
  const { values: checked } = resolveSettings(z.object({ [protocol]: sectionSchema(options) }), [{ values, name: source.name.bind(source) }])
  const given: Readonly<Record<string, unknown>> = givenIn(options, checked[protocol])
  return Object.fromEntries(Object.entries(options).map(([property, { default: fallback }]) => [property, given[property] ?? fallback])) as SettingsOf<T>
}
