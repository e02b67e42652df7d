/** Memory that is used again: by whom, and how much of it waits. */
import t from 'tap'
import { simdOf } from '../../src/buffers/simd/memory.ts'
import { borrow, borrowPiece, giveBack, SIZES } from '../../src/buffers/lent-memory.ts'

t.test('what was given back is lent again, and nothing else', async (t) => {
  const first = borrow(20_000)
  t.equal(first.length, 20_000)
  const { buffer } = first
  t.not(borrow(20_000).buffer, buffer, 'not while it is in use')
  giveBack([first.subarray(5, 10)])
  giveBack([first]) // twice is once
  t.equal(borrow(20_000).buffer, buffer)
  t.not(borrow(20_000).buffer, buffer)
  const own = Buffer.allocUnsafeSlow(64 * 1024)
  giveBack([own, new Uint8Array(0)])
  t.not(borrow(64 * 1024).buffer, own.buffer, 'memory of somebody else is not taken')
})

t.test('sizes', async (t) => {
  for (const size of SIZES) t.equal(borrowPiece(size).length, size)
  t.equal(borrow(64 * 1024 + 1).buffer.byteLength, 256 * 1024)
  t.equal(borrow(1_000_000).length, 1_000_000, 'more than any piece')
  t.equal(borrow(10).length, 10)
  t.equal(borrow(0).length, 0)
})

t.test('no more waits than is of use', async (t) => {
  const pieces = Array.from({ length: 100 }, () => borrowPiece(256 * 1024))
  giveBack(pieces)
  const known = new Set(pieces.map(({ buffer }) => buffer))
  const again = Array.from({ length: 100 }, () => borrowPiece(256 * 1024)).filter(({ buffer }) => known.has(buffer))
  t.equal(again.length, 16, '4 MiB')
})

t.test('memory that SIMD functions reach, while there is some', async (t) => {
  const first = borrow(70_000, true)
  t.ok(simdOf(first.buffer) !== undefined)
  giveBack([first])
  t.not(borrow(70_000).buffer, first.buffer, 'others do not use it up')
  t.equal(borrow(70_000, true).buffer, first.buffer)
  t.equal(simdOf(borrow(10_000, true).buffer), undefined, 'there is none as small as that')
  const pieces = Array.from({ length: 100 }, () => borrowPiece(64 * 1024, true))
  t.equal(new Set(pieces.map(({ buffer }) => buffer)).size, 100)
  t.ok(pieces.every(({ length }) => length === 64 * 1024))
  t.ok(pieces.some(({ buffer }) => simdOf(buffer) !== undefined) && pieces.some(({ buffer }) => simdOf(buffer) === undefined))
  const without = pieces.filter(({ buffer }) => simdOf(buffer) === undefined)
  giveBack(without)
  t.ok(without.some(({ buffer }) => buffer === borrowPiece(64 * 1024, true).buffer), 'then it is any other')
})
