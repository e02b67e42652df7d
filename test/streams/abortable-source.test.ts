import t from 'tap'
import { AsyncQueue } from '../../src/streams/async-queue.ts'
import { AbortableSource } from '../../src/streams/abortable-source.ts'
import { failureOf } from '../helpers/ends.ts'

/** A source that tells when it was left. */
function source (): { queue: AsyncQueue<number>, left: () => boolean } {
  let left = false
  return { queue: new AsyncQueue<number>({ onReturn: () => { left = true } }), left: () => left }
}

t.test('passes on what comes, and the end', async (t) => {
  const { queue } = source()
  const reader = new AbortableSource(queue)
  queue.push(1)
  t.same(await reader.next(), { done: false, value: [1] })
  queue.push(2)
  queue.end()
  t.same(await reader.next(), { done: false, value: [2] })
  t.same(await reader.next(), { done: true, value: undefined })
  t.notOk(reader.aborted)
})

t.test('passes on an error', async (t) => {
  for (const keep of [false, true]) {
    const { queue } = source()
    const reader = new AbortableSource(queue, { keep })
    const failing = failureOf(reader.next())
    queue.fail(new Error('broken'))
    t.equal((await failing).message, 'broken')
  }
})

t.test('an interruption ends a reader that waits, and the source', async (t) => {
  const { queue, left } = source()
  const reader = new AbortableSource(queue)
  const waiting = reader.next()
  reader.abort()
  reader.abort()
  t.same(await waiting, { done: true, value: undefined })
  t.same(await reader.next(), { done: true, value: undefined })
  t.ok(reader.aborted)
  t.ok(left())
})

t.test('a source without `return`, and one whose `return` fails', async (t) => {
  for (const end of [{}, { return: async () => { throw new Error('cannot') } }]) {
    const reader = new AbortableSource({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<number>>(() => {}), ...end }) })
    const waiting = reader.next()
    reader.abort()
    t.same(await waiting, { done: true, value: undefined })
  }
})

t.test('whoever leaves the loop interrupts', async (t) => {
  const { queue, left } = source()
  const reader = new AbortableSource(queue)
  t.same(await reader.return(), { done: true, value: undefined })
  t.ok(reader.aborted)
  t.ok(left())
})

t.test('keep: the source stays, and its next reader gets what the last one waited for', async (t) => {
  const { queue, left } = source()
  for (let round = 0; round < 3; round++) {
    const first = new AbortableSource(queue, { keep: true })
    queue.push(round)
    t.same(await first.next(), { done: false, value: [round] })
    const waiting = first.next()
    first.abort()
    t.same(await waiting, { done: true, value: undefined })
    queue.push(round + 100)
    const second = new AbortableSource(queue, { keep: true })
    t.same(await second.next(), { done: false, value: [round + 100] })
    second.abort()
  }
  t.notOk(left())
})

t.test('keep: a batch that comes in the moment of the interruption is not lost', async (t) => {
  const { queue } = source()
  const first = new AbortableSource(queue, { keep: true })
  const waiting = first.next()
  queue.push(1) // the reader has not been told yet
  first.abort()
  const second = new AbortableSource(queue, { keep: true })
  t.same([await waiting, await second.next()], [{ done: true, value: undefined }, { done: false, value: [1] }])
})

t.test('keep: what breaks while nobody reads is told to the next reader, and is no unhandled rejection', async (t) => {
  const { queue } = source()
  const first = new AbortableSource(queue, { keep: true })
  const waiting = first.next()
  first.abort()
  await waiting
  queue.fail(new Error('broken'))
  await new Promise(setImmediate)
  const second = new AbortableSource(queue, { keep: true })
  t.equal((await failureOf(second.next())).message, 'broken')
  t.same(await second.next(), { done: true, value: undefined })
})

t.test('keep: an iterator without a read under way leaves nothing', async (t) => {
  const { queue } = source()
  new AbortableSource(queue, { keep: true }).abort()
  const { next } = queue
  let pulls = 0
  queue.next = () => {
    pulls++
    return next.call(queue)
  }
  const reader = new AbortableSource(queue, { keep: true })
  queue.push(7)
  t.same(await reader.next(), { done: false, value: [7] })
  t.equal(pulls, 1)
})
