/** The variables of a shell. */
import t from 'tap'
import { shellEnvironment } from '../../../../../src/nodes/natpass/peer/shell/environment.ts'

t.test('own ones, and those of the request', async (t) => {
  t.same(shellEnvironment({ HOME: '/root', A: '1', GONE: undefined }, []), ['HOME=/root', 'A=1', 'TERM=xterm-256color'])
  t.same(shellEnvironment({ A: '1' }, ['A=2', 'B=x=y', 'A=3', 'C=']), ['A=3', 'TERM=xterm-256color', 'B=x=y', 'C='], 'the later one counts')
  t.same(shellEnvironment({ TERM: 'dumb' }, ['TERM=vt100']), ['TERM=vt100'])
  t.same(shellEnvironment({ TERM: 'dumb', COLUMNS: '20', TMUX: 'x', WINDOWID: '1' }, []), ['TERM=xterm-256color'], 'nothing of the terminal of this process')
  t.same(shellEnvironment({ TUNPIPE_SECRET: 'a', TUNPIPE_PAGE_PASSWORD: 'b' }, []), ['TERM=xterm-256color'], 'no secrets of this process')
})

t.test('what is refused', async (t) => {
  const refused = (entries: string[]) => t.throws(() => shellEnvironment({}, entries), { code: 'ERR_SHELL_ENVIRONMENT' })
  for (const entry of ['', 'A', '=', '=x', 'A=\0', 'A\0=x']) refused([entry])
  t.equal(shellEnvironment({}, Array.from({ length: 256 }, (_, i) => `V${i}=`)).length, 257)
  refused(Array.from({ length: 257 }, (_, i) => `V${i}=`))
  t.equal(shellEnvironment({}, [`A=${'x'.repeat(32 * 1024 - 2)}`]).length, 2)
  refused([`A=${'x'.repeat(32 * 1024 - 1)}`])
  refused([`A=${'é'.repeat(16 * 1024)}`])
})
