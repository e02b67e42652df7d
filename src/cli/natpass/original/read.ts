/** Reads a file of the original: values by its keys, typed, with their places (natpass protocol, section 5). */
import { isMap, isScalar, type ParsedNode, type YAMLMap } from 'yaml'
import { textOf } from '../../config/bounded-file.ts'
import { parseYaml, placeText, type Place, type YamlDocument } from '../../config/yaml-document.ts'
import { nearest } from '../../nearest.ts'
import { UsageError } from '../../usage-error.ts'
import { withIncludes } from './includes.ts'
import { peerKeys, relayKeys, type Key, type Keys, type ValuesOf } from './keys.ts'
import { isNothing, quotedNode, textOfScalar } from './nodes.ts'
import { rulesOf, type OriginalRule } from './rules.ts'

export interface Original<K extends Keys> {
  readonly file: string
  /** Defaults are filled in, but for the secret. */
  readonly values: ValuesOf<K>
  /** In the order of the file; none in that of a server. */
  readonly rules: readonly OriginalRule[]
  readonly warnings: readonly string[]
  /** Where a key, a section, or a part of the rules such as `rules.0.exec` stands; undefined for one that is not written. */
  placeOf (name: string): Place | undefined
}

/** @throws {UsageError} naming file, line and key, for the first error */
export const readOriginalRelay = (file: string, text: string): Original<typeof relayKeys> => new Reader(file, text, 'relay').result(relayKeys)

/** @throws {UsageError} naming file, line and key, for the first error */
export const readOriginalPeer = (file: string, text: string): Original<typeof peerKeys> => new Reader(file, text, 'peer').result(peerKeys)

/** Names at the top of a file of each program. */
const TOP: Record<'relay' | 'peer', readonly string[]> = { relay: topOf(relayKeys), peer: [...topOf(peerKeys), 'rules'] }

/** All names at the top of files of the original. */
export const ORIGINAL_KEYS: readonly string[] = [...new Set([...TOP.relay, ...TOP.peer])]

function topOf (keys: Keys): string[] {
  return [...new Set(Object.keys(keys).map((name) => name.split('.')[0]))]
}

/** Warnings about one file, which may have thousands of unknown keys. */
const MAX_WARNINGS = 20

class Reader {
  readonly #file: string
  readonly #text: string
  readonly #program: 'relay' | 'peer'
  readonly #given = new Map<string, unknown>()
  readonly #places = new Map<string, Place>()
  readonly #warnings: string[] = []
  #rules: OriginalRule[] = []

  constructor (file: string, text: string, program: 'relay' | 'peer') {
    this.#file = file
    this.#text = text
    this.#program = program
  }

  result<K extends Keys> (keys: K): Original<K> {
    const { text, placeAt, nothing } = withIncludes(this.#file, textOf(Buffer.from(this.#text, 'latin1'), this.#file, '--config'))
    for (const place of nothing) this.#warn(place, '#include: no such file, it is ignored')
    const yaml = parseYaml(text, placeAt)
    const { contents } = yaml.document
    if (isMap(contents)) this.#readSection(yaml, keys, contents, [])
    else if (!isNothing(contents)) throw new UsageError(`${placeText(yaml.placeOf(contents))}: not a section, expected "key: value"`)
    const more = this.#warnings.length - MAX_WARNINGS
    return {
      file: this.#file,
      values: Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, this.#given.get(name) ?? key.default])) as ValuesOf<K>,
      rules: this.#rules,
      warnings: more > 0 ? [...this.#warnings.slice(0, MAX_WARNINGS), `${this.#file}: ${more} more warnings`] : this.#warnings,
      placeOf: (name) => this.#places.get(name)
    }
  }

  #readSection (yaml: YamlDocument, keys: Keys, section: YAMLMap.Parsed, path: readonly string[]): void {
    const known = path.length === 0 ? TOP[this.#program] : Object.keys(keys).flatMap((name) => name.startsWith(`${path[0]}.`) ? [name.slice(path[0].length + 1)] : [])
    for (const { key, place, value } of yaml.entriesOf(section, path)) {
      const name = [...path, key].join('.')
      if (!known.includes(key)) {
        this.#warnUnknown(path, key, place, known)
        continue
      }
      this.#places.set(name, place)
      if (isNothing(value)) continue
      if (Object.hasOwn(keys, name)) this.#readValue(name, keys[name], place, value)
      else if (name === 'rules') this.#rules = rulesOf(yaml, value, { places: this.#places, place, warn: (at, detail) => { this.#warn(at, detail) } })
      else if (isMap(value)) this.#readSection(yaml, keys, value, [name])
      else throw new UsageError(`${placeText(place)}: ${name}: not a section (${quotedNode(value)}), expected keys such as ${Object.keys(keys).find((inside) => inside.startsWith(`${name}.`))}`)
    }
  }

  #readValue (name: string, key: Key<unknown>, place: Place, node: ParsedNode): void {
    if (!isScalar(node)) throw new UsageError(`${placeText(place)}: ${name}: not ${key.what} (${quotedNode(node)}), expected ${key.expected}`)
    const value = key.read(textOfScalar(node))
    if (value === undefined) throw new UsageError(`${placeText(place)}: ${name}: not ${key.what} (${quotedNode(node)}), expected ${key.expected}`)
    this.#given.set(name, value)
  }

  #warnUnknown (path: readonly string[], key: string, place: Place, known: readonly string[]): void {
    if (path.length === 0 && ORIGINAL_KEYS.includes(key)) {
      this.#warn(place, `${key} is ignored: a key of ${this.#program === 'relay' ? 'the client' : 'the server'}`)
      return
    }
    const near = nearest(key, known)
    this.#warn(place, `unknown key, it is ignored${near === undefined ? '' : ` (did you mean ${near}?)`}`)
  }

  #warn (place: Place, detail: string): void {
    this.#warnings.push(`${placeText(place)}: ${detail}`)
  }
}
