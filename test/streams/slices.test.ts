import t from 'tap'
import { inSlices, type SlicesInit } from '../../src/streams/slices.ts'
import type { Clock, Timer } from '../../src/types.ts'

/** A clock that goes on by steps, and at once by whatever is waited for. */
class StepClock implements Clock {
  time = 0
  readonly waits: number[] = []
  held = 0
  now (): number { return this.time }
  date (): number { return this.time }
  set (ms: number, fn: () => void): Timer {
    this.held++
    this.waits.push(ms)
    setImmediate(() => {
      this.time += ms
      fn()
    })
    const timer = {
      unref: () => {
        this.held--
        return timer
      }
    }
    return timer
  }

  clear (): void {}
}

interface Result {
  clock: StepClock
  /** When each step began. */
  at: number[]
  done: number
}

async function steps (init: Partial<Omit<SlicesInit, 'clock'>>, onStep: (count: number) => void = () => {}): Promise<Result> {
  const clock = new StepClock()
  const at: number[] = []
  const done = await inSlices(async () => {
    at.push(clock.time)
    clock.time += 2
    onStep(at.length)
  }, { clock, signal: new AbortController().signal, steps: 7, slice: 5, pause: 10, budget: 100, others: () => 0, quiet: 50, ...init })
  return { clock, at, done }
}

t.test('slices end with the step that fills them, and pauses follow that hold no process', async (t) => {
  const { clock, at, done } = await steps({})
  t.same(at, [0, 2, 4, 16, 18, 20, 32])
  t.equal(done, 7)
  t.same(clock.waits, [10, 10, 10])
  t.equal(clock.held, 0)
})

t.test('the budget bounds the slices together', async (t) => {
  const { at } = await steps({ budget: 12 })
  t.same(at, [0, 2, 4, 16, 18, 20])
})

t.test('other work comes first', async (t) => {
  let packets = 0
  const { clock, at } = await steps({ others: () => packets }, (count) => { if (count === 1) packets++ })
  t.same(clock.waits.slice(0, 3), [10, 50, 10])
  t.same(at, [0, 2, 4, 66, 68, 70, 82], 'nothing is done until it has been quiet')
})

t.test('work beside others that never rest is not done, and ends by the signal', async (t) => {
  let calls = 0
  const stop = new AbortController()
  const { at } = await steps({
    signal: stop.signal,
    others () {
      if (calls === 20) stop.abort()
      return calls++
    }
  })
  t.same(at, [])
})

t.test('the signal ends it after the step', async (t) => {
  const stop = new AbortController()
  const { at, done } = await steps({ signal: stop.signal }, (count) => { if (count === 4) stop.abort() })
  t.equal(at.length, 4)
  t.equal(done, 4)
})

t.test('an error of a step ends it', async (t) => {
  await t.rejects(steps({}, () => { throw new Error('broken') }), { message: 'broken' })
})
