/** Reads a configuration file and records the line of each key. Keys and values are checked by the schema. */
import { isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type ParsedNode, type YAMLError, type YAMLMap } from 'yaml'
import { readBoundedBytes, textOf } from './bounded-file.ts'
import { isSection, type ConfigFile } from './settings.ts'
import type { Protocol } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'

/** More than any configuration has; bounds the work of the parser. */
const MAX_FILE_BYTES = 64 * 1024

/** Separates the keys of a path; no key that passes the schema contains it. */
const joined = (path: readonly string[]): string => path.join('\0')

/** @throws {UsageError} naming file and line, when the file cannot be read, or is neither YAML nor a configuration of the original program of a protocol */
export function readConfigFile (file: string, protocols: ReadonlyArray<Pick<Protocol, 'foreign'>>): ConfigFile {
  const bytes = readBoundedBytes(file, '--config', MAX_FILE_BYTES)
  const text = bytes.toString('latin1') // comments of other programs may have any encoding
  const foreign = protocols.find((protocol) => protocol.foreign?.recognises(text))?.foreign
  return foreign === undefined ? parseConfig(file, textOf(bytes, file, '--config')) : foreign.parse(file, text)
}

export function parseConfig (file: string, text: string): ConfigFile {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: false, logLevel: 'error' })
  const lineAt = (offset: number): number => Math.max(1, counter.linePos(Math.min(offset, text.length)).line)
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) throw new UsageError(`${file}:${lineAt(problem.pos[0])}: ${problemText(problem)}`)
  const reject = (node: { range?: ParsedNode['range'] | null }, what: string): never => {
    throw new UsageError(`${file}:${lineAt(node.range?.[0] ?? 0)}: ${meaningless(what)}`)
  }
  // mostly these are passwords that need quotes
  visit(document, {
    Alias (_, alias) { reject(alias, 'an alias') },
    Value (_, node) { if (node.anchor !== undefined) reject(node, 'an anchor') }
  })

  const lines = new Map<string, number>()
  const index = (map: YAMLMap.Parsed, path: readonly string[]): void => {
    for (const { key, value } of map.items) {
      const line = lineAt(key.range[0])
      if (!isScalar(key) || typeof key.value !== 'string') throw new UsageError(`${file}:${line}: a key that is not text, expected a name`)
      if (key.value === '<<') throw new UsageError(`${file}:${line}: "<<" merges nothing here, expected the keys themselves`)
      const here = [...path, key.value]
      const before = lines.get(joined(here))
      if (before !== undefined) throw new UsageError(`${file}:${line}: ${here.join('.')}: given twice, expected once (the first is on line ${before})`)
      lines.set(joined(here), line)
      descend(value, here)
    }
  }
  const descend = (value: ParsedNode | null, here: readonly string[]): void => {
    if (isMap(value)) index(value, here)
    if (!isSeq(value)) return
    for (const [i, item] of value.items.entries()) {
      lines.set(joined([...here, String(i)]), lineAt(item.range[0]))
      descend(item, [...here, String(i)])
    }
  }
  descend(document.contents, [])
  return {
    file,
    warnings: [],
    isForeign: false,
    values: toSection(file, document, lineAt),
    name (path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(joined(path.slice(0, length)))
        if (line !== undefined) return `${file}:${line}: ${path.join('.')}`
      }
      return `${file}: ${path.join('.')}`
    }
  }
}

function toSection (file: string, document: Document.Parsed, lineAt: (offset: number) => number): ConfigFile['values'] {
  const values: unknown = document.toJS()
  if (values === null) return {} // empty, or only comments
  if (isSection(values)) return values
  const { range } = document.contents as ParsedNode
  throw new UsageError(`${file}:${lineAt(range[0])}: not a section, expected "key: value"`)
}

const meaningless = (what: string): string => `${what} that means nothing here; put the text in quotes`

/** Describes a YAML error without repeating text of the file, which may be a password. */
function problemText ({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'more than one document, expected one'
  if (code === 'TAG_RESOLVE_FAILED' || code === 'BAD_COLLECTION_TYPE') return meaningless('a tag')
  if (code === 'BAD_DIRECTIVE') return meaningless('a directive')
  if (code === 'BAD_DQ_ESCAPE') return 'not YAML: a backslash that means nothing here; put the text in single quotes'
  const [what] = message.split(': ') // after the colon the message repeats the text
  return `not YAML: ${what.charAt(0).toLowerCase()}${what.slice(1).replaceAll(/\s+/g, ' ')}`
}
