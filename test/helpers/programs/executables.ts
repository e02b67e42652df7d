/** The built executables, as users run them. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type ExecutableName = 'relay' | 'peer'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Milliseconds since the epoch at which the newest file below a folder was written. */
const newest = (folder: string): number =>
  Math.max(...readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs))

let isChecked = false

/**
 * Path of a built executable.
 *
 * @throws {Error} when it was built before the last change of a source file, so that no test passes on old code
 */
export function executable (name: ExecutableName): string {
  const path = join(root, 'dist/bin', `${name}.js`)
  if (!isChecked) {
    const built = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
    if (built < Math.max(newest(join(root, 'src')), newest(join(root, 'bin')))) throw new Error('dist/ is older than src/ and bin/: run `npm run build`')
    isChecked = true
  }
  return path
}

/** Arguments of Node for a program in TypeScript. */
export const STRIP_TYPES: readonly string[] = ['--import', new URL('strip-types.js', import.meta.url).href]
