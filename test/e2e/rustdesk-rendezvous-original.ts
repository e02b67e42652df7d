/** The same bytes to the real hbbs, named by HBBS_BIN, and to our server, in a network namespace of their own: the same answers, but for the differences below. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'
import { startCommand } from '../helpers/programs/program.ts'

const script = fileURLToPath(new URL('../helpers/rustdesk/hbbs-scenario.ts', import.meta.url))

/** Where ours differs, and what it does there. */
const DIFFERENCES: Readonly<Record<string, unknown>> = {
  // Only a peer that was asked may answer. Theirs takes the answer of anybody who guesses the address of the client.
  'a forged answer: the client gets': { messages: [], isClosed: false },
  // Theirs says nothing, and the client waits for a minute.
  'a relay to nobody': { messages: [{ relay_response: { refuse_reason: 'Remote desktop is offline' } }], isClosed: false }
}

if (process.env.HBBS_BIN === undefined) t.plan(0, 'only when asked for: set HBBS_BIN')
else {
  t.test('the real hbbs', async (t) => {
    const { code, stdout, stderr } = await startCommand(t, 'unshare', ['-n', process.execPath, ...STRIP_TYPES, script]).ended
    t.equal(code, 0, stderr)
    const { hbbs, ours } = JSON.parse(stdout) as Record<'hbbs' | 'ours', Record<string, unknown>>
    t.same(Object.keys(ours), Object.keys(hbbs))
    for (const [name, answer] of Object.entries(hbbs)) {
      if (Object.hasOwn(DIFFERENCES, name)) t.same(ours[name], DIFFERENCES[name], name)
      else t.same(ours[name], answer, name)
    }
  })
}
