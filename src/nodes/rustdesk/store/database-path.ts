/** The file that a `DB_URL` of the original names. */
import { OptionError } from '../../../errors.ts'

const SCHEME = /^(?:sqlite:(?:\/\/)?)+/

/** Parameters that change nothing here, with their values. A store that cannot be written, or that ends with the process, is none. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = { mode: ['rw', 'rwc'], cache: ['private', 'shared'], immutable: ['false', '0'] }

/**
 * Reads `./db_v2.sqlite3` as well as `sqlite:///data/db_v2.sqlite3?mode=rwc`. As the original does, a path is percent-decoded in either form.
 *
 * @throws {OptionError} when it names no file, or asks for a database that keeps nothing
 */
export function databasePath (url: string): string {
  const [encoded, parameters] = splitOnce(url.replace(SCHEME, ''))
  for (const [name, value] of new URLSearchParams(parameters)) {
    if (!(Object.hasOwn(PARAMETERS, name) && PARAMETERS[name].includes(value))) throw new OptionError(`a database cannot be opened with ${name}=${value}`)
  }
  let path
  try {
    path = decodeURIComponent(encoded)
  } catch {
    throw new OptionError('the path of the database has a % without the two digits of a byte of UTF-8')
  }
  if (path === '' || path === ':memory:' || path.includes('\0')) throw new OptionError('no path of a database')
  return path
}

function splitOnce (text: string): [string, string] {
  const at = text.indexOf('?')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
