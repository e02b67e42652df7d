/** Reads a configuration file and records the line of each key. Keys and values are checked by the schema. */
import { isMap, isSeq, type ParsedNode, type YAMLMap } from 'yaml'
import { readBoundedBytes, textOf } from './bounded-file.ts'
import { givenBy } from './given.ts'
import { isSection, type ConfigFile, type ConfigSource } from './settings.ts'
import { parseYaml, placeText, type YamlDocument } from './yaml-document.ts'
import type { Protocol } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'

/** More than any configuration has; bounds the work of the parser. */
const MAX_FILE_BYTES = 64 * 1024

/** Separates the keys of a path; no key that passes the schema contains it. */
const joined = (path: readonly string[]): string => path.join('\0')

/**
 * @param only - the name of the protocol of the command: where it has files of an original program, those of others are none
 * @param flags - what wins over the file. Default: nothing
 * @throws {UsageError} naming file and line, when the file cannot be read, or is neither YAML nor a configuration of the original program of a protocol
 */
export function readConfigFile (file: string, protocols: ReadonlyArray<Pick<Protocol, 'name' | 'options' | 'foreign'>>, only?: string, flags?: ConfigSource): ConfigFile {
  const bytes = readBoundedBytes(file, '--config', MAX_FILE_BYTES)
  const text = bytes.toString('latin1') // comments of other programs may have any encoding
  const own = protocols.filter(({ name, foreign }) => name === only && foreign !== undefined)
  const protocol = (own.length === 0 ? protocols : own).find(({ foreign }) => foreign?.recognises(text))
  return protocol?.foreign === undefined ? parseConfig(file, textOf(bytes, file, '--config')) : protocol.foreign.parse(file, text, flags === undefined ? undefined : givenBy(flags, protocol))
}

export function parseConfig (file: string, text: string): ConfigFile {
  const yaml = parseYaml(text, (line) => ({ file, line }))
  const lines = new Map<string, number>()
  const index = (map: YAMLMap.Parsed, path: readonly string[]): void => {
    for (const { key, place, value } of yaml.entriesOf(map, path)) {
      lines.set(joined([...path, key]), place.line)
      descend(value, [...path, key])
    }
  }
  const descend = (value: ParsedNode | null, here: readonly string[]): void => {
    if (isMap(value)) index(value, here)
    if (!isSeq(value)) return
    for (const [i, item] of value.items.entries()) {
      lines.set(joined([...here, String(i)]), yaml.placeOf(item).line)
      descend(item, [...here, String(i)])
    }
  }
  descend(yaml.document.contents, [])
  return {
    file,
    warnings: [],
    isForeign: false,
    values: toSection(yaml),
    name (path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(joined(path.slice(0, length)))
        if (line !== undefined) return `${file}:${line}: ${path.join('.')}`
      }
      return `${file}: ${path.join('.')}`
    }
  }
}

function toSection ({ document, placeOf }: YamlDocument): ConfigFile['values'] {
  const values: unknown = document.toJS()
  if (values === null) return {} // empty, or only comments
  if (isSection(values)) return values
  throw new UsageError(`${placeText(placeOf(document.contents as ParsedNode))}: not a section, expected "key: value"`)
}
