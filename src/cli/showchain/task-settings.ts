/** The flags of a command that runs once, checked. */
import { z } from 'zod'
import type { Options, SettingsOf } from '../../nodes/common/options/option.ts'
import { keysOf } from '../config/keys.ts'
import { givenIn, sectionSchema } from '../config/section.ts'
import { isSection, resolveSettings, type Flags, type Values } from '../config/settings.ts'

const PROTOCOL = 'showchain'

/**
 * The settings of a table of options without files and secrets, by flags alone.
 *
 * @throws {UsageError} for the first invalid flag
 */
export function taskSettings<T extends Options> ({ source }: Flags, options: T): SettingsOf<T> {
  const section = source.values[PROTOCOL]
  const shared = keysOf(options).flatMap(({ name }) => source.values[name] === undefined ? [] : [[name, source.values[name]]]) // `--json`, say
  const values: Values = { [PROTOCOL]: { ...(isSection(section) ? section : {}), ...Object.fromEntries(shared) } }
  const { values: checked } = resolveSettings(z.object({ [PROTOCOL]: sectionSchema(options) }), [{ values, name: source.name.bind(source) }])
  const given: Readonly<Record<string, unknown>> = givenIn(options, checked[PROTOCOL])
  return Object.fromEntries(Object.entries(options).map(([property, { default: fallback }]) => [property, given[property] ?? fallback])) as SettingsOf<T>
}
