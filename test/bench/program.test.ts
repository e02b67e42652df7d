import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startScript, type Ended } from '../helpers/programs/program.ts'

const BENCH = fileURLToPath(new URL('../../bench/index.ts', import.meta.url))

const bench = (t: Test, ...args: string[]): Promise<Ended> => startScript(t, BENCH, args).ended

t.test('help', async (t) => {
  const { code, stdout, stderr } = await bench(t, '--help')
  t.same([code, stderr], [0, ''])
  t.match(stdout, /npm run bench -- --full/)
})

t.test('bad usage is told in a line, before anything is built', async (t) => {
  const { code, stdout, stderr } = await bench(t, 'relya')
  t.same([code, stdout], [2, ''])
  t.match(stderr, /^no such group: relya; did you mean relay\?[^\n]*\n$/)
})
