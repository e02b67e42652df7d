import t from 'tap'
import type { LeftOut, Row } from '../../bench/lib/row.ts'
import { Run } from '../../bench/lib/run.ts'
import type { Step } from '../../bench/lib/progress.ts'

function newRun (init: { full?: boolean, rounds?: number } = {}): { run: Run, steps: Step[], told: Array<Row | LeftOut> } {
  const steps: Step[] = []
  const told: Array<Row | LeftOut> = []
  const run = new Run({ group: 'group', full: false, ...init, watch: (step) => { steps.push(step) }, tell: (line) => { told.push(line) } })
  return { run, steps, told }
}

t.test('all take their turn in every round, and rounds for warming up do not count', async (t) => {
  const { run, steps } = newRun()
  const turns: string[] = []
  const results = await run.inTurn('case', { rounds: 2, warmUps: 1 }, [{ name: 'a' }, { name: 'b' }], async ({ name }) => turns.push(name))
  t.equal(turns.join(''), 'ababab')
  t.same(results, [[3, 5], [4, 6]])
  t.same(steps.map(({ of, round, rounds }) => `${of} ${round}/${rounds}`), ['a 1/3', 'b 1/3', 'a 2/3', 'b 2/3', 'a 3/3', 'b 3/3'])
})

t.test('who fails is told, has no figures, and does not keep the others from theirs', async (t) => {
  const { run, told } = newRun()
  let attempts = 0
  const results = await run.inTurn('case', { rounds: 3 }, [{ name: 'a' }, { name: 'b' }], ({ name }) => {
    if (name === 'b' && ++attempts === 2) throw new Error('it is gone')
    return 1
  })
  t.same(results, [[1, 1, 1], []])
  t.equal(attempts, 2)
  t.same(told, [{ group: 'group', of: 'case: b', why: 'it is gone', failed: true }])
  run.add({ name: 'case', unit: 's' }, [{ of: 'a', values: results[0], against: ['b'] }, { of: 'b', values: results[1] }])
  t.equal(run.rows.length, 1)
})

t.test('how many rounds', async (t) => {
  t.equal(newRun().run.rounds(1, 5), 1)
  t.equal(newRun({ full: true }).run.rounds(1, 5), 5)
  t.equal(newRun({ full: true, rounds: 2 }).run.rounds(1, 5), 2)
})

t.test('a figure that is none is a failure', async (t) => {
  const { run } = newRun()
  run.add({ name: 'case', unit: 's' }, [{ of: 'a', values: [1, NaN] }, { of: 'b', values: [2, 3] }])
  t.same(run.rows.map(({ of }) => of), ['b'])
  t.match(run.leftOut, [{ of: 'case: a', failed: true }])
})

t.test('what is left out has a reason', async (t) => {
  const { run, told } = newRun()
  run.leaveOut('socat', 'not installed')
  t.same(run.leftOut, [{ group: 'group', of: 'socat', why: 'not installed', failed: false }])
  t.same(told, run.leftOut)
})
