/** Memory that is used again: by whom, and how much of it waits. */
import t from 'tap'
import { simdOf } from '../../src/buffers/simd/memory.ts'
import { acquire, acquireBlock, release, SIZES } from '../../src/buffers/buffer-pool.ts'

t.test('what was given back is lent again, and nothing else', async (t) => {
  const first = acquire(20_000)
  t.equal(first.length, 20_000)
  const { buffer } = first
  t.not(acquire(20_000).buffer, buffer, 'not while it is in use')
  release([first.subarray(5, 10)])
  release([first]) // twice is once
  t.equal(acquire(20_000).buffer, buffer)
  t.not(acquire(20_000).buffer, buffer)
  const own = Buffer.allocUnsafeSlow(64 * 1024)
  release([own, new Uint8Array(0)])
  t.not(acquire(64 * 1024).buffer, own.buffer, 'memory of somebody else is not taken')
})

t.test('sizes', async (t) => {
  for (const size of SIZES) t.equal(acquireBlock(size).length, size)
  t.equal(acquire(64 * 1024 + 1).buffer.byteLength, 256 * 1024)
  t.equal(acquire(1_000_000).length, 1_000_000, 'more than any piece')
  t.equal(acquire(10).length, 10)
  t.equal(acquire(0).length, 0)
})

t.test('no more waits than is of use', async (t) => {
  const pieces = Array.from({ length: 100 }, () => acquireBlock(256 * 1024))
  release(pieces)
  const known = new Set(pieces.map(({ buffer }) => buffer))
  const again = Array.from({ length: 100 }, () => acquireBlock(256 * 1024)).filter(({ buffer }) => known.has(buffer))
  t.equal(again.length, 16, '4 MiB')
})

t.test('memory that SIMD functions reach, while there is some', async (t) => {
  const first = acquire(70_000, true)
  t.ok(simdOf(first.buffer) !== undefined)
  release([first])
  t.not(acquire(70_000).buffer, first.buffer, 'others do not use it up')
  t.equal(acquire(70_000, true).buffer, first.buffer)
  t.equal(simdOf(acquire(10_000, true).buffer), undefined, 'there is none as small as that')
  const pieces = Array.from({ length: 100 }, () => acquireBlock(64 * 1024, true))
  t.equal(new Set(pieces.map(({ buffer }) => buffer)).size, 100)
  t.ok(pieces.every(({ length }) => length === 64 * 1024))
  t.ok(pieces.some(({ buffer }) => simdOf(buffer) !== undefined) && pieces.some(({ buffer }) => simdOf(buffer) === undefined))
  const without = pieces.filter(({ buffer }) => simdOf(buffer) === undefined)
  release(without)
  t.ok(without.some(({ buffer }) => buffer === acquireBlock(64 * 1024, true).buffer), 'then it is any other')
})
