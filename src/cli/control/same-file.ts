import { realpathSync } from 'node:fs'

/** Whether two absolute paths lead to one file, links followed. Asked for at each time: links change, as those of a mounted configuration do. */
export function isSameFile (one: string, other: string): boolean {
  return one === other || followed(one) === followed(other)
}

function followed (path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path // gone, or not for us
  }
}
