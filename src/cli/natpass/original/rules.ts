/** The rules of a file of the original client, and what ours have in addition. */
import { isMap, isScalar, isSeq, type ParsedNode, type YAMLMap } from 'yaml'
import { isOptionOf, ruleOptions, type Rule } from '../../../nodes/natpass/peer/rules.ts'
import { keyOf } from '../../config/keys.ts'
import type { Values } from '../../config/settings.ts'
import { placeText, type Entry, type Place, type YamlDocument } from '../../config/yaml-document.ts'
import { nearest } from '../../nearest.ts'
import { UsageError } from '../../usage-error.ts'
import { isNothing, quotedNode, textOfScalar } from './nodes.ts'

export interface OriginalRule {
  /** Checked, with defaults. */
  readonly rule: Rule
  /** The same as it is written, by the keys of our files. */
  readonly given: Values
}

export interface RulesContext {
  /** Of the list. */
  readonly place: Place
  /** Takes the places of what is read, such as `rules.0.exec`. */
  readonly places: Map<string, Place>
  warn (place: Place, detail: string): void
}

const MAX_RULES = 256

/** The most that the original takes; it reads more as this. */
const MAX_FPS = 50

const OPTIONS = Object.entries(ruleOptions).map(([property, option]) => ({ property: property as keyof Rule, key: keyOf(property, option), ...option }))
const KEYS = OPTIONS.map(({ key }) => key)

/** @throws {UsageError} naming file, line and key */
export function rulesOf (yaml: YamlDocument, list: ParsedNode, context: RulesContext): OriginalRule[] {
  if (!isSeq(list)) throw new UsageError(`${placeText(context.place)}: rules: not a list (${quotedNode(list)}), expected rules, each with "-" in front`)
  if (list.items.length > MAX_RULES) throw new UsageError(`${placeText(context.place)}: rules: too many, expected at most ${MAX_RULES}`)
  return list.items.map((item, i) => {
    const place = yaml.placeOf(item)
    const name = `rules.${i}`
    context.places.set(name, place)
    if (!isMap(item)) throw new UsageError(`${placeText(place)}: ${name}: not a rule (${quotedNode(item)}), expected keys such as name, target and type`)
    return ruleOf(yaml, item, { ...context, place }, name)
  })
}

function ruleOf (yaml: YamlDocument, section: YAMLMap.Parsed, { place, places, warn }: RulesContext, name: string): OriginalRule {
  const written = new Map<string, Entry>()
  for (const entry of yaml.entriesOf(section, name.split('.'))) {
    if (!KEYS.includes(entry.key)) {
      const near = nearest(entry.key, KEYS)
      warn(entry.place, `unknown key, it is ignored${near === undefined ? '' : ` (did you mean ${near}?)`}`)
      continue
    }
    places.set(`${name}.${entry.key}`, entry.place)
    if (!isNothing(entry.value)) written.set(entry.key, entry)
  }

  const given: Values = {}
  const rule: Record<string, unknown> = {}
  for (const { property, key, check, ...option } of OPTIONS) { // the type comes before what depends on it
    const entry = written.get(key)
    const isOfType = rule.type === undefined || isOptionOf(rule.type as Rule['type'], property)
    if (entry !== undefined && !isOfType) warn(entry.place, `${key} is ignored: a rule of type ${String(rule.type)} has none`)
    const value = entry === undefined || !isOfType ? undefined : valueOf(property, entry.value as ParsedNode)
    if (value === undefined && !('isRequired' in option)) {
      rule[property] = 'default' in option ? option.default : undefined
      continue
    }
    const result = check.safeParse(value)
    if (!result.success) throw new UsageError(`${placeText(entry?.place ?? place)}: ${name}.${key}: ${result.error.issues[0].message}`)
    rule[property] = result.data
    given[key] = value
  }
  if (given.local_addr === undefined) warn(place, `local_addr is missing: ${ruleOptions.localAddr.default} takes its place, where the original listens on all addresses`)
  return { rule: rule as Rule, given }
}

/** The text of a value, or texts of a list. What is neither is kept, for the check to reject. */
function valueOf (property: keyof Rule, node: ParsedNode): unknown {
  if (isSeq(node)) return node.items.map((item) => isScalar(item) ? textOfScalar(item) : {})
  const value = isScalar(node) ? textOfScalar(node) : {}
  if (property !== 'fps' || !/^\d{1,9}$/.test(String(value))) return value
  const fps = Number(value)
  return fps === 0 ? undefined : String(Math.min(fps, MAX_FPS))
}
