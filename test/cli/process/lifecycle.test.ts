import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startScript, type Ended, type Program } from '../../helpers/programs/program.ts'

const script = fileURLToPath(new URL('../../helpers/cli/stubborn.ts', import.meta.url))
const begin = (t: Test, ...args: string[]): Program => startScript(t, script, args)
const end = (t: Test, ...args: string[]): Promise<Ended> => begin(t, ...args).ended

t.test('before anything starts', async (t) => {
  t.same(await end(t, 'nothing'), { code: 0, stdout: '', stderr: '' })
  t.same(await end(t, 'parse-usage'), { code: 2, stdout: '', stderr: '--x: wrong\n' })
  t.same(await end(t, 'parse-foreseen'), { code: 1, stdout: '', stderr: 'stubborn: foreseen in two lines\n' })
  t.match(await end(t, 'parse-defect'), { code: 1, stdout: '', stderr: /^Error: a defect\n {4}at / })
})

t.test('while starting', async (t) => {
  t.same(await end(t, 'start-option'), { code: 2, stdout: '', stderr: 'an option of a node\n' })
  t.same(await end(t, 'start-option', 'json'), { code: 2, stdout: '', stderr: 'an option of a node\n' })
  t.same(await end(t, 'start-foreseen'), { code: 1, stdout: '', stderr: 'stubborn: foreseen in two lines\n' })
  const foreseen = await end(t, 'start-foreseen', 'json')
  t.equal(foreseen.code, 1)
  t.match(JSON.parse(foreseen.stderr), { level: 60, code: 'EEXAMPLE', msg: 'foreseen in two lines', err: undefined })
  const defect = await end(t, 'start-defect')
  t.equal(defect.code, 1)
  t.match(JSON.parse(defect.stderr), { level: 60, msg: 'a defect', err: { stack: /at / } })
})

t.test('while running', async (t) => {
  for (const [phase, message] of [['crash', 'a crash'], ['rejection', 'a rejection']]) {
    const { code, stderr } = await end(t, phase)
    t.equal(code, 1, phase)
    t.match(JSON.parse(stderr), { level: 60, msg: 'uncaught error', err: { message, stack: /at / } }, phase)
  }
  const failed = await end(t, 'failed')
  t.match(failed, { code: 1, stdout: 'ready\ndrained\n', stderr: /"code":"EEXAMPLE","msg":"foreseen in two lines"/ }, 'what still works is stopped')
  t.match(await end(t, 'failed-twice'), { code: 1, stderr: /foreseen in two lines.*a defect/s })
  t.match(await end(t, 'failed-hang'), { code: 1, stderr: /foreseen in two lines.*could not drain in time/s })
})

for (const name of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${name} drains`, async (t) => {
    const program = begin(t, 'run')
    await program.find(/^ready$/m)
    program.signal(name)
    t.match(await program.ended, { code: 0, stdout: 'ready\ndrained\n', stderr: new RegExp(`"signal":"${name}"`) })
  })
}

t.test('SIGHUP reloads, also one that comes during the start', async (t) => {
  const program = startScript(t, script, ['slow', 'reloads'], { stdin: 'pipe' })
  await program.find(/^starting$/m)
  program.signal('SIGHUP')
  program.child.stdin?.end()
  await program.find(/^ready\nreloaded$/m)
  program.signal('SIGHUP')
  await program.find(/reloaded\nreloaded$/m)
  program.signal('SIGTERM')
  t.match(await program.ended, { code: 0, stdout: 'starting\nready\nreloaded\nreloaded\ndrained\n' })
})

t.test('SIGHUP ends what cannot reload, in an orderly way', async (t) => {
  const program = begin(t, 'run')
  await program.find(/^ready$/m)
  program.signal('SIGHUP')
  t.match(await program.ended, { code: 0, stdout: 'ready\ndrained\n', stderr: /"signal":"SIGHUP"/ })
})

t.test('a second signal ends at once', async (t) => {
  const program = begin(t, 'hang')
  await program.find(/^ready$/m)
  program.signal('SIGTERM')
  await program.find(/"stopping"/, 'stderr')
  program.signal('SIGINT')
  const { code, stderr } = await program.ended
  t.equal(code, 1)
  t.notMatch(stderr, /could not drain in time/, 'before the deadline')
})

t.test('who cannot drain is gone at the deadline', async (t) => {
  const program = begin(t, 'hang')
  await program.find(/^ready$/m)
  program.signal('SIGTERM')
  t.match(await program.ended, { code: 1, stderr: /could not drain in time/ })
})

t.test('nobody reads what it says', async (t) => {
  const program = begin(t, 'run')
  await program.find(/^ready$/m)
  program.child.stdout?.destroy()
  program.child.stderr?.destroy()
  program.signal('SIGTERM')
  t.equal((await program.ended).code, 0)
})

t.test('a thread that waits for ever, as for a name server, does not keep it', async (t) => {
  const fifo = join(t.testdir(), 'fifo')
  t.equal(spawnSync('mkfifo', [fifo]).status, 0)
  const program = begin(t, 'thread', fifo)
  await program.find(/^ready$/m)
  program.signal('SIGTERM')
  t.match(await program.ended, { code: 0, stdout: 'ready\ndrained\n', stderr: /"stopped"/ })

  const hanging = begin(t, 'thread-hang', fifo)
  await hanging.find(/^ready$/m)
  hanging.signal('SIGTERM')
  await hanging.find(/"stopping"/, 'stderr')
  hanging.signal('SIGTERM')
  t.match(await hanging.ended, { code: 1, stderr: /^(?!.*could not drain).*$/s }, 'the second signal ends it at once')

  const bare = begin(t, 'thread-without-koffi', fifo)
  await bare.find(/^ready$/m)
  bare.signal('SIGTERM')
  t.match(await bare.ended, { code: null, stderr: /"stopped"/ })
  t.equal(bare.child.signalCode, 'SIGTERM', 'a clean end for a supervisor')
})
