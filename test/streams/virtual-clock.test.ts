import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import t from 'tap'
import { failureOf, turn } from '../helpers/ends.ts'
import { wait } from '../../src/streams/clock.ts'
import { VirtualClock, VirtualTimeoutError } from '../../src/streams/virtual-clock.ts'
import type { Timer } from '../../src/types.ts'

t.test('property: timers run in the order of their times and of their setting, those that are cleared do not', async (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.boolean(), fc.option(fc.nat(30)))), (timers) => {
    const clock = new VirtualClock()
    const ran: Array<[time: number, index: number]> = []
    const set: Timer[] = []
    for (const [i, [ms, isExact, cleared]] of timers.entries()) {
      const run = (): void => { ran.push([clock.now(), i]) }
      set.push(isExact ? clock.at(ms / 2, run) : clock.set(ms, run))
      if (cleared !== null) clock.clear(set[cleared])
    }
    const gone = new Set(timers.flatMap(([, , cleared], i) => cleared !== null && cleared <= i ? [cleared] : []))
    const expected = timers
      .map(([ms, isExact], i): [number, number] => [isExact ? ms / 2 : ms, i])
      .filter(([, i]) => !gone.has(i))
      .sort(([a, i], [b, j]) => a - b || i - j)
    clock.advance(20)
    t.same(ran, expected)
  }), { numRuns: 200 })
})

t.test('times of `at` have fractions, those of `set` are at least 1', async (t) => {
  const clock = new VirtualClock({ now: 10 })
  const at: number[] = []
  const told = (): void => { at.push(clock.now()) }
  clock.set(0, told)
  clock.at(10.0005, told)
  clock.at(3, told) // which is over
  clock.advance(1)
  t.same(at, [10, 10.0005, 11])
})

t.test('times that are none are refused', async (t) => {
  const clock = new VirtualClock()
  for (const time of [NaN, Infinity, -Infinity, undefined, '5', 'x', null] as number[]) {
    t.throws(() => clock.at(time, () => {}), { code: 'ERR_OPTION' }, String(time))
    t.throws(() => { clock.setDate(time) }, { code: 'ERR_OPTION' })
    if (time !== undefined) for (const init of [{ now: time }, { date: time }]) t.throws(() => new VirtualClock(init), { code: 'ERR_OPTION' }, JSON.stringify(init))
  }
  for (const ms of [NaN, 2 ** 31, undefined, '5'] as number[]) t.throws(() => clock.set(ms, () => {}), { code: 'ERR_OPTION' }, String(ms))
  t.throws(() => new VirtualClock({ now: -1 }), { code: 'ERR_OPTION' })
  t.match(await failureOf(clock.until((async () => false) as unknown as () => boolean)), { code: 'ERR_OPTION' })
  t.equal(clock.date(), 0)
})

t.test('the date goes on as the time does, in however many steps', async (t) => {
  const clock = new VirtualClock({ now: 0.1, date: 1_770_000_000_000 })
  t.equal(clock.date(), 1_770_000_000_000)
  for (let i = 1; i <= 100_000; i++) clock.advance(0.001)
  const passed = clock.now() - 0.1
  t.ok(Math.abs(clock.date() - 1_770_000_000_000 - passed) <= 1, `${clock.date()} after ${passed} ms`)
  clock.setDate(5_000_000_000_000)
  t.equal(clock.date(), 5_000_000_000_000)
})

t.test('a timer that has run, that of another clock and none can be cleared', async (t) => {
  const [clock, other] = [new VirtualClock(), new VirtualClock()]
  const ran: string[] = []
  const first = clock.set(1, () => { ran.push('first') })
  clock.set(2, () => { ran.push('second') })
  const foreign = other.set(1, () => { ran.push('foreign') })
  clock.clear(undefined)
  clock.clear(foreign)
  clock.advance(1)
  clock.clear(first)
  clock.advance(1)
  other.advance(1)
  t.same(ran, ['first', 'second', 'foreign'])
})

t.test('until a promise has settled: not further, with its value or its error', async (t) => {
  const clock = new VirtualClock()
  const late = async (): Promise<string> => {
    for (let i = 0; i < 10; i++) await wait(clock, 10)
    return 'done'
  }
  t.equal(await clock.until(late()), 'done')
  t.equal(clock.now(), 100)
  t.equal(await clock.until(Promise.resolve(1)), 1)
  t.equal(clock.now(), 100, 'what has happened takes no time')
  const reason = new Error('no')
  t.equal(await failureOf(clock.until(wait(clock, 5).then(() => { throw reason }))), reason)
})

t.test('until a condition holds', async (t) => {
  const clock = new VirtualClock()
  let count = 0
  const again = (): void => {
    count++
    clock.set(7, again)
  }
  again()
  await clock.until(() => count === 4)
  t.equal(clock.now(), 21)
})

t.test('what does not come about is an error at the end of its time', async (t) => {
  const clock = new VirtualClock({ now: 1000 })
  const err = await failureOf(clock.until(new Promise(() => {}), { within: 500 }))
  t.ok(err instanceof VirtualTimeoutError)
  t.match(err, { code: 'ERR_VIRTUAL_TIMEOUT', now: 1500, message: /within 500 ms: it is 1500 ms now, and no timer waits/ })
  clock.set(1000, () => {})
  t.match(await failureOf(clock.until(() => false, { within: 1 })), { now: 1501, message: /timers that wait: 1/ })
  await clock.until(() => clock.now() >= 2501, { within: 1000 })
  t.equal(clock.now(), 2501, 'just in time')
  for (const within of [-1, NaN, Infinity]) t.match(await failureOf(clock.until(() => true, { within })), { code: 'ERR_OPTION' })
})

t.test('turns of the event loop are left out where nothing was woken', async (t) => {
  const clock = new VirtualClock()
  const order: string[] = []
  void turn().then(turn).then(turn).then(turn).then(turn).then(() => { order.push('turn') })
  for (const ms of [1, 2]) clock.at(ms, () => { order.push(`quiet ${ms}`); return false })
  for (const ms of [3, 4]) clock.at(ms, () => { order.push(`loud ${ms}`) })
  await clock.pass(10)
  t.same(order, ['quiet 1', 'quiet 2', 'loud 3', 'turn', 'loud 4'])
})

t.test('it runs by itself until it is stopped', async (t) => {
  const clock = new VirtualClock()
  const stopping = new AbortController()
  const running = clock.run(stopping.signal)
  await wait(clock, 1_000_000)
  await turn()
  await wait(clock, 5)
  t.equal(clock.now(), 1_000_005)
  stopping.abort()
  await running
  const late = clock.set(1, () => { t.fail('it is stopped') })
  await turn()
  clock.clear(late)
  await clock.run(stopping.signal)
})

t.test('it is run by several at once, each until it is stopped', async (t) => {
  const clock = new VirtualClock()
  const [one, other] = [new AbortController(), new AbortController()]
  const over: string[] = []
  void clock.run(one.signal).then(() => { over.push('one') })
  void clock.run(other.signal).then(() => { over.push('other') })
  const turns = async (): Promise<void> => { for (let i = 0; i < 10; i++) await turn() }
  await turns() // both wait for a timer
  const ran: number[] = []
  const tell = (): void => { ran.push(clock.now()) }
  clock.set(10, tell)
  await turns()
  one.abort()
  await turns()
  t.same(over, ['one'])
  clock.set(10, tell)
  await turns()
  t.same(ran, [10, 20])
  other.abort()
  await turns()
  t.same(over, ['one', 'other'])
})

t.test('a timer that throws ends the run, and nothing of it stays', async (t) => {
  const clock = new VirtualClock()
  const stopping = new AbortController()
  clock.set(1, () => { throw new Error('timer') })
  t.match(await failureOf(clock.run(stopping.signal)), { message: 'timer' })
  t.same(getEventListeners(stopping.signal, 'abort'), [])
  let ran = false
  clock.set(1, () => { ran = true })
  for (let i = 0; i < 10; i++) await turn()
  t.equal(ran, false)
  clock.advance(1)
  t.equal(ran, true)
})

t.test('several may move the clock: what a timer leads to is done when the next one runs', async (t) => {
  for (const move of [(clock: VirtualClock) => clock.pass(10), (clock: VirtualClock) => clock.until(() => clock.now() >= 10)]) {
    const clock = new VirtualClock()
    const order: string[] = []
    for (let ms = 1; ms <= 5; ms++) {
      clock.set(ms, () => {
        order.push(`timer ${ms}`)
        void turn().then(turn).then(turn).then(() => { order.push(`after ${ms}`) })
      })
    }
    clock.set(10, () => {})
    await Promise.all([move(clock), turn().then(() => move(clock)), turn().then(turn).then(() => move(clock))])
    t.same(order, [1, 2, 3, 4, 5].flatMap((ms) => [`timer ${ms}`, `after ${ms}`]))
  }
})

t.test('a time to pass is a number', async (t) => {
  const clock = new VirtualClock()
  for (const ms of [-1, NaN, Infinity]) {
    t.throws(() => { clock.advance(ms) }, { code: 'ERR_OPTION' })
    t.match(await failureOf(clock.pass(ms)), { code: 'ERR_OPTION' })
  }
  await clock.pass(0)
  t.equal(clock.now(), 0)
})
