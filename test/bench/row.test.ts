import t from 'tap'
import { beside, jsonLine, rowsOf, summary } from '../../bench/lib/row.ts'

t.test('summary', async (t) => {
  t.same(summary([3, 1, 2]), { value: 2, min: 1, max: 3 })
  t.same(summary([10, 9, 1, 2]), { value: 5.5, min: 1, max: 10 }, 'between the two in the middle')
  t.same(summary([0.123456]), { value: 0.1235, min: 0.1235, max: 0.1235 }, 'four places that count')
  t.same(summary([1234567, 0]), { value: 617300, min: 0, max: 1235000 })
})

t.test('ratios are taken round by round', async (t) => {
  const [ours, theirs] = rowsOf('group', { name: 'case', unit: 'x/s' }, [
    { of: 'ours', ours: true, values: [10, 1, 30], against: ['theirs'] },
    { of: 'theirs', values: [5, 1, 10] }
  ])
  t.same(ours, { group: 'group', name: 'case', unit: 'x/s', lessIsBetter: undefined, of: 'ours', ours: true, encrypted: undefined, value: 10, min: 1, max: 30, rounds: 3, ratios: [{ rival: 'theirs', value: 2, min: 1, max: 3 }] })
  t.match(theirs, { of: 'theirs', ours: false, value: 5, ratios: [] })
})

t.test('a ratio to nothing is none', async (t) => {
  const ratios = (theirs: number[], mine = [1, 2]): number => rowsOf('group', { name: 'case', unit: '%' }, [{ of: 'ours', values: mine, against: ['theirs', 'unknown'] }, { of: 'theirs', values: theirs }])[0].ratios.length
  t.equal(ratios([1, 1]), 1)
  t.equal(ratios([0, 0]), 0)
  t.equal(ratios([0, 0], [0, 0]), 0)
  t.equal(ratios([]), 0, 'a rival who has failed')
  t.equal(ratios([1, 0]), 1, 'where there was something')
})

t.test('who has failed has no row', async (t) => {
  t.same(rowsOf('group', { name: 'case', unit: 's' }, [{ of: 'failed', values: [] }]), [])
})

t.test('beside', async (t) => {
  t.same(beside([{ name: 'a', ours: true, encrypted: true }, { name: 'b' }, { name: 'c', ours: false }], [[1], [2], [3]]), [
    { of: 'a', ours: true, encrypted: true, values: [1], against: ['b', 'c'] },
    { of: 'b', ours: undefined, encrypted: undefined, values: [2], against: [] },
    { of: 'c', ours: false, encrypted: undefined, values: [3], against: [] }
  ])
})

t.test('jsonLine', async (t) => {
  const rows = rowsOf('tun', { name: 'case', unit: 'ms', lessIsBetter: true }, [
    { of: 'ours', ours: true, encrypted: true, values: [1], against: ['first', 'second'] },
    { of: 'first', encrypted: false, values: [2] },
    { of: 'second', values: [4] }
  ])
  const about = { mode: 'quick', machine: { cores: 2 } }
  const lines = rows.map((row) => JSON.parse(jsonLine(row, about)))
  t.match(lines[0], { group: 'tun', name: 'case', unit: 'ms', of: 'ours', ours: true, encrypted: true, value: 1, min: 1, max: 1, rounds: 1, ratio: 0.5, rival: 'first', mode: 'quick', machine: { cores: 2 } })
  t.equal(lines[0].ratios.length, 2)
  t.notOk('ratio' in lines[1])
  t.equal(lines[1].encrypted, false)
  t.same(JSON.parse(jsonLine({ group: 'tun', of: 'socat', why: 'not installed', failed: false }, about)), { group: 'tun', of: 'socat', why: 'not installed', failed: false, ...about })
})
