import fc from 'fast-check'
import t from 'tap'
import { Channel } from '../../src/streams/channel.ts'
import { collect } from '../helpers/links.ts'

t.test('what came between two pulls is one batch', async (t) => {
  const channel = new Channel<number>()
  channel.push(1)
  channel.push(2)
  channel.pushBatch([3, 4])
  t.equal(channel.size, 4)
  t.same(await channel.next(), { done: false, value: [1, 2, 3, 4] })
  t.equal(channel.size, 0)
})

t.test('a reader that waits is handed what comes', async (t) => {
  const channel = new Channel<number>()
  let waiting = channel.next()
  channel.push(1)
  channel.push(2)
  t.equal(channel.size, 1, 'the first was handed over')
  t.same(await waiting, { done: false, value: [1] })
  t.same(await channel.next(), { done: false, value: [2] })

  waiting = channel.next()
  channel.pushBatch([])
  const batch = [3, 4]
  channel.pushBatch(batch)
  t.equal((await waiting).value, batch, 'as it is')
})

t.test('size is weighed', async (t) => {
  const channel = new Channel<Uint8Array>({ weigh: (bytes) => bytes.length })
  channel.push(new Uint8Array(3))
  channel.pushBatch([new Uint8Array(4), new Uint8Array(5)])
  t.equal(channel.size, 12)
  await channel.next()
  t.equal(channel.size, 0)
})

t.test('end and fail come behind what was pushed', async (t) => {
  const ended = new Channel<number>()
  ended.push(1)
  ended.end()
  t.ok(ended.closed)
  ended.push(2)
  ended.pushBatch([3])
  ended.fail(new Error('too late'))
  t.same(await collect(ended), [1])
  t.same(await ended.next(), { done: true, value: undefined })

  const failed = new Channel<number>()
  failed.push(1)
  failed.fail(new Error('reset'))
  failed.end()
  t.same(await failed.next(), { done: false, value: [1] })
  await t.rejects(failed.next(), { message: 'reset' })
  t.same(await failed.next(), { done: true, value: undefined }, 'thrown once, then done')
})

t.test('a reader that waits hears of end and fail', async (t) => {
  const ended = new Channel()
  let waiting = ended.next()
  ended.end()
  t.same(await waiting, { done: true, value: undefined })

  const failed = new Channel()
  waiting = failed.next()
  failed.fail(new Error('reset'))
  await t.rejects(waiting, { message: 'reset' })
  t.same(await failed.next(), { done: true, value: undefined })
})

t.test('one reader at a time', async (t) => {
  const channel = new Channel<number>()
  const first = channel.next()
  await t.rejects(channel.next(), { name: 'ChannelBusyError', code: 'ERR_CHANNEL_BUSY' })
  channel.push(1)
  t.same(await first, { done: false, value: [1] })
})

t.test('onPull: each time the reader comes back', async (t) => {
  let pulls = 0
  const channel: Channel<number> = new Channel({ onPull: () => { pulls++ } })
  channel.push(1)
  t.equal(pulls, 0)
  await channel.next()
  t.equal(pulls, 1)
  const waiting = channel.next()
  t.equal(pulls, 2)
  channel.push(2)
  await waiting

  const produced: Channel<number> = new Channel({ onPull: () => { produced.push(7) } })
  t.same(await produced.next(), { done: false, value: [7] }, 'a producer may answer at once')
})

t.test('leaving early: onReturn once, what waits is let go', async (t) => {
  let returns = 0
  const onReturn = (): void => { returns++ }
  const channel = new Channel<number>({ onReturn })
  channel.push(1)
  channel.push(2)
  t.same((await channel.next()).value, [1, 2])
  channel.push(3)
  await channel.return()
  t.equal(returns, 1)
  t.ok(channel.closed)
  t.equal(channel.size, 0)
  channel.push(4)
  t.equal(channel.size, 0)
  await channel.return()
  t.equal(returns, 1)
  t.same(await channel.next(), { done: true, value: undefined })

  const read = new Channel<number>({ onReturn })
  read.push(1)
  read.end()
  await collect(read)
  await read.return()
  t.equal(returns, 1, 'not after the end')
})

t.test('leaving early: a pull that waits is done', async (t) => {
  const channel = new Channel<number>()
  const waiting = channel.next()
  await channel.return()
  t.same(await waiting, { done: true, value: undefined })
})

t.test('leaving early: an error that nobody has read is let go too', async (t) => {
  const channel = new Channel<number>()
  channel.push(1)
  channel.fail(new Error('reset'))
  await channel.return()
  t.same(await channel.next(), { done: true, value: undefined })
})

t.test('nothing is lost, doubled or put elsewhere, however pushes and pulls mix', async (t) => {
  const step = fc.oneof(fc.constant('push'), fc.constant('batch'), fc.constant('pull'), fc.constant('pause'))
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const channel = new Channel<number>()
    const reader = collect(channel)
    let next = 0
    for (const step of steps) {
      if (step === 'push') channel.push(next++)
      else if (step === 'batch') channel.pushBatch([next++, next++, next++])
      else if (step === 'pause') await new Promise(setImmediate)
      else await Promise.resolve()
    }
    channel.end()
    const got = await reader
    return got.length === next && got.every((value, i) => value === i)
  }), { numRuns: 200 })
})
