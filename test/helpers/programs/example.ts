/** Runs the examples against the sources of this checkout: `paths` of tsconfig.json leads `tunpipe` there. */
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startScript, type Program } from './program.ts'

const TSX = import.meta.resolve('tsx')
const root = fileURLToPath(new URL('../../../', import.meta.url))

export const startExample = (t: Test, name: string, args: readonly string[] = []): Program =>
  startScript(t, `${root}examples/${name}`, args, { cwd: root, imports: [TSX] })
