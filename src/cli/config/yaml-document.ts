/** YAML of configuration files: errors name the place, and repeat no text of the file, which may be a password. */
import { isScalar, LineCounter, parseDocument, visit, type Document, type ParsedNode, type YAMLError, type YAMLMap } from 'yaml'
import { printable } from '../../text/printable.ts'
import { UsageError } from '../usage-error.ts'

/** Where something stands. */
export interface Place {
  readonly file: string
  /** From 1. */
  readonly line: number
}

/** `relay.yaml:7`. */
export const placeText = ({ file, line }: Place): string => `${file}:${line}`

export interface YamlDocument {
  readonly document: Document.Parsed
  placeOf (node: ParsedNode): Place
  /**
   * The keys of a section, in their order.
   *
   * @param path - of the section
   * @throws {UsageError} for a key that is not text, or is given twice
   */
  entriesOf (section: YAMLMap.Parsed, path: readonly string[]): Entry[]
}

export interface Entry {
  readonly key: string
  readonly place: Place
  readonly value: ParsedNode | null
}

/**
 * Parses a text without anchors and aliases.
 *
 * @param placeAt - where a line of the text, from 1, stands
 * @throws {UsageError} when it is not such YAML
 */
export function parseYaml (text: string, placeAt: (line: number) => Place): YamlDocument {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: false, logLevel: 'error' })
  const placeOfOffset = (offset: number): Place => placeAt(Math.max(1, counter.linePos(Math.min(offset, text.length)).line))
  const reject = (offset: number, detail: string): never => { throw new UsageError(`${placeText(placeOfOffset(offset))}: ${detail}`) }

  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) reject(problem.pos[0], problemText(problem))
  // mostly these are passwords that need quotes
  visit(document, {
    Alias (_, alias) { reject(alias.range?.[0] ?? 0, meaningless('an alias')) },
    Value (_, node) { if (node.anchor !== undefined) reject(node.range?.[0] ?? 0, meaningless('an anchor')) }
  })
  return {
    document,
    placeOf: ({ range }) => placeOfOffset(range[0]),
    entriesOf (section, path) {
      const before = new Map<string, Place>()
      return section.items.map(({ key, value }) => {
        const [offset] = key.range
        if (!isScalar(key) || typeof key.value !== 'string') return reject(offset, 'a key that is not text, expected a name')
        if (key.value === '<<') return reject(offset, '"<<" merges nothing here, expected the keys themselves')
        const place = placeOfOffset(offset)
        const first = before.get(key.value)
        if (first !== undefined) {
          const where = first.file === place.file ? `on line ${first.line}` : `at ${placeText(first)}`
          return reject(offset, `${[...path, key.value].map((name) => printable(name)).join('.')}: given twice, expected once (the first is ${where})`)
        }
        before.set(key.value, place)
        return { key: key.value, place, value }
      })
    }
  }
}

const meaningless = (what: string): string => `${what} that means nothing here; put the text in quotes`

function problemText ({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'more than one document, expected one'
  if (code === 'TAG_RESOLVE_FAILED' || code === 'BAD_COLLECTION_TYPE') return meaningless('a tag')
  if (code === 'BAD_DIRECTIVE') return meaningless('a directive')
  if (code === 'BAD_DQ_ESCAPE') return 'not YAML: a backslash that means nothing here; put the text in single quotes'
  const [what] = message.split(': ') // after the colon the message repeats the text
  return `not YAML: ${what.charAt(0).toLowerCase()}${what.slice(1).replaceAll(/\s+/g, ' ')}`
}
