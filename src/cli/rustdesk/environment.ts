/** The environment as the original programs see it: the variables of the process, and before them those of a file `.env`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readBounded } from '../config/bounded-file.ts'

const MAX_BYTES = 64 * 1024

export type Environment = Readonly<Record<string, string | undefined>>

/** A file that cannot be read is ignored with a warning. */
export function environmentOf (folder: string, warn: (message: string) => void): Environment {
  const file = join(folder, '.env')
  if (!existsSync(file)) return process.env
  try {
    return { ...process.env, ...variablesIn(readBounded(file, '.env', MAX_BYTES)) }
  } catch (err) {
    warn(`ignored: ${(err as Error).message}`)
    return process.env
  }
}

/** Lines such as `ALWAYS_USE_RELAY=Y` or `always-use-relay = "Y"`, up to the first section. */
export function variablesIn (text: string): Record<string, string> {
  const variables: Record<string, string> = Object.create(null)
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*\[/.test(line)) break
    const [, name, value] = /^\s*([\w-]+)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? []
    if (name !== undefined) variables[name.replaceAll('-', '_').toUpperCase()] = /^(["'])(.*)\1$/.exec(value)?.[2] ?? value
  }
  return variables
}
