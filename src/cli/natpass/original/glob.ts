/** Files by patterns, as Go has them: `*`, `?`, `[a-z]`, `[^a-z]` and `\` within a name, also at a dot in front. No `**`. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Whether a character fits; `*` takes any number of them. */
type Token = '*' | ((char: string) => boolean)

/**
 * Finds the files that a pattern stands for, in the order of their names.
 *
 * @param folder - what the pattern is relative to
 * @param limit - of the files, and of folders that are looked into
 * @returns at most one more than `limit`; undefined when it is not a pattern
 */
export function filesOf (folder: string, pattern: string, limit: number): string[] | undefined {
  const names = pattern.split('/').filter((name) => name !== '').map((name) => ({ name, tokens: tokensOf(name) }))
  let found = [pattern.startsWith('/') ? '/' : folder]
  for (const { name, tokens } of names) {
    if (tokens === undefined) return undefined
    found = found.flatMap((inside) => inside === undefined ? [] : within(inside, name, tokens)).slice(0, limit + 1)
  }
  return found
}

function within (folder: string, name: string, tokens: readonly Token[]): string[] {
  if (!/[*?[\\]/.test(name)) return existsSync(join(folder, name)) ? [join(folder, name)] : []
  try {
    return readdirSync(folder).filter((file) => fits(Array.from(file), tokens)).sort().map((file) => join(folder, file))
  } catch {
    return [] // not a folder, or not readable
  }
}

/** Undefined for a class or an escape without an end. */
function tokensOf (pattern: string): Token[] | undefined {
  const tokens: Token[] = []
  const chars = Array.from(pattern)
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]
    if (char === '*') tokens.push('*')
    else if (char === '?') tokens.push(() => true)
    else if (char === '[') {
      const end = classOf(chars, at + 1, tokens)
      if (end === undefined) return undefined
      at = end
    } else {
      const literal = char === '\\' ? chars[++at] : char
      if (literal === undefined) return undefined
      tokens.push((other) => other === literal)
    }
  }
  return tokens
}

/** Reads a class such as `[^a-z_]` from behind its bracket, and returns where it ends. */
function classOf (chars: readonly string[], from: number, tokens: Token[]): number | undefined {
  const isNegated = chars[from] === '^'
  const ranges: Array<readonly [string, string]> = []
  let at = isNegated ? from + 1 : from
  const next = (): string | undefined => {
    if (chars[at] === '\\') at++
    return chars[at++]
  }
  while (ranges.length === 0 || chars[at] !== ']') {
    if (chars[at] === ']' || chars[at] === '-') return undefined
    const low = next()
    let high = low
    if (chars[at] === '-') {
      at++
      high = next()
    }
    if (low === undefined || high === undefined) return undefined
    ranges.push([low, high])
  }
  tokens.push((char) => ranges.some(([low, high]) => isBetween(char, low, high)) !== isNegated)
  return at
}

const isBetween = (char: string, low: string, high: string): boolean => {
  const code = (text: string): number => text.codePointAt(0) as number
  return code(char) >= code(low) && code(char) <= code(high)
}

/** Takes time in proportion to the product of both lengths at most: only the last `*` is tried again. */
function fits (name: readonly string[], tokens: readonly Token[]): boolean {
  let token = 0
  let star = -1
  let resume = 0
  for (let char = 0; char < name.length;) {
    const wanted = tokens[token]
    if (wanted === '*') {
      star = token++
      resume = char
    } else if (wanted?.(name[char]) === true) {
      token++
      char++
    } else if (star >= 0) {
      token = star + 1
      char = ++resume
    } else {
      return false
    }
  }
  return tokens.slice(token).every((rest) => rest === '*')
}
