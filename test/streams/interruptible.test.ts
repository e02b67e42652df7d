import t from 'tap'
import { Channel } from '../../src/streams/channel.ts'
import { Interruptible } from '../../src/streams/interruptible.ts'
import { failureOf } from '../helpers/ends.ts'

/** A source that tells when it was left. */
function source (): { channel: Channel<number>, left: () => boolean } {
  let left = false
  return { channel: new Channel<number>({ onReturn: () => { left = true } }), left: () => left }
}

t.test('passes on what comes, and the end', async (t) => {
  const { channel } = source()
  const reader = new Interruptible(channel)
  channel.push(1)
  t.same(await reader.next(), { done: false, value: [1] })
  channel.push(2)
  channel.end()
  t.same(await reader.next(), { done: false, value: [2] })
  t.same(await reader.next(), { done: true, value: undefined })
  t.notOk(reader.interrupted)
})

t.test('passes on an error', async (t) => {
  for (const keep of [false, true]) {
    const { channel } = source()
    const reader = new Interruptible(channel, { keep })
    const failing = failureOf(reader.next())
    channel.fail(new Error('broken'))
    t.equal((await failing).message, 'broken')
  }
})

t.test('an interruption ends a reader that waits, and the source', async (t) => {
  const { channel, left } = source()
  const reader = new Interruptible(channel)
  const waiting = reader.next()
  reader.interrupt()
  reader.interrupt()
  t.same(await waiting, { done: true, value: undefined })
  t.same(await reader.next(), { done: true, value: undefined })
  t.ok(reader.interrupted)
  t.ok(left())
})

t.test('a source without `return`, and one whose `return` fails', async (t) => {
  for (const end of [{}, { return: async () => { throw new Error('cannot') } }]) {
    const reader = new Interruptible({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<number>>(() => {}), ...end }) })
    const waiting = reader.next()
    reader.interrupt()
    t.same(await waiting, { done: true, value: undefined })
  }
})

t.test('whoever leaves the loop interrupts', async (t) => {
  const { channel, left } = source()
  const reader = new Interruptible(channel)
  t.same(await reader.return(), { done: true, value: undefined })
  t.ok(reader.interrupted)
  t.ok(left())
})

t.test('keep: the source stays, and its next reader gets what the last one waited for', async (t) => {
  const { channel, left } = source()
  for (let round = 0; round < 3; round++) {
    const first = new Interruptible(channel, { keep: true })
    channel.push(round)
    t.same(await first.next(), { done: false, value: [round] })
    const waiting = first.next()
    first.interrupt()
    t.same(await waiting, { done: true, value: undefined })
    channel.push(round + 100)
    const second = new Interruptible(channel, { keep: true })
    t.same(await second.next(), { done: false, value: [round + 100] })
    second.interrupt()
  }
  t.notOk(left())
})

t.test('keep: a batch that comes in the moment of the interruption is not lost', async (t) => {
  const { channel } = source()
  const first = new Interruptible(channel, { keep: true })
  const waiting = first.next()
  channel.push(1) // the reader has not been told yet
  first.interrupt()
  const second = new Interruptible(channel, { keep: true })
  t.same([await waiting, await second.next()], [{ done: true, value: undefined }, { done: false, value: [1] }])
})

t.test('keep: what breaks while nobody reads is told to the next reader, and is no unhandled rejection', async (t) => {
  const { channel } = source()
  const first = new Interruptible(channel, { keep: true })
  const waiting = first.next()
  first.interrupt()
  await waiting
  channel.fail(new Error('broken'))
  await new Promise(setImmediate)
  const second = new Interruptible(channel, { keep: true })
  t.equal((await failureOf(second.next())).message, 'broken')
  t.same(await second.next(), { done: true, value: undefined })
})

t.test('keep: an iterator without a read under way leaves nothing', async (t) => {
  const { channel } = source()
  new Interruptible(channel, { keep: true }).interrupt()
  const { next } = channel
  let pulls = 0
  channel.next = () => {
    pulls++
    return next.call(channel)
  }
  const reader = new Interruptible(channel, { keep: true })
  channel.push(7)
  t.same(await reader.next(), { done: false, value: [7] })
  t.equal(pulls, 1)
})
