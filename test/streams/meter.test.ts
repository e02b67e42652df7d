import t from 'tap'
import { Shaper } from '../../src/limits/shaper.ts'
import { meter } from '../../src/streams/meter.ts'
import { batches, bytes, failureOf, idle, turn } from '../helpers/ends.ts'
import { collect } from '../helpers/links.ts'
import type { Batch } from '../../src/types.ts'

t.test('counts the bytes of each batch, and passes on the very same', async (t) => {
  const all: Batch[] = [[bytes(3)], [bytes(1), bytes(0), bytes(9)], [], [bytes(0)], [bytes(70_000)]]
  const counts: number[] = []
  const got: Batch[] = []
  for await (const batch of meter((count) => { counts.push(count) })(batches(...all))) got.push(batch)
  t.same(counts, [3, 10, 0, 0, 70_000])
  t.ok(got.length === all.length && got.every((batch, i) => batch === all[i]))
})

t.test('the end is not counted, and comes again and again', async (t) => {
  let calls = 0
  const reader = meter(() => { calls++ })(batches())[Symbol.asyncIterator]()
  for (let i = 0; i < 3; i++) t.match(await reader.next(), { done: true })
  t.equal(calls, 0)
})

t.test('what it returns is awaited before the batch goes on, and the next is not read before', async (t) => {
  let pulled = 0
  let release = (): void => {}
  async function * source (): AsyncGenerator<Batch> {
    for (;;) {
      pulled++
      yield [bytes(pulled)]
    }
  }
  const reader = meter(() => new Promise<void>((resolve) => { release = resolve }))(source())[Symbol.asyncIterator]()
  for (let i = 1; i <= 3; i++) {
    let has = false
    const reading = reader.next().then(() => { has = true })
    for (let turns = 0; turns < 5; turns++) await turn()
    t.notOk(has)
    t.equal(pulled, i)
    release()
    await reading
    t.ok(has)
  }
})

t.test('several streams with one pace keep to it together', async (t) => {
  const shaper = new Shaper(1000)
  let now = 0
  const waits: Array<{ until: number, resolve: () => void }> = []
  const held = meter((count) => {
    const wait = shaper.delay(count, now)
    return wait === 0 ? undefined : new Promise<void>((resolve) => { waits.push({ until: now + wait, resolve }) })
  })
  let passed = 0
  const running = Promise.all([1, 2, 3].map(async () => {
    for await (const batch of held(batches(...Array.from({ length: 10 }, () => [bytes(100)])))) passed += batch[0].length
  }))
  let isOver = false
  void running.then(() => { isOver = true })
  for (;;) {
    for (let turns = 0; turns < 10; turns++) await turn()
    t.ok(passed <= 250 + now, `${passed} bytes after ${now} ms`)
    if (isOver) break
    waits.sort((a, b) => a.until - b.until)
    const next = waits.shift()
    if (next === undefined) throw new Error('nobody waits, and it is not over')
    now = next.until
    next.resolve()
  }
  t.equal(passed, 3000)
  t.equal(now, 2750, 'as soon as may be')
})

t.test('errors of either side are passed on', async (t) => {
  const boom = new Error('boom')
  async function * failing (): AsyncGenerator<Batch> {
    yield [bytes(1)]
    throw boom
  }
  let count = 0
  t.equal(await failureOf(collect(meter((bytes) => { count += bytes })(failing()))), boom)
  t.equal(count, 1)
  for (const pass of [() => { throw boom }, () => Promise.reject(boom)]) {
    const { source, returned } = idle()
    source.push(bytes(1))
    t.equal(await failureOf(collect(meter(pass)(source))), boom)
    // A loop does not leave an iterator that has thrown: whoever made the loop ends the link.
    source.return().catch(() => {})
    await returned
  }
})

t.test('whoever leaves early leaves the source', async (t) => {
  const { source, returned } = idle()
  source.push(bytes(1))
  const reader = meter(() => {})(source)[Symbol.asyncIterator]()
  await reader.next()
  t.same(await reader.return?.(), { done: true, value: undefined })
  await returned
  const plain = { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: false as const, value: [bytes(1)] }) }) }
  t.same(await meter(() => {})(plain)[Symbol.asyncIterator]().return?.(), { done: true, value: undefined }, 'one that cannot be left')
})

t.test('each reader of a source is metered for itself', async (t) => {
  const counts: number[] = []
  const stage = meter((count) => { counts.push(count) })
  t.equal((await collect(stage(batches([bytes(1)])))).length, 1)
  t.equal((await collect(stage(batches([bytes(2)])))).length, 1)
  t.same(counts, [1, 2])
})
