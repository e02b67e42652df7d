/** Keys that a container is given: as secrets, which are files, or else in its environment. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { readBounded } from '../../config/bounded-file.ts'

/** Where containers have secrets. */
export const SECRETS_FOLDER = '/run/secrets'

const MAX_BYTES = 4096

/** The text of a secret. One that cannot be read is none, as to the original image. @throws {UsageError} when it is no text, or a large one */
export function secretFile (name: string, folder = SECRETS_FOLDER): string | undefined {
  const file = join(folder, name)
  try {
    accessSync(file, constants.R_OK)
  } catch {
    return undefined
  }
  return readBounded(file, `the secret ${name}`, MAX_BYTES).trim()
}
