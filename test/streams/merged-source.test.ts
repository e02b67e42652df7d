import t from 'tap'
import { MergedSource } from '../../src/streams/merged-source.ts'
import { AsyncQueue } from '../../src/streams/async-queue.ts'

t.test('elements of both, in the order in which they came', async (t) => {
  const main = new AsyncQueue<number>()
  const merged = new MergedSource(main)
  merged.put('a', 1)
  t.same(await merged.next(), { done: false, value: [1] })
  const waiting = merged.next()
  merged.put('a', 2)
  t.same(await waiting, { done: false, value: [2] })
  const next = merged.next()
  main.pushBatch([3, 4])
  t.same(await next, { done: false, value: [3, 4] })
  main.push(5)
  await new Promise((resolve) => { setImmediate(resolve) })
  merged.put('a', 6)
  merged.put('b', 7)
  merged.put('a', 8)
  t.same([await merged.next(), await merged.next()].map(({ value }) => value), [[8, 7], [5]], 'what was put in goes first, the latest of each key')
  main.end()
  t.same(await merged.next(), { done: true, value: undefined })
  t.same(await merged.next(), { done: true, value: undefined })
})

t.test('a failure of the source, and a reader that leaves', async (t) => {
  const failing = new AsyncQueue<number>()
  const merged = new MergedSource(failing)
  const pending = merged.next()
  failing.fail(new Error('broken'))
  await t.rejects(pending, { message: 'broken' })
  await t.rejects(merged.next(), { message: 'broken' })
  let left = false
  const main = new AsyncQueue<number>({ onReturn: () => { left = true } })
  await new MergedSource(main).return()
  t.ok(left)
})
