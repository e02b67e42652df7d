import t from 'tap'
import { Progress } from '../../bench/lib/progress.ts'

const step = (name: string, of: string, round: number): { group: string, name: string, of: string, round: number, rounds: number } => ({ group: 'tun', name, of, round, rounds: 3 })

function newProgress (output: { isTTY?: boolean, columns?: number } = {}): { progress: Progress, text: () => string, clock: { now: number } } {
  let text = ''
  const clock = { now: 5000 }
  const progress = new Progress({ ...output, write: (part) => { text += part } }, () => clock.now)
  return { progress, text: () => text, clock }
}

t.test('a line for each case where there is no terminal', async (t) => {
  const { progress, text, clock } = newProgress()
  progress.step(step('one stream', 'a', 1))
  progress.step(step('one stream', 'b', 1))
  clock.now += 12_000
  progress.step(step('one stream', 'a', 2))
  progress.step(step('ping', 'a', 1))
  progress.clear()
  progress.say('done')
  t.equal(text(), '0 s  tun: one stream, 3 rounds\n12 s  tun: ping, 3 rounds\ndone\n')
})

t.test('one line on a terminal, never longer than it', async (t) => {
  const { progress, text } = newProgress({ isTTY: true, columns: 30 })
  progress.step(step('one stream', 'a', 1))
  progress.step(step('one stream', 'b', 2))
  progress.say('done')
  t.same(text().split('\r\u001b[K'), ['', '0 s  round 1 of 3  tun: one s', '0 s  round 2 of 3  tun: one s', 'done\n'])
})

t.test('a terminal that does not know how wide it is', async (t) => {
  const { progress, text } = newProgress({ isTTY: true, columns: 0 })
  progress.step(step('ping', 'a', 1))
  t.match(text(), /tun: ping: a$/)
})
