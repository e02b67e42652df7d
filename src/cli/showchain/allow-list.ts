/** Who may connect to a peer: ids, and files of them. */
import { parseId } from '../../nodes/showchain/protocol/public-key.ts'
import { quoted } from '../../text/phrases.ts'
import { readBounded } from '../config/bounded-file.ts'
import { UsageError } from '../usage-error.ts'

/** Some 15,000 ids. */
const MAX_FILE_BYTES = 1024 * 1024

/** An item of the option `allow`: an id, a file of ids, or everybody. */
export type AllowItem = { readonly id: Uint8Array } | { readonly file: string } | 'any'

export const EXPECTED_ALLOW = 'an id of 64 hexadecimal digits, @FILE with one a line, or any'

export function readAllowItem (text: string): AllowItem | undefined {
  if (text === 'any') return 'any'
  if (text.startsWith('@')) return text.length > 1 && !text.includes('\0') ? { file: text.slice(1) } : undefined
  const id = parseId(text)
  return id === undefined ? undefined : { id }
}

/**
 * The ids of items, with those of files.
 *
 * @param key - how the user named the option
 * @returns `any`, or at least one id
 * @throws {UsageError} when a file cannot be read, when a line of it is no id, and when nobody may connect
 */
export function allowedIds (items: readonly AllowItem[], key: string): 'any' | Uint8Array[] {
  if (items.includes('any')) return 'any'
  const ids = items.flatMap((item) => item === 'any' ? [] : 'id' in item ? item.id : idsOfFile(item.file, key))
  if (ids.length === 0) throw new UsageError(`${key}: nobody may connect, as there is no id in ${items.flatMap((item) => item !== 'any' && 'file' in item ? JSON.stringify(item.file) : []).join(' and ')}, expected one at least, or any`)
  return ids
}

/** One id a line, and comments from `#` on. */
function idsOfFile (file: string, key: string): Uint8Array[] {
  return readBounded(file, key, MAX_FILE_BYTES).split(/\r?\n/).flatMap((line, i) => {
    const text = line.replace(/#.*/, '').trim()
    if (text === '') return []
    const id = parseId(text)
    if (id === undefined) throw new UsageError(`${key}: ${file}:${i + 1}: not an id (${quoted(text)}), expected 64 hexadecimal digits`)
    return [id]
  })
}
