import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { filesOf, GROUP_NAMES } from './groups.ts'
import { outputOf } from './programs/program.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

t.test('each test file runs once: by itself, or in a group', async (t) => {
  const all = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'))
  const listed = (await outputOf(t, [`${root}node_modules/tap/dist/esm/run.mjs`, 'list'], { cwd: root })).trim().split('\n').map((name) => name.replace('test/', ''))
  t.same([...listed, ...GROUP_NAMES.flatMap(filesOf)].sort(), all.sort())
  for (const name of GROUP_NAMES) t.ok(listed.includes(`groups/${name}.test.ts`), name)
})
