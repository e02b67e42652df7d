import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'

const BENCH = fileURLToPath(new URL('../../bench/index.ts', import.meta.url))

function bench (...args: string[]): { status: number | null, stdout: string, stderr: string } {
  return spawnSync(process.execPath, [...STRIP_TYPES, BENCH, ...args], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
}

t.test('help', async (t) => {
  const { status, stdout, stderr } = bench('--help')
  t.same([status, stderr], [0, ''])
  t.match(stdout, /npm run bench -- --full/)
})

t.test('bad usage is told in a line, before anything is built', async (t) => {
  const { status, stdout, stderr } = bench('relya')
  t.same([status, stdout], [2, ''])
  t.match(stderr, /^no such group: relya; did you mean relay\?[^\n]*\n$/)
})
