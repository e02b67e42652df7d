/** Reads a configuration file and remembers on which line each key stands. What the keys mean is for the schema to say. */
import { isMap, isScalar, LineCounter, parseDocument, visit, type Document, type ParsedNode, type YAMLMap } from 'yaml'
import { readBounded } from './bounded-file.ts'
import { isSection, type Layer } from './settings.ts'
import { UsageError } from './usage-error.ts'

/** Longer than any configuration, and short enough for whatever a parser does with it. */
const LARGEST_FILE = 64 * 1024

/** A few anchors are convenient; hundreds of aliases are a bomb. */
const MOST_ALIASES = 100

/** Separates the keys of a path; no key that passes the schema contains it. */
const joined = (path: readonly string[]): string => path.join('\0')

export interface ConfigFile extends Layer {
  /** As the user called it. */
  readonly file: string
}

/** Throws `UsageError`, naming file and line, when the file cannot be read or is not YAML. */
export function readConfigFile (file: string): ConfigFile {
  return parseConfig(file, readBounded(file, '--config', LARGEST_FILE))
}

export function parseConfig (file: string, text: string): ConfigFile {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: false, logLevel: 'error' })
  const lineAt = (offset: number): number => Math.max(1, counter.linePos(Math.min(offset, text.length)).line)
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    const what = problem.code === 'MULTIPLE_DOCS' ? 'more than one document, expected one' : `not YAML: ${lowerFirst(problem.message)}`
    throw new UsageError(`${file}:${lineAt(problem.pos[0])}: ${what}`)
  }
  visit(document, {
    Alias (_, alias) {
      if (alias.resolve(document) !== undefined) return
      throw new UsageError(`${file}:${lineAt(alias.range?.[0] ?? 0)}: no anchor before the alias *${alias.source}, expected &${alias.source}`)
    }
  })

  const lines = new Map<string, number>()
  const index = (map: YAMLMap.Parsed, path: readonly string[]): void => {
    for (const { key, value } of map.items) {
      const line = lineAt(key.range[0])
      if (!isScalar(key) || typeof key.value !== 'string') throw new UsageError(`${file}:${line}: a key that is not text, expected a name`)
      const here = [...path, key.value]
      const before = lines.get(joined(here))
      if (before !== undefined) throw new UsageError(`${file}:${line}: ${here.join('.')}: given twice, expected once (the first is on line ${before})`)
      lines.set(joined(here), line)
      if (isMap(value)) index(value as YAMLMap.Parsed, here)
    }
  }
  if (isMap(document.contents)) index(document.contents as YAMLMap.Parsed, [])
  return {
    file,
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
  const values = toValues(file, document)
  if (values === null) return {} // an empty file, or nothing but comments
  if (isSection(values)) return values
  const { range } = document.contents as ParsedNode
  throw new UsageError(`${file}:${lineAt(range[0])}: not a section, expected "key: value"`)
}

function toValues (file: string, document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: MOST_ALIASES })
  } catch (err) {
    throw new UsageError(`${file}: not YAML: ${lowerFirst((err as Error).message)}`)
  }
}

/** One line, and without a capital: it stands behind a colon. */
function lowerFirst (message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1).replaceAll(/\s+/g, ' ')
}
