import { realpathSync } from 'node:fs'

/** Whether two absolute paths lead to the same file, links followed. Not cached: links may change, as in mounted configurations. */
export function isSameFile (one: string, other: string): boolean {
  return one === other || followed(one) === followed(other)
}

function followed (path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path // does not exist, or is not accessible
  }
}
