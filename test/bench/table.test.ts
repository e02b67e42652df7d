import t from 'tap'
import { rowsOf } from '../../bench/lib/row.ts'
import { figure, table } from '../../bench/lib/table.ts'

t.test('figure', async (t) => {
  for (const [value, text] of [[0, '0'], [0.012345, '0.0123'], [12.345, '12.3'], [999, '999'], [1234.5, '1,235'], [4155321, '4,155,000']] as const) t.equal(figure(value), text)
})

t.test('a table', async (t) => {
  const rows = rowsOf('tun', { name: 'one stream', unit: 'Gbit/s' }, [
    { of: 'ours', ours: true, encrypted: true, values: [1, 3, 2], against: ['other'] },
    { of: 'other', encrypted: false, values: [4, 4, 4] }
  ])
  const leftOut = [{ group: 'tun', of: 'socat', why: 'not installed', failed: false }, { group: 'tun', of: 'openvpn', why: 'it ended', failed: true }]
  t.same(table(rows, leftOut).split('\n'), [
    'case        of     encrypted  median  min  max  rounds  unit    ratio',
    'one stream  ours   yes             2    1    3       3  Gbit/s  0.5 x other',
    'one stream  other  no              4    4    4       3  Gbit/s',
    'left out: socat: not installed',
    'failed: openvpn: it ended'
  ])
})

t.test('columns that no row has anything in are left out', async (t) => {
  const [head] = table(rowsOf('layers', { name: 'case', unit: 'op/s' }, [{ of: 'a', values: [1] }]), []).split('\n')
  t.equal(head, 'case  of  median  min  max  rounds  unit')
})

t.test('nothing but what is left out', async (t) => {
  t.equal(table([], [{ group: 'tun', of: 'all of it', why: 'it needs root', failed: false }]), 'left out: all of it: it needs root')
})
