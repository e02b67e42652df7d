import t from 'tap'
import { UnansweredWatch } from '../../src/limits/unanswered-watch.ts'
import { ManualClock } from '../helpers/clock.ts'

/** A link that has not been answered for so many milliseconds; undefined: it cannot tell now. */
class Told {
  unanswered: number | undefined
  constructor (unanswered?: number) { this.unanswered = unanswered }
  delivery (): { acknowledged: number, unanswered: number } | undefined {
    return this.unanswered === undefined ? undefined : { acknowledged: 0, unanswered: this.unanswered }
  }
}

t.test('who has not answered for as long as the limit is told of once, and no other', async (t) => {
  const watch = new UnansweredWatch(1000)
  const links = { answering: new Told(0), late: new Told(999), gone: new Told(1000), unknown: new Told() }
  const ended: string[] = []
  for (const [name, link] of Object.entries(links)) watch.add(link, (err) => { ended.push(`${name}: ${err.message}`) })
  watch.look()
  watch.look()
  t.same(ended, ['gone: the other side has not answered for 1 s'])
  t.equal(watch.size, 3)
  watch.delete(links.late)
  links.late.unanswered = 5000
  links.answering.unanswered = 45_000
  watch.look()
  t.same(ended.slice(1), ['answering: the other side has not answered for 45 s'])
  watch.delete(links.unknown)
  t.equal(watch.size, 0)
})

t.test('a link that cannot tell is not watched', async (t) => {
  const watch = new UnansweredWatch(1000)
  watch.add({}, () => { t.fail('it was ended') })
  t.equal(watch.size, 0)
})

t.test('it looks by itself, again and again, while there is something to watch', async (t) => {
  const clock = new ManualClock()
  const watch = new UnansweredWatch(1000, clock)
  const link = new Told(0)
  let ended = 0
  watch.add(link, () => { ended++ })
  t.same(clock.holding, [], 'which keeps no process alive')
  clock.advance(100_000)
  t.equal(ended, 0)
  link.unanswered = 1000
  clock.advance(250)
  t.equal(ended, 1)
  t.equal(watch.size, 0)
  t.same(clock.waiting, [])
})

t.test('a limit that cannot be', async (t) => {
  for (const limit of [0, -1, 1.5, NaN]) t.throws(() => new UnansweredWatch(limit), { code: 'ERR_OPTION' })
})
