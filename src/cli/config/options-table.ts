/** The table of the options of a protocol for the documentation, in Markdown. */
import type { Option, Options } from '../../nodes/common/options/option.ts'
import { keyOf, keysOf, type Key } from './keys.ts'

/** @param section - the key of the section in files */
export function optionsTable (section: string, options: Options): string {
  const rows = Object.entries(options).flatMap(([property, option]) => keysOf({ [property]: option }).map((key) => {
    const docs = key.name === keyOf(property, option) ? option.docs : undefined // another key of the option has a text of its own
    return `| \`${flagOf(key).replaceAll('|', '\\|')}\` | ${defaultOf(key, option)} | ${docs ?? key.help ?? 'a list of sections, in files only'} |`
  }))
  return [`| option, and key below \`${section}:\` | default | meaning |`, '| --- | --- | --- |', ...rows].join('\n')
}

/** `--max-peers COUNT`; the name alone for a key that is no flag. */
function flagOf ({ name, value, help }: Key): string {
  if (help === undefined) return name
  return value === undefined ? `--${name}` : `--${name} ${value.includes('|') ? value : value.toUpperCase()}`
}

/** A default that can be written as it stands is code. */
function defaultOf ({ isRequired, value, default: text }: Key, option: Option): string {
  if (isRequired) return 'required'
  if (value === undefined && typeof option.default === 'boolean') return `\`${option.default}\``
  if (text === undefined) return ''
  return option.default !== undefined && !Array.isArray(option.default) && !text.includes(' ') ? `\`${text}\`` : text
}
