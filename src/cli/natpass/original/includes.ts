/** `#include` in files of the original: lines of other files take its place (natpass protocol, section 5). */
import { existsSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { quoted } from '../../../text/phrases.ts'
import { readBoundedBytes, textOf } from '../../config/bounded-file.ts'
import { placeText, type Place } from '../../config/yaml-document.ts'
import { UsageError } from '../../usage-error.ts'
import { filesOf } from './glob.ts'

/** Files within each other, the first one included. */
const MAX_DEPTH = 16

/** Of all files, with their indentation. */
const MAX_BYTES = 64 * 1024

/** Directives, and files that they name. */
const MAX_INCLUDES = 256

/** A longer path is none. */
const MAX_PATH = 4096

export interface IncludedText {
  readonly text: string
  /** Where a line of the text, from 1, comes from. */
  placeAt (line: number): Place
  /** Directives that name no file that is there, which the original takes for nothing as well. */
  readonly nothing: readonly Place[]
}

/**
 * Replaces each `#include` by the lines of what it names, with its indentation.
 *
 * @throws {UsageError} naming file and line of a directive that cannot be followed, or leads beyond the bounds
 */
export function withIncludes (file: string, text: string): IncludedText {
  const lines: string[] = []
  const places: Place[] = []
  const nothing: Place[] = []
  let bytes = 0
  let includes = 0

  const add = (file: string, text: string, indentation: string, open: readonly string[]): void => {
    for (const [i, raw] of linesOf(text).entries()) {
      const place = { file, line: i + 1 }
      const key = `${placeText(place)}: #include`
      const [, blanks = '', path] = /^(\s*)#include(.*)$/s.exec(raw) ?? []
      if (path !== undefined) {
        const named = filesNamed(file, path.trim(), key)
        includes += 1 + named.length
        if (named.length === 0) nothing.push(place)
        if (includes > MAX_INCLUDES) throw new UsageError(`${key}: too many files, expected at most ${MAX_INCLUDES}`)
        for (const included of named) {
          const id = identityOf(included)
          if (open.includes(id)) throw new UsageError(`${key}: ${JSON.stringify(included)} includes itself, expected no circle`)
          if (open.length >= MAX_DEPTH) throw new UsageError(`${key}: too deep, expected at most ${MAX_DEPTH} files within each other`)
          add(included, textOf(readBoundedBytes(included, key, MAX_BYTES), included, key), indentation + blanks, [...open, id])
        }
        continue
      }
      const line = indentation + raw
      bytes += Buffer.byteLength(line) + 1
      if (bytes > MAX_BYTES + 1) throw new UsageError(`${placeText(place)}: too much, expected at most ${MAX_BYTES / 1024} KiB in all files together`)
      lines.push(line)
      places.push(place)
    }
  }
  add(file, text, '', [identityOf(file)])
  return { text: lines.join('\n'), placeAt: (line) => places[line - 1] ?? places[places.length - 1] ?? { file, line: 1 }, nothing }
}

/** Without an empty one behind the last line feed. */
function linesOf (text: string): string[] {
  const lines = text.split('\n')
  return lines[lines.length - 1] === '' ? lines.slice(0, -1) : lines
}

function filesNamed (file: string, path: string, key: string): string[] {
  if (path === '') throw new UsageError(`${key}: names no file, expected a path or a pattern such as conf.d/*.yaml`)
  if (path.length > MAX_PATH || path.includes('\0')) throw new UsageError(`${key}: not a path (${quoted(path)}), expected a path or a pattern such as conf.d/*.yaml`)
  const folder = dirname(file)
  const exact = isAbsolute(path) ? path : join(folder, path)
  if (existsSync(exact)) return [exact]
  const found = filesOf(folder, path, MAX_INCLUDES)
  if (found === undefined) throw new UsageError(`${key}: not a pattern (${quoted(path)}), expected one such as conf.d/*.yaml`)
  return found
}

/** One for all names of a file. */
function identityOf (file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file // a pipe has none
  }
}
