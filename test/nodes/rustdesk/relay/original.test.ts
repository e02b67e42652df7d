/** Our relay beside the real one: the same clients see the same. `HBBR_BIN` names hbbr; without it this is skipped. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { STRIP_TYPES } from '../../../helpers/programs/executables.ts'

const run = promisify(execFile)
const transcript = fileURLToPath(new URL('../../../helpers/rustdesk/relay-transcript.ts', import.meta.url))
const { HBBR_BIN } = process.env

t.test('what clients see of the real relay and of ours', { skip: HBBR_BIN === undefined && 'set HBBR_BIN to run this' }, async (t) => {
  const of = async (which: string): Promise<unknown> => {
    const { stdout } = await run('unshare', ['-n', process.execPath, ...STRIP_TYPES, transcript, which], { cwd: t.testdir(), env: { PATH: process.env.PATH }, maxBuffer: 2 ** 20 })
    return JSON.parse(stdout)
  }
  const [real, ours] = [await of(String(HBBR_BIN)), await of('ours')]
  t.same(ours, real)
})
