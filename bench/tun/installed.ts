/** What this machine has. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Whether the system would find a program of this name. */
export const isInstalled = (program: string): boolean => (process.env.PATH ?? '').split(delimiter).some((folder) => {
  try {
    accessSync(join(folder, program), constants.X_OK)
    return true
  } catch {
    return false
  }
})
