import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { every, systemClock, wait } from '../../src/streams/clock.ts'
import { ManualClock } from '../helpers/clock.ts'

t.test('the clock of the system', async (t) => {
  const [before, now, after] = [performance.now(), systemClock.now(), performance.now()]
  t.ok(before <= now && now <= after)
  const [earlier, date, later] = [Date.now(), systemClock.date(), Date.now()]
  t.ok(earlier <= date && date <= later)
  const order: string[] = []
  systemClock.clear(undefined)
  const cleared = systemClock.set(1, () => { order.push('cleared') })
  systemClock.clear(cleared)
  const ended = new Promise<void>((resolve) => {
    systemClock.set(5, () => {
      order.push('second')
      resolve()
    })
  })
  systemClock.set(1, () => { order.push('first') })
  await ended
  t.same(order, ['first', 'second'])
})

t.test('a process that was busy reads what has come before it takes it for late', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = await once(server, 'connection') as [Socket]
  t.teardown(() => {
    client.destroy()
    socket.destroy()
    server.close()
  })
  const order: string[] = []
  client.on('data', () => { order.push('answer') })
  const late = new Promise<void>((resolve) => {
    systemClock.set(20, () => {
      order.push('time-out')
      resolve()
    })
  })
  await new Promise((resolve) => { socket.write('answer', resolve) })
  for (const until = performance.now() + 60; performance.now() < until;); // busy, past the time-out
  await late
  t.same(order, ['answer', 'time-out'])
})

t.test('a timer that is cleared when it is due, and before the turn of its function, is not called', async (t) => {
  const order: string[] = []
  await new Promise<void>((resolve) => {
    const second = systemClock.set(1, () => { order.push('second') })
    const first = systemClock.set(1, () => { order.push('first') })
    setTimeout(() => { // behind both, and before their functions
      systemClock.clear(first)
      systemClock.clear(second)
      setTimeout(resolve, 5)
    }, 1)
    for (const until = performance.now() + 5; performance.now() < until;);
  })
  t.same(order, [])
})

t.test('an interval calls again and again until it is stopped', async (t) => {
  const clock = new ManualClock()
  const at: number[] = []
  const interval = every(clock, 10, () => {
    at.push(clock.now())
    if (at.length === 3) interval.stop()
  })
  t.same(clock.holding, [10])
  clock.advance(1000)
  t.same(at, [10, 20, 30])
  t.same(clock.waiting, [])
  interval.stop()
  every(clock, 10, () => {}).stop()
  t.same(clock.waiting, [])
})

t.test('an interval that does not hold the process never does', async (t) => {
  const clock = new ManualClock()
  every(clock, 10, () => {}).unref()
  for (let i = 0; i < 3; i++) {
    t.same(clock.waiting, [10])
    t.same(clock.holding, [])
    clock.advance(10)
  }
})

t.test('an interval goes on when its function has thrown', async (t) => {
  const clock = new ManualClock()
  let calls = 0
  const interval = every(clock, 10, () => { throw new Error(String(++calls)) })
  t.throws(() => { clock.advance(10) }, { message: '1' })
  t.throws(() => { clock.advance(10) }, { message: '2' })
  interval.stop()
})

t.test('waiting settles when its time has come', async (t) => {
  const clock = new ManualClock()
  const { signal } = new AbortController()
  let isOver = false
  const waiting = wait(clock, 100, { signal }).then(() => { isOver = true })
  await clock.pass(99)
  t.notOk(isOver)
  t.same(clock.holding, [100])
  await clock.pass(1)
  t.ok(isOver)
  await waiting
  void wait(clock, 5, { ref: false })
  t.same(clock.holding, [])
})

t.test('waiting ends with its signal', async (t) => {
  const clock = new ManualClock()
  const stopping = new AbortController()
  const reason = new Error('enough')
  const waiting = wait(clock, 100, { signal: stopping.signal })
  stopping.abort(reason)
  const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: reason }
  await t.rejects(waiting, aborted)
  await t.rejects(wait(clock, 100, { signal: stopping.signal }), aborted, 'also when it had asked before')
  t.same(clock.waiting, [])
})
