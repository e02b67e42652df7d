/** The public declarations are those of `docs/api`, so that each change of them is seen in a diff. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { apiReport } from '../scripts/api-report.ts'
import { executable } from './helpers/programs/executables.ts'

const folder = fileURLToPath(new URL('../docs/api', import.meta.url))

t.test('the report is that of the sources', async (t) => {
  executable('relay') // throws when the build is not that of the sources
  const { files, problems } = apiReport()
  t.same(problems, [], 'every export has a docstring, no any, and no type that no entry point exports')
  t.same(readdirSync(folder).sort(), [...files.keys()].sort())
  for (const [name, text] of files) {
    const file = join(folder, name)
    t.ok(existsSync(file) && readFileSync(file, 'utf8') === text, `docs/api/${name} is as \`npm run api\` writes it`)
  }
})
