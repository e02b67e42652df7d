import t from 'tap'
import { UnansweredWatch } from '../../src/limits/unanswered-watch.ts'

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

t.test('it looks by itself, again and again', async (t) => {
  const watch = new UnansweredWatch(4)
  const link = new Told(0)
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  setTimeout(() => { link.unanswered = 4 }, 20)
  await new Promise<void>((resolve) => { watch.add(link, () => { resolve() }) })
  t.equal(watch.size, 0)
})

t.test('a limit that cannot be', async (t) => {
  for (const limit of [0, -1, 1.5, NaN]) t.throws(() => new UnansweredWatch(limit), { code: 'ERR_OPTION' })
})
