import t from 'tap'
import { UnansweredWatch } from '../../src/limits/unanswered-watch.ts'
import { ManualClock } from '../helpers/clock.ts'
import type { Delivery } from '../../src/types.ts'

/** A link whose system says this. */
class Told {
  told: Delivery | undefined
  constructor (isUnanswered?: boolean) { if (isUnanswered !== undefined) this.told = { acknowledged: 0, isUnanswered } }
  delivery (): Delivery | undefined { return this.told }
}

t.test('who answers nothing at all checks within the limit is told of once, and no other', async (t) => {
  const clock = new ManualClock()
  const watch = new UnansweredWatch(40_000, clock)
  const links = { answering: new Told(false), gone: new Told(true), progressing: new Told(true), unknown: new Told(), back: new Told(true) }
  const ended: string[] = []
  for (const [name, link] of Object.entries(links)) watch.add(link, (err) => { ended.push(`${name}: ${err.message}`) })
  for (let checks = 1; checks <= 4; checks++) {
    clock.advance(10_000)
    links.progressing.told = { acknowledged: checks, isUnanswered: true }
    links.back.told = { acknowledged: 0, isUnanswered: checks !== 3 }
  }
  t.same(ended, [], 'the first check that finds it silent is where the time begins')
  clock.advance(10_000)
  t.same(ended, ['gone: the other side has not answered for 40 s'])
  clock.advance(10_000)
  t.same(ended.length, 1)
  t.equal(watch.size, 4)
  clock.advance(100_000)
  t.same(ended.slice(1).map((text) => text.split(':')[0]), ['progressing', 'back'], 'once nothing comes from there any more')
  watch.delete(links.answering)
  watch.delete(links.unknown)
  t.equal(watch.size, 0)
  t.same(clock.waiting, [])
})

t.test('a link that was quiet for a day, and one packet lost: it is not ended', async (t) => {
  const clock = new ManualClock()
  const watch = new UnansweredWatch(40_000, clock)
  const link = new Told(false)
  watch.add(link, () => { t.fail('it was ended') })
  clock.advance(86_400_000)
  link.told = { acknowledged: 0, isUnanswered: true }
  clock.advance(10_000)
  link.told = { acknowledged: 10, isUnanswered: false }
  clock.advance(100_000)
  t.equal(watch.size, 1)
})

t.test('a link that cannot tell is not watched', async (t) => {
  const watch = new UnansweredWatch(1000)
  watch.add({}, () => { t.fail('it was ended') })
  t.equal(watch.size, 0)
})

t.test('a limit that cannot be', async (t) => {
  for (const limit of [0, -1, 1.5, NaN]) t.throws(() => new UnansweredWatch(limit), { code: 'ERR_OPTION' })
})
