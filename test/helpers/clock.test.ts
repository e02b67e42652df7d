import t from 'tap'
import { ManualClock } from './clock.ts'

t.test('timers run in the order in which they are due, each at its time', async (t) => {
  const clock = new ManualClock({ now: 1000, date: 50_000 })
  const ran: Array<[string, number, number]> = []
  const told = (name: string) => () => { ran.push([name, clock.now(), clock.date()]) }
  clock.set(30, told('c'))
  clock.set(10, told('a'))
  clock.set(20, told('b1'))
  clock.set(20, told('b2'))
  clock.advance(9)
  t.same(ran, [], 'none is due')
  clock.advance(11)
  t.same(ran, [['a', 1010, 50_010], ['b1', 1020, 50_020], ['b2', 1020, 50_020]])
  t.same(clock.waiting, [30])
  clock.advance(1000)
  t.same(ran.at(-1), ['c', 1030, 50_030])
  t.equal(clock.now(), 2020)
  t.equal(clock.date(), 51_020)
})

t.test('a timer that is set by another one runs in the same advance when it is due by then', async (t) => {
  const clock = new ManualClock()
  const at: number[] = []
  const again = (): void => {
    at.push(clock.now())
    clock.set(10, again)
  }
  clock.set(10, again)
  clock.advance(35)
  t.same(at, [10, 20, 30])
  t.same(clock.waiting, [10])
  clock.set(0, () => { at.push(clock.now()) })
  t.equal(at.length, 3, 'none runs inside of set')
  clock.advance(1)
  t.equal(at.at(-1), 36)
})

t.test('a timer that was cleared does not run, nor one twice', async (t) => {
  const clock = new ManualClock()
  let ran = 0
  const first = clock.set(10, () => { clock.clear(second) })
  const second = clock.set(10, () => { ran++ })
  const third = clock.set(10, () => { ran += 10 })
  clock.clear(undefined)
  clock.advance(10)
  clock.clear(first)
  clock.clear(third)
  clock.advance(10)
  t.equal(ran, 10)
})

t.test('timers that hold the process are told apart from others', async (t) => {
  const clock = new ManualClock()
  clock.set(1, () => {})
  clock.set(2, () => {}).unref()
  t.same(clock.waiting, [1, 2])
  t.same(clock.holding, [1])
})

t.test('pass lets promises go on between timers', async (t) => {
  const clock = new ManualClock()
  const at: number[] = []
  const run = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await new Promise<void>((resolve) => { clock.set(10, resolve) })
      at.push(clock.now())
    }
  }
  const running = run()
  await clock.pass(25)
  t.same(at, [10, 20])
  await clock.pass(5)
  await running
  t.equal(clock.now(), 30)
})

t.test('a test can wait until a timer is set', async (t) => {
  const clock = new ManualClock()
  const told: string[] = []
  const waiting = clock.whenSet(5).then(() => { told.push('set') })
  clock.set(4, () => {})
  await new Promise((resolve) => { setImmediate(resolve) })
  t.same(told, [])
  clock.set(5, () => {})
  await waiting
  await clock.whenSet(5)
  t.throws(() => clock.set(2 ** 31, () => {}), { code: 'ERR_OPTION' })
})

t.test('the date may jump, and time does not', async (t) => {
  const clock = new ManualClock({ date: 1e12 })
  clock.setDate(5)
  clock.advance(1.5)
  t.equal(clock.date(), 6)
  t.equal(clock.now(), 1.5)
})
