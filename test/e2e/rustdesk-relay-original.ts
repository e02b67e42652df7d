/**
 * Our relay beside the real one: the same clients see the same, but for empty messages, which ours passes between TCP and WebSocket.
 * `HBBR_BIN=/usr/bin/hbbr npx tap test/e2e/rustdesk-relay-original.ts`, as root.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'

const run = promisify(execFile)
const transcript = fileURLToPath(new URL('../helpers/rustdesk/relay-transcript.ts', import.meta.url))
const { HBBR_BIN } = process.env

/** What was said, without the sizes of empty messages where one end is of WebSocket. */
const withoutEmpty = (said: object): object => Object.fromEntries(Object.entries(said).map(([name, value]) =>
  [name, name.includes('WebSocket') && Array.isArray(value) ? value.filter((size) => size !== 0) : value]))

if (HBBR_BIN === undefined) t.plan(0, 'only when asked for: set HBBR_BIN')
else {
  t.test('what clients see of the real relay and of ours', async (t) => {
    const of = async (which: string): Promise<Record<string, unknown>> => {
      const { stdout } = await run('unshare', ['-n', process.execPath, ...STRIP_TYPES, transcript, which], { cwd: t.testdir(), env: { PATH: process.env.PATH }, maxBuffer: 2 ** 20 })
      return JSON.parse(stdout) as Record<string, unknown>
    }
    const [real, ours] = [await of(String(HBBR_BIN)), await of('ours')]
    t.same(withoutEmpty(ours), real)
    t.same(ours['TCP and WebSocket there'], ours['TCP and TCP there'])
  })
}
