/** The environment as the original programs see it: the variables of the process, and before them those of a file `.env`. */
import { existsSync } from 'node:fs'
import { readBounded } from '../../config/bounded-file.ts'
import { readIni, variableName } from './ini.ts'

const MAX_BYTES = 64 * 1024

/** The file, in the working folder. */
export const ENV_FILE = '.env'

/** A value, and where it was found: `the environment`. */
export interface Variable {
  readonly text: string
  readonly from: string
}

/** By name, in upper case with `_`. */
export type Environment = ReadonlyMap<string, Variable>

/** A file that cannot be read is ignored with a warning, and so are lines of it. */
export function environmentOf (warn: (message: string) => void, file = ENV_FILE, inherited: NodeJS.ProcessEnv = process.env): Environment {
  const variables = new Map<string, Variable>()
  for (const [name, text] of Object.entries(inherited).sort(byPreference)) if (text !== undefined) variables.set(variableName(name), { text, from: 'the environment' })
  if (!existsSync(file)) return variables
  try {
    const { lines, ignored } = readIni(readBounded(file, ENV_FILE, MAX_BYTES))
    for (const { name, value } of lines) variables.set(name, { text: value, from: ENV_FILE })
    if (ignored.length > 0) warn(`${ENV_FILE}:${ignored[0]}: ignored, expected NAME=VALUE${ignored.length > 1 ? `, and so are ${ignored.length - 1} other lines` : ''}`)
  } catch (err) {
    warn(`ignored: ${(err as Error).message}`)
  }
  return variables
}

/** Spellings of one name, the one that counts last: first those in upper case, of these the one with `-`. */
function byPreference ([first]: [string, unknown], [second]: [string, unknown]): number {
  return rank(second) - rank(first) || (first < second ? 1 : -1)
}

function rank (name: string): number {
  const isOf = (pattern: RegExp): boolean => pattern.test(name)
  return [/^[^a-z_]*$/, /^[^a-z-]*$/, /^[^A-Z_]*$/, /^[^A-Z-]*$/, /^/].findIndex(isOf)
}
