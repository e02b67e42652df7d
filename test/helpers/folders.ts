/** Test files that run in one process: most take less time than a process which loads the test runner and the sources. */
import { readdirSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Paths, from `test`, of the test files of a folder, without those of folders in it. */
const filesOf = (folder: string): string[] => readdirSync(root + folder).filter((name) => name.endsWith('.test.ts')).map((name) => `${folder}/${name}`).sort()

/**
 * Runs the test files of some folders of `test`, one after the other.
 *
 * @param except - paths of those that need a process of their own
 */
export function runFolders (folders: readonly string[], except: readonly string[] = []): void {
  t.setTimeout(300_000)
  t.test(folders.join(', '), async (t) => { // tests are added while this one runs, so none begins before all files are loaded
    const files = folders.flatMap(filesOf)
    t.same(except.filter((file) => !files.includes(file)), [])
    for (const file of files) if (!except.includes(file)) await import(pathToFileURL(root + file).href)
  })
}
