import { opendir } from 'node:fs/promises'
import { explained } from '../reason.ts'

/**
 * Checks that a folder can be read.
 *
 * @param what it is, as the error tells
 * @throws an error with a code
 */
export async function verifyFolder (folder: string, what: string): Promise<void> {
  try {
    await (await opendir(folder)).close()
  } catch (err) {
    throw explained(err, `${what} ${folder} cannot be used`)
  }
}
