import fc from 'fast-check'
import t from 'tap'
import { AsyncQueue } from '../../src/streams/async-queue.ts'
import { collect } from '../helpers/links.ts'

t.test('what came between two pulls is one batch', async (t) => {
  const queue = new AsyncQueue<number>()
  queue.push(1)
  queue.push(2)
  queue.pushBatch([3, 4])
  t.equal(queue.size, 4)
  t.same(await queue.next(), { done: false, value: [1, 2, 3, 4] })
  t.equal(queue.size, 0)
})

t.test('a reader that waits is handed what comes', async (t) => {
  const queue = new AsyncQueue<number>()
  let waiting = queue.next()
  queue.push(1)
  queue.push(2)
  t.equal(queue.size, 1, 'the first was handed over')
  t.same(await waiting, { done: false, value: [1] })
  t.same(await queue.next(), { done: false, value: [2] })

  waiting = queue.next()
  queue.pushBatch([])
  const batch = [3, 4]
  queue.pushBatch(batch)
  t.equal((await waiting).value, batch, 'as it is')
})

t.test('size is weighed', async (t) => {
  const queue = new AsyncQueue<Uint8Array>({ weigh: (bytes) => bytes.length })
  queue.push(new Uint8Array(3))
  queue.pushBatch([new Uint8Array(4), new Uint8Array(5)])
  t.equal(queue.size, 12)
  await queue.next()
  t.equal(queue.size, 0)
})

t.test('end and fail come behind what was pushed', async (t) => {
  const ended = new AsyncQueue<number>()
  ended.push(1)
  ended.end()
  t.ok(ended.closed)
  ended.push(2)
  ended.pushBatch([3])
  ended.fail(new Error('too late'))
  t.same(await collect(ended), [1])
  t.same(await ended.next(), { done: true, value: undefined })

  const failed = new AsyncQueue<number>()
  failed.push(1)
  failed.fail(new Error('reset'))
  failed.end()
  t.same(await failed.next(), { done: false, value: [1] })
  await t.rejects(failed.next(), { message: 'reset' })
  t.same(await failed.next(), { done: true, value: undefined }, 'thrown once, then done')
})

t.test('a reader that waits hears of end and fail', async (t) => {
  const ended = new AsyncQueue()
  let waiting = ended.next()
  ended.end()
  t.same(await waiting, { done: true, value: undefined })

  const failed = new AsyncQueue()
  waiting = failed.next()
  failed.fail(new Error('reset'))
  await t.rejects(waiting, { message: 'reset' })
  t.same(await failed.next(), { done: true, value: undefined })
})

t.test('one reader at a time', async (t) => {
  const queue = new AsyncQueue<number>()
  const first = queue.next()
  await t.rejects(queue.next(), { name: 'AsyncQueueBusyError', code: 'ERR_CHANNEL_BUSY' })
  queue.push(1)
  t.same(await first, { done: false, value: [1] })
})

t.test('onPull: each time the reader comes back', async (t) => {
  let pulls = 0
  const queue: AsyncQueue<number> = new AsyncQueue({ onPull: () => { pulls++ } })
  queue.push(1)
  t.equal(pulls, 0)
  await queue.next()
  t.equal(pulls, 1)
  const waiting = queue.next()
  t.equal(pulls, 2)
  queue.push(2)
  await waiting

  const produced: AsyncQueue<number> = new AsyncQueue({ onPull: () => { produced.push(7) } })
  t.same(await produced.next(), { done: false, value: [7] }, 'a producer may answer at once')
})

t.test('leaving early: onReturn once, what waits is let go', async (t) => {
  let returns = 0
  const onReturn = (): void => { returns++ }
  const queue = new AsyncQueue<number>({ onReturn })
  queue.push(1)
  queue.push(2)
  t.same((await queue.next()).value, [1, 2])
  queue.push(3)
  await queue.return()
  t.equal(returns, 1)
  t.ok(queue.closed)
  t.equal(queue.size, 0)
  queue.push(4)
  t.equal(queue.size, 0)
  await queue.return()
  t.equal(returns, 1)
  t.same(await queue.next(), { done: true, value: undefined })

  const read = new AsyncQueue<number>({ onReturn })
  read.push(1)
  read.end()
  await collect(read)
  await read.return()
  t.equal(returns, 1, 'not after the end')
})

t.test('leaving early: a pull that waits is done', async (t) => {
  const queue = new AsyncQueue<number>()
  const waiting = queue.next()
  await queue.return()
  t.same(await waiting, { done: true, value: undefined })
})

t.test('leaving early: an error that nobody has read is let go too', async (t) => {
  const queue = new AsyncQueue<number>()
  queue.push(1)
  queue.fail(new Error('reset'))
  await queue.return()
  t.same(await queue.next(), { done: true, value: undefined })
})

t.test('nothing is lost, doubled or put elsewhere, however pushes and pulls mix', async (t) => {
  const step = fc.oneof(fc.constant('push'), fc.constant('batch'), fc.constant('pull'), fc.constant('pause'))
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const queue = new AsyncQueue<number>()
    const reader = collect(queue)
    let next = 0
    for (const step of steps) {
      if (step === 'push') queue.push(next++)
      else if (step === 'batch') queue.pushBatch([next++, next++, next++])
      else if (step === 'pause') await new Promise(setImmediate)
      else await Promise.resolve()
    }
    queue.end()
    const got = await reader
    return got.length === next && got.every((value, i) => value === i)
  }), { numRuns: 200 })
})
