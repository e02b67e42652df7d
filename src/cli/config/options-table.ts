/** The table of the options of a protocol for the documentation, in Markdown. */
import type { Options } from '../../nodes/common/options/option.ts'
import { defaultOf, keyOf, keysOf } from './keys.ts'

/** @param section - the key of the section in files */
export function optionsTable (section: string, options: Options): string {
  const rows = Object.entries(options).flatMap(([property, option]) => {
    const keys = keysOf({ [property]: option })
    return keys.map((key) => {
      const isOwn = key.name === keyOf(property, option)
      const meaning = isOwn || option.kind === undefined ? option.docs ?? key.help : key.help
      const flag = key.help === undefined ? key.name : `--${key.name}${key.value === undefined ? '' : ` ${key.value.includes('|') ? key.value : key.value.toUpperCase()}`}`
      const value = key.isRequired ? 'required' : key.sections !== undefined ? '' : isOwn ? defaultText(option.default, defaultOf(option), option.value) : ''
      return `| \`${flag.replaceAll('|', '\\|')}\` | ${value} | ${(key.sections === undefined ? meaning ?? '' : 'a list of sections, in files only').replace(/ \(default: [^)]*\)$/, '')} |`
    })
  })
  return [`| option, and key below \`${section}:\` | default | meaning |`, '| --- | --- | --- |', ...rows].join('\n')
}

function defaultText (value: unknown, text: string | undefined, placeholder: string | undefined): string {
  if (typeof value === 'boolean') return placeholder === undefined ? `\`${value}\`` : `\`${value ? 'on' : 'off'}\``
  if (text === undefined) return ''
  return value !== undefined && !Array.isArray(value) && !text.includes(' ') ? `\`${text}\`` : text
}
